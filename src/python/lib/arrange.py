"""Rearranging whole tensors, and making some."""

import jax
import jax.numpy as jnp


def reshape_with_zeros(x, shape):
    """x.reshape(shape) where a size of 0 keeps that of x."""
    return x.reshape([size or x.shape[i] for i, size in enumerate(shape)])


def flatten_at(x, axis=1):
    """A matrix with the axes before `axis` as rows and the others as columns."""
    rows = 1
    for size in x.shape[:axis]:
        rows *= size
    return x.reshape(rows, x.size // max(rows, 1))


def split_sizes(x, sizes, axis=0):
    """Parts of the given sizes along an axis."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return jnp.split(x, ends, axis=axis)


def depth_to_space(x, block, mode="DCR"):
    """Blocks of channels of x (N, C, H, W) become squares of pixels."""
    n, c, h, w = x.shape
    c //= block * block
    if mode == "DCR":
        x = x.reshape(n, block, block, c, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        x = x.reshape(n, c, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(n, c, h * block, w * block)


def space_to_depth(x, block, mode="DCR"):
    """Squares of pixels of x (N, C, H, W) become blocks of channels."""
    n, c, h, w = x.shape
    h, w = h // block, w // block
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    x = x.reshape(n, c, h, block, w, block).transpose(order)
    return x.reshape(n, c * block * block, h, w)


def reverse_sequence(x, lengths, time_axis=0, batch_axis=1):
    """Reverses the first lengths[i] steps of each sequence i."""
    x = jnp.moveaxis(x, (batch_axis, time_axis), (0, 1))
    steps = jnp.arange(x.shape[1], dtype=lengths.dtype)[None]
    lengths = lengths[:, None]
    steps = jnp.where(steps < lengths, lengths - 1 - steps, steps)
    x = x[jnp.arange(x.shape[0])[:, None], steps]
    return jnp.moveaxis(x, (0, 1), (batch_axis, time_axis))


def pad_or_cut(x, pads, axes=None, mode="constant", value=0):
    """Pads by the amounts in front, then those behind; negative ones cut."""
    axes = range(x.ndim) if axes is None else axes
    half = len(pads) // 2
    low, high = [0] * x.ndim, [0] * x.ndim
    for i, axis in enumerate(axes):
        low[axis], high[axis] = pads[i], pads[half + i]
    cuts = [slice(max(-a, 0), min(b, 0) or None) for a, b in zip(low, high)]
    widths = [(max(a, 0), max(b, 0)) for a, b in zip(low, high)]
    options = {"constant_values": value} if mode == "constant" else {}
    return jnp.pad(x[tuple(cuts)], widths, mode, **options)


def center_crop_pad(x, shape, axes=None):
    """Cuts or pads with zeros to the given sizes, keeping the center."""
    axes = range(x.ndim) if axes is None else axes
    for axis, size in zip(axes, shape):
        extra = size - x.shape[axis]
        if extra > 0:
            widths = [(0, 0)] * x.ndim
            widths[axis] = (extra // 2, extra - extra // 2)
            x = jnp.pad(x, widths)
        else:
            start = -extra // 2
            x = jax.lax.slice_in_dim(x, start, start + size, axis=axis)
    return x


def slice_axes(x, starts, ends, axes=None, steps=None):
    """x[start:end:step] along each of the axes; no start lies before the front."""
    index = [slice(None)] * x.ndim
    for i, axis in enumerate(range(len(starts)) if axes is None else axes):
        start = max(starts[i], -x.shape[axis])
        index[axis] = slice(start, ends[i], steps[i] if steps else 1)
    return x[tuple(index)]


def one_hot(indices, depth, axis=-1, dtype=float):
    """One-hot vectors along a new axis; negative indices count from the end."""
    indices = jnp.where(indices < 0, indices + depth, indices)
    return jax.nn.one_hot(indices, depth, axis=axis, dtype=dtype)


def trilu(x, k, upper=True):
    """jnp.triu or jnp.tril with a diagonal that is an array."""
    rows, columns = (jnp.arange(n) for n in x.shape[-2:])
    offset = columns[None] - rows[:, None]
    keep = jnp.broadcast_to(offset >= k if upper else offset <= k, x.shape)
    return jnp.where(keep, x, jnp.zeros_like(x))


def float8_e8m0(x, rounding="up", saturate=True):
    """Rounds positive numbers to powers of two."""
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if rounding == "up":
        carry = fraction > 0
    elif rounding == "down":
        carry = jnp.zeros_like(fraction, bool)
    else:
        carry = (fraction > 0x400000) | ((fraction == 0x400000) & (exponent > 0))
    rounded = exponent + carry.astype(exponent.dtype)
    if saturate:
        rounded = jnp.minimum(rounded, 0xFE)
    else:
        rounded = jnp.where((exponent == 0) & (fraction < 0x400000), 0xFF, rounded)
    rounded = jnp.where(jnp.isnan(x), 0xFF, jnp.minimum(rounded, 0xFF))
    return jax.lax.bitcast_convert_type(rounded.astype(jnp.uint8), jnp.float8_e8m0fnu)


def bitcast_64(x, dtype):
    """The bits of a 64-bit array as another type, for which JAX must use 64 bits."""
    if not jax.config.jax_enable_x64:
        raise TypeError("the bits of 64-bit types need jax_enable_x64")
    return jax.lax.bitcast_convert_type(x, dtype)


def round_small_float(x, mantissa, exponent, most):
    """The values of a small float type nearest to x, ties to even, without infinities.

    It has that many bits of mantissa, and is normal from 2**exponent on.
    """
    x = jnp.clip(x, -most, most)
    _, scale = jnp.frexp(x)
    step = jnp.ldexp(jnp.ones_like(x), jnp.maximum(scale - 1, exponent) - mantissa)
    return jnp.round(x / step) * step


def unfold(x, size, step=1, axis=-1):
    """All slices of that size along an axis, as a last axis, one every `step`."""
    axis %= x.ndim
    starts = jnp.arange(0, x.shape[axis] - size + 1, step)
    at = starts[:, None] + jnp.arange(size)[None]
    return jnp.moveaxis(jnp.take(x, at, axis), axis + 1, -1)
