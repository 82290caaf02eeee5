"""`--shape x=batch,...` and `--bound` on random models.  Each model of one row that is
accepted gives for three rows what it gives for each of them alone; each model that
selects entries gives behind a bound what it gives without.

The default run draws few models; OXIDE_XLA_RANDOM_MODELS=2000 draws as many, and
OXIDE_XLA_RANDOM_SEED=10000 says where to begin.
"""

import os

import jax
import numpy as np
import pytest

import oxide_xla
from row_models import random_model, random_selection, run

COUNT = int(os.environ.get("OXIDE_XLA_RANDOM_MODELS", "160"))
SEED = int(os.environ.get("OXIDE_XLA_RANDOM_SEED", "0"))
PARTS = 4


def agree(actual, expected, seed, model):
    np.testing.assert_allclose(
        actual, expected, rtol=1e-4, atol=1e-4, err_msg=f"seed {seed}:\n{model.graph}"
    )


def forward(compiled, *inputs):
    with jax.disable_jit():  # to compile each takes longer
        inputs = map(jax.numpy.asarray, inputs)
        return np.asarray(compiled.forward(compiled.params, *inputs))


def check_rows(seed):
    """True where the model is accepted; fails where it is wrong."""
    model, shape = random_model(seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, *shape[1:])).astype(np.float32)
    try:
        compiled = oxide_xla.compile(model, shapes={"x": ["batch", *shape[1:]]})
    except oxide_xla.OxideError:
        return False
    parts = [run(model, {"x": row[None]}) for row in x]
    if not all(np.isfinite(part).all() for part in parts):
        return False  # what 0 / 0 is does not concern us
    actual = forward(compiled, x)
    if actual.shape == parts[0].shape:
        for part in parts:
            agree(actual, part, seed, model)
        return True
    assert actual.ndim == parts[0].ndim
    [axis] = [i for i, n in enumerate(actual.shape) if n != parts[0].shape[i]]
    agree(actual, np.concatenate(parts, axis), seed, model)
    return True


def check_selection(seed):
    model, feeds = random_selection(seed)
    try:
        oxide_xla.compile(model)
    except oxide_xla.OxideError:
        return False
    try:
        compiled = oxide_xla.compile(model, bounds={"z": 5})
    except oxide_xla.OxideError as error:
        assert "OX0415" in error.messages or "OX0401" in error.messages, error.messages
        return False
    expected = run(model, feeds)
    if not np.isfinite(expected).all():
        return False
    actual = forward(compiled, feeds["x"], feeds["c"])
    assert actual.ndim == expected.ndim
    agree(actual[tuple(map(slice, expected.shape))], expected, seed, model)
    return True


def parts():
    """Half of them run in `make test-models`."""
    for part in range(PARTS):
        marks = [pytest.mark.models] if part >= PARTS // 2 else []
        yield pytest.param(part, marks=marks)


@pytest.mark.parametrize("part", parts())
@pytest.mark.parametrize("check", [check_rows, check_selection])
def test_what_is_accepted_is_right(check, part):
    seeds = range(SEED + part, SEED + COUNT, PARTS)
    accepted = sum(check(seed) for seed in seeds)
    assert accepted > len(seeds) / 10  # a test of what is refused alone shows nothing
