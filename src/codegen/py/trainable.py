"""Separates what gradients exist for."""

import jax.numpy as jnp


def trainable(params):
    """The floating-point part of params: what jax.grad can differentiate."""
    return {
        key: trainable(value) if isinstance(value, dict) else value
        for key, value in params.items()
        if isinstance(value, dict) or jnp.issubdtype(value.dtype, jnp.floating)
    }
