"""Run generated modules on eight virtual devices: `mesh_program.py JOBS RESULTS`.

The number of devices belongs to the process, so tests/test_mesh.py starts this once.
Both files are JSON: of each job the module, its inputs and the meshes, and of each mesh
what came out against one device.
"""

import importlib.util
import json
import os
import re
import sys
from pathlib import Path

FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = FLAGS
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

# Two programs at once may each hold threads that the other's collectives wait for.
jax.config.update("jax_cpu_enable_async_dispatch", False)


def load(path):
    """The module of a file."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_float(x):
    return jnp.issubdtype(x.dtype, jnp.floating)


def differences(module, floats, rest, inputs, places=None):
    """Gradients in the floats, and the float outputs.

    Where axes are Auto it is XLA that places gradients, unless it is told.
    """

    def loss(floats, rest, inputs):
        outputs = jax.tree.leaves(module.forward({**floats, **rest}, *inputs))
        outputs = [y for y in outputs if is_float(y)]
        return sum(jnp.mean(jnp.sin(y)) for y in outputs), outputs

    out = None if places is None else (places, None)
    step = jax.jit(jax.grad(loss, has_aux=True), out_shardings=out)
    return step(floats, rest, inputs)


def mean_square(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.mean((np.asarray(x) - np.asarray(y)) ** 2)) for x, y in pairs)


def on(module, params, inputs, expected, case):
    """One mesh: errors against one device, and what collectives forward takes."""
    shape, kind = case["shape"], AxisType[case["kind"]]
    kinds = (kind,) * len(shape)
    mesh = jax.make_mesh(tuple(shape.values()), tuple(shape), axis_types=kinds)
    rows = tuple(axis for axis in ("data", "fsdp") if axis in shape)
    with jax.set_mesh(mesh):
        placed = module.shardings(module.abstract_params(), mesh)
        params = jax.device_put(params, placed)
        inputs = jax.device_put(inputs, NamedSharding(mesh, PartitionSpec(rows)))
        floats = {k: x for k, x in params.items() if is_float(x)}
        rest = {k: x for k, x in params.items() if k not in floats}
        told = None if kind == AxisType.Explicit else {k: placed[k] for k in floats}
        gradients, outputs = differences(module, floats, rest, inputs, told)
        result = {
            "output": mean_square(outputs, expected[1]),
            "gradient": mean_square(gradients, expected[0]),
            "moved": [
                key
                for key, g in gradients.items()
                if not g.sharding.is_equivalent_to(placed[key], g.ndim)
            ],
            "split": sum(not s.is_fully_replicated for s in placed.values()),
        }
        if case.get("count"):
            text = module.forward.lower(params, *inputs).compile().as_text()
            found = re.findall(r" ([a-z]+-[a-z-]+?)(?:-start)?\(", text)
            names = "all-reduce all-gather all-to-all reduce-scatter collective-permute"
            result["collectives"] = {n: found.count(n) for n in names.split()}
    return result


def main(jobs, results):
    answers = {}
    for job in json.loads(Path(jobs).read_text()):
        module = load(job["module"])
        params = module.load_params()
        inputs = list(np.load(job["inputs"]).values())
        floats = {k: x for k, x in params.items() if is_float(x)}
        rest = {k: x for k, x in params.items() if k not in floats}
        expected = differences(module, floats, rest, inputs)
        for case in job["meshes"]:
            key = " ".join([job["name"], case["kind"], *case["shape"]])
            answers[key] = on(module, params, inputs, expected, case)
            print(key, answers[key], flush=True)
    Path(results).write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
