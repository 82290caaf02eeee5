"""Greedy tokens of a step with a cache on meshes of eight virtual devices.

`mesh_decode.py MODULE`: prints, as JSON, the tokens of one device and of each mesh.
Rows and their caches lie along `data` and `fsdp`, parameters as the module says.
"""

import json
import os
import sys

FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = FLAGS
os.environ["JAX_PLATFORMS"] = "cpu"

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mesh_program import load

STEPS, LENGTH = 12, 24
MESHES = (
    {"data": 8},
    {"fsdp": 8},
    {"tensor": 2},
    {"data": 4, "tensor": 2},
    {"data": 2, "fsdp": 2, "tensor": 2},
)
PROMPTS = np.random.default_rng(0).integers(1, 99, (8, 5)).astype(np.int32)


@functools.partial(jax.jit, static_argnames="forward", donate_argnums=3)
def greedy(forward, params, prompts, cache):
    """Prefill, then one token at a time in a scan that carries the cache."""

    def pick(logits):
        return logits[:, -1].argmax(-1).astype(jnp.int32)[:, None]

    logits, cache = forward(params, prompts, cache, 0)

    def step(carry, _):
        token, position, cache = carry
        logits, cache = forward(params, token, cache, position)
        return (pick(logits), position + 1, cache), token

    carry = pick(logits), jnp.int32(prompts.shape[1]), cache
    return jax.lax.scan(step, carry, length=STEPS)[1][..., 0].T


def on(module, params, shape, kind):
    kinds = (AxisType[kind],) * len(shape)
    mesh = jax.make_mesh(tuple(shape.values()), tuple(shape), axis_types=kinds)
    rows = tuple(axis for axis in ("data", "fsdp") if axis in shape)
    with jax.set_mesh(mesh):
        split = NamedSharding(mesh, PartitionSpec(rows))
        placed = jax.device_put(params, module.shardings(params, mesh))
        prompts, cache = jax.device_put(
            (PROMPTS, module.init_cache(len(PROMPTS), LENGTH)), split
        )
        return np.asarray(greedy(module.forward, placed, prompts, cache)).tolist()


def main(path):
    module = load(path)
    params = module.load_params()
    cache = module.init_cache(len(PROMPTS), LENGTH)
    found = {"one": np.asarray(greedy(module.forward, params, PROMPTS, cache)).tolist()}
    for kind in ("Auto", "Explicit"):
        for shape in MESHES:
            found[" ".join([kind, *shape])] = on(module, params, shape, kind)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
