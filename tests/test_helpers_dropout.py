"""The helper that drops elements: share, scale, types and gradient."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "python" / "lib"))

from dropout import dropout, dropout_with_mask

KEY = jax.random.key(0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("traced", [False, True])
def test_share_and_scale(dtype, traced):
    x = jnp.full((200, 100), 3, dtype)
    ratio = jnp.float32(0.25) if traced else 0.25
    y, kept = dropout_with_mask(x, ratio, KEY)
    assert (y.dtype, kept.dtype) == (dtype, bool)
    assert abs(kept.mean() - 0.75) < 0.02
    np.testing.assert_array_equal(y, jnp.where(kept, jnp.asarray(4, dtype), 0))
    np.testing.assert_array_equal(dropout(x, ratio, KEY), y)


def test_nothing_to_drop():
    x = jax.random.normal(KEY, (100,))
    y, kept = dropout_with_mask(x, jnp.where(False, 0.5, 0), KEY)
    assert kept.all()
    np.testing.assert_array_equal(y, x)
