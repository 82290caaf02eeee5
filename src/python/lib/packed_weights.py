"""Weights of a few bits each, packed into bytes, with a scale for each block."""

import jax.numpy as jnp

from quant import along_axis, dequantize


def unpack_bits(x, bits):
    """The integers of `bits` bits in the last axis of bytes x, lowest bits first."""
    width = 1 if 8 % bits else bits
    shifts = jnp.arange(0, 8, width, dtype=jnp.uint8).reshape(*[1] * x.ndim, -1)
    parts = (x[..., None] >> shifts & (2**width - 1)).reshape(*x.shape[:-1], -1)
    if width == bits:
        return parts
    parts = parts[..., : parts.shape[-1] // bits * bits].reshape(
        *x.shape[:-1], -1, bits
    )
    places = jnp.arange(bits, dtype=jnp.uint8).reshape(*[1] * x.ndim, -1)
    return jnp.sum(parts << places, axis=-1, dtype=jnp.uint8)


def unpack_blocks(packed, scales, zeros=None, groups=None, *, size, bits=4):
    """Weights (N, size) in the type of scales: (integers - zeros) * scales.

    packed is (N, blocks, bytes of a block), scales (N, blocks).  zeros are packed like
    the weights, or floats like the scales; the middle of the range where not given.
    groups (size,) says which scale and zero point an element has: those of its block
    where not given.
    """
    n, blocks, _ = packed.shape
    q = unpack_bits(packed, bits).astype(scales.dtype)
    scales = scales.reshape(n, blocks, 1)
    if zeros is None:
        zeros = jnp.full_like(scales, 2 ** (bits - 1))
    elif zeros.dtype == jnp.uint8:
        zeros = unpack_bits(zeros.reshape(n, -1), bits)[:, :blocks, None]
        zeros = zeros.astype(scales.dtype)
    else:
        zeros = zeros.reshape(n, blocks, 1)
    if groups is not None:
        q = q.reshape(n, -1, 1)[:, :size]
        scales, zeros = scales[:, groups], zeros[:, groups]
    w = (q - zeros) * scales
    return w.reshape(n, -1)[:, :size]


def unpack_codes(packed, scales, shape, block, normal=False):
    """Weights of a shape from codes of 4 bits, high bits first, times the scale of each
    block of their row-major order.

    The codes are small floats, or with normal the quantiles of a normal distribution.
    """
    half = (0, 0.0052083333, 0.6666667, 1, 0.33333333, 0.5, 0.16666667, 0.25)
    levels = (*half, *(-x for x in half))
    if normal:
        levels = (
            *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
            *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
            *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634),
            *(0.33791524171829224, 0.44070982933044434, 0.5626170039176941),
            *(0.7229568362236023, 1.0),
        )
    codes = jnp.stack([packed >> 4, packed & 15], -1).reshape(-1)
    w = jnp.asarray(levels, scales.dtype)[codes]
    scales = jnp.repeat(scales, block)
    count = shape[0] * shape[1]
    return (w[:count] * scales[:count]).reshape(shape)


def gather_blocks(data, at, scales, zeros=None, *, block, gather=0, axis=1, bits=None):
    """(data - zeros) * scales at the indices `at` along the axis gather; 0 outside.

    scales and zeros have an entry for each block along axis, and along others one or as
    many as data.  bits: data and zeros are bytes that hold integers of so many bits
    each in their last axis.
    """

    def take(x):
        if axis == gather and x is not data:
            x = jnp.broadcast_to(along_axis(x, data, axis, block), data.shape)
        elif x.shape[gather] == 1:
            x = jnp.repeat(x, data.shape[gather], gather)
        return jnp.take(x, at, gather, mode="fill", fill_value=0)

    q, scale, zero = take(data), take(scales), 0 if bits is None else 2 ** (bits - 1)
    if zeros is not None:
        zero = take(zeros)
    if bits is not None:
        q = unpack_bits(q, bits)
        zero = (
            zero if zeros is None else unpack_bits(zero, bits)[..., : scale.shape[-1]]
        )
    if axis == gather:
        axis, block = 0, 1
    elif axis > gather:
        axis += at.ndim - 1
    return dequantize(q, scale, zero, scales.dtype, axis, block)
