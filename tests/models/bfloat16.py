"""A model in bfloat16: how far the generated code and PyTorch are from float32.

`load_params(dtype=jnp.bfloat16)` stands for `module.bfloat16()`, and inputs are given
in bfloat16 to both. The error of either is the root mean square, over all elements of
all outputs, of the difference from PyTorch's float32 run, each output measured in its
own standard deviation. A mean over all elements hardly moves when single ones round
another way, as a maximum would.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import torch

from models import compare
from models.architectures import SIZES, Architecture


@dataclass(frozen=True)
class Result:
    """What one model gives in bfloat16."""

    dtypes: set[str]  # of the outputs that are floats
    ours: float
    theirs: float  # of PyTorch; NaN where it cannot run the model

    @property
    def ratio(self) -> float:
        """Our error over PyTorch's; an error of a step or so of bfloat16 is none."""
        return self.ours / max(self.theirs, 2.0**-9)


def half(tensor: torch.Tensor) -> torch.Tensor:
    """Floats in bfloat16, anything else as it is."""
    return tensor.bfloat16() if tensor.is_floating_point() else tensor


def error(actual: list[np.ndarray], expected: list[torch.Tensor]) -> float:
    """Root mean square over the outputs, in standard deviations of each."""
    squares = []
    for a, e in zip(actual, expected, strict=True):
        if not e.is_floating_point():
            continue
        wide, exact = np.asarray(a, np.float64), e.double().numpy()
        with np.errstate(invalid="ignore"):
            difference = np.where(wide == exact, 0.0, wide - exact)
        scale = np.std(exact[np.isfinite(exact)]) or np.abs(exact).max() or 1.0
        squares.append(np.ravel((difference / scale) ** 2))
    return float(np.sqrt(np.mean(np.concatenate(squares)))) if squares else 0.0


@contextlib.contextmanager
def strict_promotion() -> Iterator[None]:
    """JAX refuses to mix types; its own attention, which mixes them, is let be."""
    attend = jax.nn.dot_product_attention

    def standard(*args, **options):
        with jax.numpy_dtype_promotion("standard"):
            return attend(*args, **options)

    jax.nn.dot_product_attention = standard
    try:
        with jax.numpy_dtype_promotion("strict"):
            yield
    finally:
        jax.nn.dot_product_attention = attend


def example(entry: Architecture, seed: int) -> dict[str, torch.Tensor]:
    """Inputs of the sizes of the export."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {name: pair[0] for name, pair in {**SIZES, **entry.sizes}.items()}
    return {x.name: x.make(sizes, generator) for x in entry.inputs}


def eager_error(
    module: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
    expected: list[torch.Tensor],
) -> float:
    """PyTorch's own; NaN where an operator of it has no bfloat16."""
    try:
        result = compare.eager(module, inputs)
    except RuntimeError:
        return float("nan")
    return error([compare.to_numpy(t) for t in result], expected)


def run(entry: Architecture, generated, names: list[str], count: int = 6) -> Result:
    """Both in bfloat16, against PyTorch in float32, over some inputs."""
    exact, rounded = entry.build().float(), entry.build().bfloat16()
    params = generated.load_params(dtype=jnp.bfloat16)
    dtypes, ours, theirs = set(), [], []
    for seed in range(1, count + 1):
        inputs = {k: half(x) for k, x in example(entry, seed).items()}
        wide = {k: x.float() if x.is_floating_point() else x for k, x in inputs.items()}
        expected = compare.eager(exact, wide)
        theirs.append(eager_error(rounded, inputs, expected))
        with strict_promotion():
            got = generated.forward(
                params, *[compare.to_numpy(inputs[n]) for n in names]
            )
        got = got if isinstance(got, tuple) else (got,)
        dtypes |= {str(x.dtype) for x in got if jnp.issubdtype(x.dtype, jnp.floating)}
        ours.append(error([np.asarray(x) for x in got], expected))
    return Result(
        dtypes, *(float(np.sqrt(np.mean(np.square(x)))) for x in (ours, theirs))
    )
