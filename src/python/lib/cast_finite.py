"""Casts between float types."""

import jax.numpy as jnp


def cast_finite(x, dtype):
    """x in another float type, where finite numbers stay finite, as masks need it."""
    if x.dtype == dtype:
        return x
    y, limits = x.astype(dtype), jnp.finfo(dtype)
    return jnp.where(jnp.isfinite(x), jnp.clip(y, limits.min, limits.max), y)
