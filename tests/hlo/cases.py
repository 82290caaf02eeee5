"""One lowered model against the generated module: what both return for the same
arguments, and how a difference is judged."""

import jax
import numpy as np

import oxide_xla
from hlo import consumers

# jaxlib's own client gives the same bits for all that was tried; another compiler, or
# another version of XLA, fuses otherwise, which is this many units in the last place of
# the largest element.
ULPS = 4


def expected(model, inputs, x64):
    """What the generated module returns, flat."""
    with jax.enable_x64(x64):
        arrays = jax.tree.map(jax.numpy.asarray, list(inputs))
        options = {"key": jax.random.key(0)} if draws(model) else {}
        result = model.forward(model.params, *arrays, **options)
        return [np.asarray(x) for x in jax.tree.leaves(result)]


def draws(model):
    return "*, key" in model.source.partition("def forward(")[2].partition(")")[0]


def arguments(model, lowered, inputs):
    """What `main` takes, by position."""
    with jax.enable_x64(lowered.x64):
        flat = [np.asarray(jax.numpy.asarray(x)) for x in jax.tree.leaves(list(inputs))]
        if draws(model):
            flat.append(np.asarray(jax.random.key_data(jax.random.key(0))))
    given = [*lowered.weights.values(), *flat]
    wanted = [(t.dtype, len(t.shape)) for t in lowered.signature.arguments]
    assert [(x.dtype.name, x.ndim) for x in given] == wanted
    return given


def distance(actual, wanted):
    """How far results are, in units in the last place of the largest element."""
    assert actual.dtype == wanted.dtype and actual.shape == wanted.shape
    if actual.tobytes() == wanted.tobytes() or not actual.size:
        return 0.0
    if not jax.numpy.issubdtype(actual.dtype, np.inexact):
        return 0.0 if np.array_equal(actual, wanted) else np.inf
    kind = np.complex128 if actual.dtype.kind == "c" else np.float64
    a, b = actual.astype(kind), wanted.astype(kind)
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return np.inf
    same = (a == b) | np.isnan(b)
    gap = np.where(same, 0, np.abs(np.where(same, 0, a) - np.where(same, 0, b)))
    most = np.max(np.abs(b), initial=0, where=np.isfinite(b))
    unit = float(jax.numpy.finfo(actual.dtype).eps) * max(float(most), 1e-30)
    return float(np.max(gap)) / unit


def compare(actual, wanted):
    """The largest distance of corresponding results."""
    assert len(actual) == len(wanted)
    return max((distance(a, b) for a, b in zip(actual, wanted)), default=0.0)


def run_and_compare(model, lowered, inputs, run=consumers.run_jaxlib):
    """The distance between a consumer's results and those of the generated module."""
    results = run(lowered.text, arguments(model, lowered, inputs))
    return compare(results, expected(model, inputs, lowered.x64))


def check(model, inputs, *, run=consumers.run_jaxlib, x64=False, **options):
    """Lowers a compiled model and runs it on inputs; the StableHlo. What is raised is a
    failure of ours or of the consumer."""
    lowered = oxide_xla.to_stablehlo(model, x64=x64, **options)
    assert run_and_compare(model, lowered, inputs, run) <= ULPS
    return lowered
