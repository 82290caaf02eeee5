"""`--grad`: jax.grad of the generated code against the reference.

The loss is a fixed random weighting of the float outputs. Against torch, autograd gives
the gradient of every parameter and float input, and the tolerance is its own noise.
The ONNX references have no gradient; there each gradient is checked along one direction
by central differences, and the tolerance is what two step sizes and the noise of the
loss leave open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from oxide_xla.verify import metrics
from oxide_xla.verify.candidate import Candidate
from oxide_xla.verify.comparing import Track, noisy_runs
from oxide_xla.verify.metrics import Row
from oxide_xla.verify.network import Arrays, VerifyError, is_float
from oxide_xla.verify.references import Reference, Torch

#: Of inputs, and of weights where they are others than the model's.
Loss: TypeAlias = Callable[[Arrays, Arrays | None], float]

# Central differences err by a term of second order, by kinks such as relu's in
# proportion to the step, and by noise against the step. The first step balances the
# smooth case; the step that is used is the one where neighbours agree best.
FIRST_STEP = float(np.finfo(np.float32).eps) ** (1 / 3)
FACTOR = 3  # from one step to the next
STEPS = 5
TRUNCATION = 4  # times the difference to the neighbouring steps


def compare(
    candidate: Candidate, reference: Reference, given: Arrays, track: Track
) -> list[Row]:
    """A row for every float parameter and input."""
    outputs = reference.run(given)
    seeds = random_seeds(outputs)
    if not any(seed.size for seed in seeds):
        raise VerifyError("--grad: no output is a float")
    ours = jax_gradients(candidate, given, seeds)
    if isinstance(reference, Torch):
        return against_autograd(ours, candidate, reference, given, seeds, track)
    return against_differences(ours, candidate, reference, given, seeds, track)


def random_seeds(outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The cotangent of each output; empty for integers."""
    rng = np.random.default_rng(2)
    return [
        rng.standard_normal(y.shape if is_float(y.dtype) else 0).astype(y.dtype)
        for y in outputs
    ]


def jax_gradients(
    candidate: Candidate, given: Arrays, seeds: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """By the names of weights and inputs."""
    model = candidate.compile(candidate.network.source)
    with candidate.mode():
        flat = model.params
        weights = {
            k: w for k, w in flat.items() if jnp.issubdtype(w.dtype, jnp.floating)
        }
        floats = {k: jnp.asarray(x) for k, x in given.items() if is_float(x.dtype)}

        def loss(weights: Mapping[str, Any], floats: Mapping[str, Any]) -> Any:
            inputs = {**given, **floats}
            result = candidate.call(model, inputs, {**flat, **weights})
            outputs = result if isinstance(result, tuple) else (result,)
            pairs = zip(outputs, seeds, strict=True)
            return sum(jnp.sum(y * seed) for y, seed in pairs if seed.size)

        found = jax.jit(jax.grad(loss, argnums=(0, 1)))(weights, floats)
    return {k: np.asarray(g) for part in found for k, g in part.items()}


def against_autograd(
    ours: Arrays,
    candidate: Candidate,
    reference: Torch,
    given: Arrays,
    seeds: Sequence[np.ndarray],
    track: Track,
) -> list[Row]:
    """A row for every gradient that autograd has, too."""

    def run(inputs: Arrays, weights: Arrays | None = None) -> dict[str, np.ndarray]:
        return reference.gradients(inputs, seeds, weights)

    expected = run(given)
    samples = noisy_runs(run, candidate.network, given, track)
    return [
        metrics.compare(name, ours[name], want, [sample[name] for sample in samples])
        for name, want in expected.items()
        if name in ours
    ]


def against_differences(
    ours: Arrays,
    candidate: Candidate,
    reference: Reference,
    given: Arrays,
    seeds: Sequence[np.ndarray],
    track: Track,
) -> list[Row]:
    """A row for every gradient, by differences of the reference's loss."""

    def loss(inputs: Arrays, weights: Arrays | None = None) -> float:
        return weighted(reference.run(inputs, weights), seeds)

    samples = noisy_runs(loss, candidate.network, given, track)
    noise = max(abs(sample - loss(given)) for sample in samples)
    rng = np.random.default_rng(3)
    rows = []
    for name in track(list(ours), "differences of the reference", len(ours)):
        rows.append(
            one_difference(name, ours[name], loss, candidate, given, noise, rng)
        )
    return rows


def weighted(outputs: Sequence[np.ndarray], seeds: Sequence[np.ndarray]) -> float:
    """sum(seed * output), in double precision."""
    pairs = zip(outputs, seeds, strict=True)
    wide = ((y.astype(np.float64), s.astype(np.float64)) for y, s in pairs if s.size)
    return float(sum(np.sum(y * seed) for y, seed in wide))


def one_difference(
    name: str,
    gradient: np.ndarray,
    loss: Loss,
    candidate: Candidate,
    given: Arrays,
    noise: float,
    rng: np.random.Generator,
) -> Row:
    """The slope along the gradient and something random, which no wrong gradient has
    by accident."""
    at = given.get(name)
    at = candidate.network.weights[name] if at is None else at
    slope = gradient.astype(np.float64)
    direction = unit(slope) + unit(rng.standard_normal(slope.shape))
    size = FIRST_STEP * max(float(np.linalg.norm(at.astype(np.float64))), 1.0)
    sizes = [size / FACTOR**k for k in range(STEPS)]
    # What the gradient says of the move as it was rounded, and what the loss does.
    rates = np.array([rate(name, at, h * direction, slope, loss, given) for h in sizes])
    rates /= 2 * np.array(sizes)[:, None]
    jumps = np.abs(np.diff(rates[:, 1]))
    limits = [
        TRUNCATION * max(jumps[k - 1], jumps[k]) + metrics.SAFETY * noise / sizes[k]
        for k in range(1, STEPS - 1)
    ]
    best = int(np.argmin(limits))
    ours, theirs = rates[best + 1]
    eps = float(np.finfo(np.float32).eps)
    limit = float(limits[best] + metrics.LAST_PLACES * eps * abs(theirs))
    error = float(abs(theirs - ours))
    defined = not (np.isnan(ours) and np.isnan(theirs))  # of an exponent, sometimes
    return Row(
        name,
        tuple(gradient.shape),
        max_abs=error,
        relative=error / abs(theirs) if theirs else error,
        tolerance=limit,
        reason=""
        if error <= limit or not defined
        else f"slope {ours:.3e}, not {theirs:.3e}",
    )


def rate(
    name: str,
    at: np.ndarray,
    move: np.ndarray,
    slope: np.ndarray,
    loss: Loss,
    given: Arrays,
) -> tuple[float, float]:
    """The change of the loss between at - move and at + move: expected, and found."""
    ends = [np.asarray(at + m).astype(at.dtype) for m in (move, -move)]
    values = [at_point(loss, name, end, given) for end in ends]
    moved = ends[0].astype(np.float64) - ends[1].astype(np.float64)
    return float(np.sum(slope * moved)), values[0] - values[1]


def at_point(loss: Loss, name: str, value: np.ndarray, given: Arrays) -> float:
    """The loss with another value of one input or weight."""
    if name in given:
        return loss({**given, name: value}, None)
    return loss(given, {name: value})


def unit(x: np.ndarray) -> np.ndarray:
    """The array at norm 1; zeros stay."""
    norm = np.linalg.norm(x)
    return x / norm if norm else x
