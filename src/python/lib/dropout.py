"""Dropout, as it trains."""

import jax
import jax.numpy as jnp


def dropout_with_mask(x, ratio, key):
    """Zeroes a share of x, scales the rest to keep the mean, and says what was kept."""
    kept = jax.random.bernoulli(key, 1 - ratio, x.shape)
    return jnp.where(kept, x / (1 - ratio), 0).astype(x.dtype), kept


def dropout(x, ratio, key):
    """Zeroes a share of x and scales the rest to keep the mean."""
    return dropout_with_mask(x, ratio, key)[0]
