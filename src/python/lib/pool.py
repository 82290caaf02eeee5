"""Pooling over the spatial axes of (N, C, ...).

Sizes are ints or one int for each axis; padding is an int or a (low, high) pair for
each axis.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from conv import per_axis


def reduce_windows(x, start, reduce, window, stride, padding):
    """Reduces windows of the spatial axes of x (N, C, ...), beginning with start."""
    n = x.ndim - 2
    pads = [(padding, padding)] * n if isinstance(padding, int) else padding
    # XLA has channels last around convolutions on a CPU, and cancels the transposes.
    y = jax.lax.reduce_window(
        jnp.moveaxis(x, 1, -1),
        start,
        reduce,
        (1, *per_axis(window, n), 1),
        (1, *per_axis(stride, n), 1),
        ((0, 0), *pads, (0, 0)),
    )
    return jnp.moveaxis(y, -1, 1)


def max_pool(x, window, stride=1, padding=0):
    """Largest element of each window of x (N, C, ...)."""
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    least = x.dtype.type(-jnp.inf if floating else jnp.iinfo(x.dtype).min)
    return reduce_windows(x, least, jax.lax.max, window, stride, padding)


def avg_pool(x, window, stride=1, padding=0):
    """Mean of each window of x (N, C, ...); zeros of the padding count."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    total = reduce_windows(z, 0.0, jax.lax.add, window, stride, padding)
    return (total / math.prod(per_axis(window, x.ndim - 2))).astype(x.dtype)


def avg_pool_inside(x, window, stride=1, padding=0):
    """Mean of the elements of each window that lie inside x (N, C, ...)."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    total = reduce_windows(z, 0.0, jax.lax.add, window, stride, padding)
    ones = jnp.ones((1, 1, *x.shape[2:]), z.dtype)
    count = reduce_windows(ones, 0.0, jax.lax.add, window, stride, padding)
    return (total / count).astype(x.dtype)


def lp_pool(x, p, window, stride=1, padding=0):
    """p-norm of each window of x (N, C, ...)."""
    z = jnp.abs(x).astype(np.promote_types(x.dtype, np.float32)) ** p
    total = reduce_windows(z, 0.0, jax.lax.add, window, stride, padding)
    return (total ** (1 / p)).astype(x.dtype)


def extract_windows(x, window, stride=1, padding=0, dilation=1, fill=0):
    """The elements of each window of x (N, C, ...) along a new last axis."""
    n = x.ndim - 2
    pads = [(padding, padding)] * n if isinstance(padding, int) else padding
    x = jnp.pad(x, ((0, 0), (0, 0), *pads), constant_values=fill)
    sizes = per_axis(window, n)
    each = zip(sizes, per_axis(stride, n), per_axis(dilation, n))
    for axis, (size, step, gap) in enumerate(each, 2):
        count = (x.shape[axis] - (size - 1) * gap - 1) // step + 1
        index = step * jnp.arange(count)[:, None] + gap * jnp.arange(size)[None]
        x = jnp.moveaxis(jnp.take(x, index, axis), axis + 1, -1)
    return x.reshape(*x.shape[:-n], math.prod(sizes))


def max_pool_indices(
    x, window, stride=1, padding=0, dilation=1, least=-jnp.inf, column_major=False
):
    """Largest element of each window of x (N, C, ...), and its place in x.ravel()."""
    places = jnp.arange(x.size).reshape(x.shape)
    if column_major:
        places = places.reshape(*x.shape[:2], *x.shape[:1:-1])
        places = places.transpose(0, 1, *range(x.ndim - 1, 1, -1))
    values = extract_windows(x, window, stride, padding, dilation, least)
    places = extract_windows(places, window, stride, padding, dilation)
    best = jnp.argmax(values, -1, keepdims=True)
    pick = [jnp.take_along_axis(a, best, -1)[..., 0] for a in (values, places)]
    return tuple(pick)


def global_mean(x, keepdims=False):
    """The mean of each channel of x (N, C, ...), at least in float32, rounded once.

    On a CPU it is a product with ones: XLA would fuse a sum with the layers before it,
    and compute them slowly (jax#37465).
    """
    axes = tuple(range(2, x.ndim))

    def product(x):
        z = x.astype(np.promote_types(x.dtype, np.float32))
        ones = jnp.ones(x.shape[2:], z.dtype)
        mean = jnp.tensordot(z, ones, ones.ndim, precision="highest") / ones.size
        return (jnp.expand_dims(mean, axes) if keepdims else mean).astype(x.dtype)

    def mean(x):
        return jnp.mean(x, axes, keepdims=keepdims)

    return jax.lax.platform_dependent(x, cpu=product, default=mean)
