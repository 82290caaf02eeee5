"""How far two arrays are apart, and how far rounding alone explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import ml_dtypes
import numpy as np

from oxide_xla.verify.network import is_float

SAMPLES = 3  # runs of the reference that measure its noise
SAFETY = 10  # largest of a few samples against the worst case
LAST_PLACES = 4  # what functions such as tanh may differ by where nothing amplifies


@dataclass(frozen=True)
class Row:
    """One line of the table: one value, and how far it is from the reference's.

    `shape` is that of the generated code's array. Differences are in the value's own
    unit; `relative`, `cosine` and `argmax` are pure numbers. NaN where a column makes
    no sense, as units in the last place of integers do not.
    """

    name: str
    shape: tuple[int, ...] = ()
    max_abs: float = float("nan")  # largest difference
    relative: float = float("nan")  # norm of the difference over that of the reference
    ulp_p99: float = float("nan")  # 99th percentile, in units in the last place
    cosine: float = float("nan")  # of the angle between the two
    argmax: float = float("nan")  # agreement along the last axis, from 0 to 1
    tolerance: float = float("nan")  # for max_abs
    reason: str = ""  # why it fails; "" when it passes
    node: str = ""  # what makes it

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return not self.reason


def perturbed(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Floats moved at random by at most one unit in the last place; others as they are.

    Half a unit would be the error of one rounding, but rounding to the type again would
    undo every such move.
    """
    if not is_float(array.dtype):
        return array
    eps = float(ml_dtypes.finfo(array.dtype).eps)
    moved = array.astype(np.float64) * (1 + eps * rng.uniform(-1, 1, array.shape))
    return np.asarray(moved).astype(array.dtype)


def noise(reference: np.ndarray, samples: Sequence[np.ndarray]) -> float:
    """The largest distance of the samples from the reference."""
    expected, finite = widened(reference)
    moved = [widened(sample)[0][finite] for sample in samples]
    found = [
        np.abs(m - expected[finite])[np.isfinite(m)].max(initial=0.0) for m in moved
    ]
    return float(max(found, default=0.0))


def tolerance(reference: np.ndarray, samples: Sequence[np.ndarray]) -> float:
    """What max_abs may be: the noise with a margin, and never below the last places."""
    if not is_float(reference.dtype):
        return noise(reference, samples)
    wide, finite = widened(reference)
    scale = float(np.abs(wide[finite]).max(initial=0.0))
    info = ml_dtypes.finfo(reference.dtype)
    floor = LAST_PLACES * (float(info.eps) * scale + float(info.tiny))
    return SAFETY * noise(reference, samples) + floor


def compare(
    name: str,
    actual: np.ndarray,
    expected: np.ndarray,
    samples: Sequence[np.ndarray],
    node: str = "",
) -> Row:
    """The row of one value. `actual` may have the type that 32-bit JAX gives it."""
    wanted = np.dtype(jax.dtypes.canonicalize_dtype(expected.dtype))
    shape = tuple(actual.shape)
    if shape != expected.shape:
        reason = f"shape {shape}, not {expected.shape}"
        return Row(name, shape, reason=reason, node=node)
    if actual.dtype not in (wanted, expected.dtype):
        reason = f"{actual.dtype}, not {wanted}"
        return Row(name, shape, reason=reason, node=node)
    limit = tolerance(expected, samples)
    got, finite = widened(actual)
    want, finite_too = widened(expected)
    both = finite & finite_too
    apart = distances(got[both], want[both])
    row = Row(
        name,
        shape,
        tolerance=limit,
        node=node,
        argmax=argmax_agreement(actual, expected),
        ulp_p99=ulp_p99(got[both], want[both], expected.dtype),
        max_abs=apart["max_abs"],
        relative=apart["relative"],
        cosine=apart["cosine"],
    )
    reason = why_not(row, got[~both], want[~both])
    return Row(**{**vars(row), "reason": reason})


def why_not(row: Row, got: np.ndarray, want: np.ndarray) -> str:
    """The reason to fail; `got` and `want` are the elements that are not finite."""
    if not np.array_equal(got, want, equal_nan=True):
        return "not finite in other places"
    if row.max_abs > row.tolerance:
        return f"max abs {row.max_abs:.1e} > {row.tolerance:.1e}"
    return ""


def distances(got: np.ndarray, want: np.ndarray) -> dict[str, float]:
    """max_abs, relative and cosine; equal empty arrays agree."""
    difference = np.linalg.norm(got - want)
    norms = np.linalg.norm(got), np.linalg.norm(want)
    relative = difference / norms[1] if norms[1] else float(difference)
    product = norms[0] * norms[1]
    cosine = float(got @ want / product) if product else float(norms[0] == norms[1])
    return {
        "max_abs": float(np.abs(got - want).max(initial=0.0)),
        "relative": float(relative),
        "cosine": min(1.0, cosine),
    }


def ulp_p99(got: np.ndarray, want: np.ndarray, dtype: np.dtype) -> float:
    """Distances in units in the last place of the reference's own type."""
    if not is_float(dtype) or not want.size:
        return float("nan")
    info = ml_dtypes.finfo(dtype)
    exponent = np.frexp(np.maximum(np.abs(want), float(info.tiny)))[1] - 1
    return float(np.percentile(np.abs(got - want) / np.ldexp(info.eps, exponent), 99))


def argmax_agreement(actual: np.ndarray, expected: np.ndarray) -> float:
    """The share of rows whose largest element is at the same place."""
    if not expected.ndim or expected.shape[-1] < 2 or not is_float(expected.dtype):
        return float("nan")
    if not expected.size:
        return 1.0
    return float(np.mean(actual.argmax(-1) == expected.argmax(-1)))


def widened(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The elements in double precision, flat, and which of them are finite."""
    with np.errstate(invalid="ignore"):
        wide = np.ravel(array.real if array.dtype.kind == "c" else array)
        wide = wide.astype(np.float64)
        if array.dtype.kind == "c":
            wide = np.concatenate([wide, np.ravel(array.imag).astype(np.float64)])
    return wide, np.isfinite(wide)


def generators(seed: int, count: int = SAMPLES) -> Iterator[np.random.Generator]:
    """Independent sources of noise."""
    return iter(np.random.default_rng(seed).spawn(count))
