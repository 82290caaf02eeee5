"""Helpers for values that are padded to a bound."""

import jax
import jax.numpy as jnp


def keep_first(x, count, axis=0, fill=0):
    """x with `fill` behind its first `count` entries along an axis."""
    at = jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)
    return jnp.where(at < count, x, fill)
