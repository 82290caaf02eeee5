"""Separates what is trained."""

import jax.numpy as jnp

from oxide_xla.nest import flatten, nest


def trainable(params):
    """The part of params that PyTorch trains: all that is floating-point."""
    return {
        key: trainable(value) if isinstance(value, dict) else value
        for key, value in params.items()
        if isinstance(value, dict) or jnp.issubdtype(value.dtype, jnp.floating)
    }


def all_trainable(params):
    """The part of params that PyTorch trains: here, all of it."""
    return dict(params)


def trainable_but_frozen(params):
    """The part of params that PyTorch trains: floating-point, and not FROZEN."""
    return {
        key: x
        for key, x in params.items()
        if jnp.issubdtype(x.dtype, jnp.floating) and not f"/.{key}".endswith(FROZEN)
    }


def nested_trainable_but_frozen(params):
    """The part of params that PyTorch trains: floating-point, and not FROZEN."""
    trained = {
        key: x
        for key, x in flatten(params).items()
        if jnp.issubdtype(x.dtype, jnp.floating) and not f"/.{key}".endswith(FROZEN)
    }
    return nest(trained)


FROZEN = ()  # generated modules have their own
