"""Names of parameters: what a compiled file calls them, and PyTorch's state_dict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import torch

import oxide_xla
from models import compare, exports
from models.architectures import Architecture


@dataclass(frozen=True)
class Names:
    """How the parameters of a file differ from the state_dict: empty where equal."""

    unknown: list[str]  # in the file only
    lost: list[str]  # in the state_dict only, though the output depends on them
    changed: list[str]  # in both with different values


def torch_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state_dict, and the buffers that a module keeps out of it."""
    return {**dict(module.named_buffers()), **module.state_dict()}


def of_bridge(entry: Architecture) -> Names:
    """The names of the file that the bridge exports."""
    path = exports.exported(entry, "bridge").path
    arrays = oxide_xla.compile(path).arrays
    module = entry.build()
    tensors = torch_tensors(module)
    changed = [k for k in arrays if k in tensors and not same(arrays[k], tensors[k])]
    present = {tensors[k].data_ptr() for k in arrays if k in tensors}
    missing = {
        k: t
        for k, t in module.state_dict(keep_vars=True).items()
        if k not in arrays and t.data_ptr() not in present and t.is_floating_point()
    }
    return Names(
        unknown=[k for k, a in arrays.items() if k not in tensors and is_float(a)],
        lost=[k for k, t in missing.items() if matters(entry, module, t)],
        changed=changed,
    )


def is_float(array: np.ndarray) -> bool:
    """Tables of integers may be constants of PyTorch's code."""
    return jnp.issubdtype(array.dtype, jnp.floating)


def same(array: np.ndarray, tensor: torch.Tensor) -> bool:
    """Whether both hold the same shape and numbers."""
    expected = compare.to_numpy(tensor.detach())
    return array.shape == expected.shape and np.array_equal(array, expected)


def matters(entry: Architecture, module, tensor: torch.Tensor) -> bool:
    """Whether the output depends on this tensor: NaN would show."""
    inputs = entry.make_inputs()
    before = compare.eager(module, inputs)
    saved = tensor.detach().clone()
    with torch.no_grad():
        tensor.fill_(float("nan"))
    after = compare.eager(module, inputs)
    with torch.no_grad():
        tensor.copy_(saved)
    return not all(torch.equal(a, b) for a, b in zip(before, after))


def wrong_values(entry: Architecture, path: Path) -> list[str]:
    """Names of the state_dict under which the file silently holds other values."""
    compiled = oxide_xla.compile(path)
    tensors = torch_tensors(entry.build())
    module = compiled.module
    changed = getattr(module, "CHANGED", {})
    wrong = []
    for key, array in compiled.arrays.items():
        change = changed.get(key, "")
        if key not in tensors or change not in ("", "transposed"):
            continue
        expected = tensors[key].detach()
        if change:
            expected = expected.T
        if not same(array, expected):
            wrong.append(key)
    return wrong
