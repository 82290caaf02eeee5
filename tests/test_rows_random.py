"""`--shape x=batch,...` on random models of one row: each that is accepted gives for
three rows what it gives for each of them alone.

The default run draws few models; OXIDE_XLA_ROW_MODELS=2000 draws as many, and
OXIDE_XLA_ROW_SEED=10000 says where to begin.
"""

import os

import jax
import numpy as np
import pytest

import oxide_xla
from row_models import random_model, session

COUNT = int(os.environ.get("OXIDE_XLA_ROW_MODELS", "200"))
SEED = int(os.environ.get("OXIDE_XLA_ROW_SEED", "0"))
PARTS = 4


def rows_of(model, x):
    one = session(model)
    return [one.run(None, {"x": row[None]})[0] for row in x]


def join(parts, shape):
    """The results of the rows along the axis where a batch is longer."""
    if parts[0].shape == shape:
        return parts[0], parts
    assert parts[0].ndim == len(shape)
    [axis] = [i for i, n in enumerate(shape) if n != parts[0].shape[i]]
    return np.concatenate(parts, axis), None


def check(seed):
    """True where the model is accepted; fails where it is wrong."""
    model, shape = random_model(seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, *shape[1:])).astype(np.float32)
    try:
        compiled = oxide_xla.compile(model, shapes={"x": ["batch", *shape[1:]]})
    except oxide_xla.OxideError:
        return False
    parts = rows_of(model, x)
    if not all(np.isfinite(part).all() for part in parts):
        return False  # what 0 / 0 is does not concern us
    with jax.disable_jit():
        actual = np.asarray(compiled.forward(compiled.params, x))
    expected, alone = join(parts, actual.shape)
    for each in alone or [expected]:
        np.testing.assert_allclose(
            actual, each, rtol=1e-4, atol=1e-4, err_msg=f"seed {seed}:\n{model.graph}"
        )
    return True


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_accepted_keeps_rows_apart(part):
    seeds = range(SEED + part, SEED + COUNT, PARTS)
    accepted = sum(check(seed) for seed in seeds)
    assert accepted > len(seeds) / 10  # a test of what is refused alone shows nothing
