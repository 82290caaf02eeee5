"""A zoo model in JAX, ready for JAX's transforms, and its gradients beside autograd's.

Gradients are those of a fixed random weighting of all float outputs, in the float
parameters and the float inputs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import torch

import fx_call
import oxide_xla
from models import compare, exports
from models.architectures import Architecture, all_architectures

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Subject:
    """What the bridge exports and the compiler makes of it, with example inputs."""

    entry: Architecture
    compiled: oxide_xla.CompiledModel
    names: tuple[str, ...]  # of the inputs, in the order of `forward`

    @property
    def forward(self):
        return self.compiled.forward

    @property
    def params(self) -> dict[str, jax.Array]:
        return self.compiled.params

    def arrays(self, tensors: Tensors | None = None) -> list[jax.Array]:
        """Inputs in the order of `forward`, by default the example's."""
        tensors = self.entry.make_inputs() if tensors is None else tensors
        return [jnp.asarray(compare.to_numpy(tensors[name])) for name in self.names]

    def split(self) -> tuple[dict, dict]:
        """The parameters that have gradients, and the others."""
        floats = {k: v for k, v in self.params.items() if is_float(v)}
        return floats, {k: v for k, v in self.params.items() if k not in floats}


@functools.lru_cache(maxsize=4)  # the tests of one model follow each other
def subject(name: str, **options: str) -> Subject:
    """The architecture of this name, through the bridge; `options` of `compile`."""
    entry = all_architectures()[name]
    export = exports.exported(entry, "bridge")
    assert export.path, export.error
    names = tuple(compare.input_names(export.path))
    return Subject(entry, oxide_xla.compile(export.path, **options), names)


def is_float(x) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def flat(result) -> tuple:
    """The outputs of `forward`, several or one."""
    return result if isinstance(result, tuple) else (result,)


def weighted(result, seen=None, seed: int = 2) -> jax.Array:
    """The sum of all float outputs, each element with a weight of its own."""
    outputs = [y for y in flat(result) if is_float(y)]
    return sum(jnp.sum(y * w) for y, w in zip(outputs, weights(outputs, seen, seed)))


def weights(outputs, seen=None, seed: int = 2) -> Iterator[np.ndarray]:
    """Fixed random weights for arrays or tensors of these shapes.

    `seen` (batch, positions) is zero where outputs do not count.
    """
    rng = np.random.default_rng(seed)
    for y in outputs:
        w = rng.standard_normal(tuple(y.shape)).astype(np.float32)
        yield w if seen is None else w * seen[..., None].astype(np.float32)


def jax_gradients(model: Subject, tensors: Tensors, seen=None) -> dict[str, np.ndarray]:
    """By the names of parameters and inputs, these behind a colon."""
    floats, rest = model.split()
    arrays = dict(zip(model.names, model.arrays(tensors), strict=True))
    given = {name: x for name, x in arrays.items() if is_float(x)}

    def loss(floats, given):
        inputs = {**arrays, **given}
        return weighted(model.forward({**floats, **rest}, *inputs.values()), seen)

    of_params, of_inputs = jax.jit(jax.grad(loss, argnums=(0, 1)))(floats, given)
    named = {**of_params, **{f":{name}": g for name, g in of_inputs.items()}}
    return {name: np.asarray(g) for name, g in named.items()}


def torch_gradients(
    module: torch.nn.Module, tensors: Tensors, dtype: torch.dtype, seen=None
) -> dict[str, np.ndarray]:
    """By the same names, computed in this precision."""
    module = module.to(dtype)
    given = {
        name: x.to(dtype).requires_grad_() if x.is_floating_point() else x
        for name, x in tensors.items()
    }
    outputs = [y for _, y in fx_call.named_outputs(module(**given))]
    outputs = [y for y in outputs if y.is_floating_point()]
    pairs = zip(outputs, weights(outputs, seen), strict=True)
    loss = sum((y * torch.from_numpy(w)).sum() for y, w in pairs)
    leaves = {k: p for k, p in module.named_parameters() if p.requires_grad}
    leaves |= {f":{name}": x for name, x in given.items() if x.requires_grad}
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {k: g.numpy() for k, g in zip(leaves, found) if g is not None}


def key_of_each(module: torch.nn.Module, keys) -> dict[str, str]:
    """From names of parameters to keys of the file, where tied weights have one."""
    state = module.state_dict(keep_vars=True)
    owner = {id(state[key]): key for key in keys if key in state}
    parameters = module.named_parameters()
    return {name: owner[id(p)] for name, p in parameters if id(p) in owner}
