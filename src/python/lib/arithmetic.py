"""Arithmetic that jax.numpy has no name for."""

import jax
import jax.numpy as jnp
import numpy as np


def saturated(value, dtype=int):
    """Integers as an array; where JAX has no 64 bits, the nearest ones that it has."""
    value, dtype = np.asarray(value, dtype), jax.dtypes.canonicalize_dtype(dtype)
    info = jnp.iinfo(dtype)
    return jnp.asarray(np.clip(value, int(info.min), int(info.max)), dtype)


def compare_wide(compare, x, value):
    """compare(x, value) with integers for which x's type may have too few bits."""
    info = jnp.iinfo(x.dtype)
    near = np.clip(value, int(info.min), int(info.max))
    fits = compare(x, near.astype(x.dtype))
    return jnp.where(near == value, fits, compare(0, np.sign(value)))


def trunc_div(x, y):
    """Divide integers with broadcasting, rounding toward zero."""
    dtype = jnp.result_type(x, y)
    x, y = jnp.broadcast_arrays(jnp.asarray(x, dtype), jnp.asarray(y, dtype))
    return jax.lax.div(x, y)


def shift(x, axis, first):
    """x moved on by one along an axis: `first` comes in, the last drops out."""
    widths = [(0, 0, 0)] * x.ndim
    widths[axis] = (1, -1, 0)
    return jax.lax.pad(x, x.dtype.type(first), widths)


def cumsum(x, axis, exclusive=False, reverse=False):
    """Cumulative sum; `exclusive` leaves out the element itself."""
    x = jnp.flip(x, axis) if reverse else x
    x = shift(x, axis, 0) if exclusive else x
    x = jnp.cumsum(x, axis)
    return jnp.flip(x, axis) if reverse else x


def cumprod(x, axis, exclusive=False, reverse=False):
    """Cumulative product; `exclusive` leaves out the element itself."""
    x = jnp.flip(x, axis) if reverse else x
    x = shift(x, axis, 1) if exclusive else x
    x = jnp.cumprod(x, axis)
    return jnp.flip(x, axis) if reverse else x


def top_k(x, k, axis=-1, largest=True):
    """The k largest or smallest along an axis, best first, and their indices.

    NaN is larger than all numbers.
    """
    if largest:
        values, indices = jax.lax.top_k(x, k, axis=axis)
    elif jnp.issubdtype(x.dtype, jnp.integer):
        values, indices = jax.lax.top_k(~x, k, axis=axis)
        values = ~values
    else:
        order = jnp.argsort(x, axis)
        indices = jax.lax.slice_in_dim(order, 0, k, axis=axis)
        values = jnp.take_along_axis(x, indices, axis)
    return values, indices.astype(int)


def hardmax(x, axis=-1):
    """One at the first maximum along an axis, zero elsewhere."""
    if x.shape[axis] == 0:
        return x
    index = jnp.argmax(x, axis)
    return jax.nn.one_hot(index, x.shape[axis], dtype=x.dtype, axis=axis)
