"""Weights of a few bits each, packed into bytes, with a scale for each block."""

import jax.numpy as jnp

from quant import along_axis, dequantize


def unpack_bits(x, bits):
    """The integers of `bits` bits in the last axis of bytes x, lowest bits first."""
    shifts = jnp.arange(0, 8, bits, dtype=jnp.uint8)
    return (x[..., None] >> shifts & (2**bits - 1)).reshape(*x.shape[:-1], -1)


def unpack_blocks(packed, scales, zeros=None, *, size, bits=4):
    """Weights (N, size) in the type of scales: (integers - zeros) * scales.

    packed is (N, blocks, bytes of a block), scales (N, blocks).  zeros are packed like
    the weights, or floats like the scales; the middle of the range where not given.
    """
    n, blocks, _ = packed.shape
    q = unpack_bits(packed, bits).astype(scales.dtype)
    if zeros is None:
        zeros = 2 ** (bits - 1)
    elif zeros.dtype == jnp.uint8:
        zeros = unpack_bits(zeros.reshape(n, -1), bits)[:, :blocks, None]
        zeros = zeros.astype(scales.dtype)
    else:
        zeros = zeros.reshape(n, blocks, 1)
    w = (q - zeros) * scales.reshape(n, blocks, 1)
    return w.reshape(n, -1)[:, :size]


def gather_blocks(data, at, scales, zeros=None, *, block, gather=0, axis=1, bits=None):
    """(data - zeros) * scales at the indices `at` along the axis gather; 0 outside.

    scales and zeros have an entry for each block along axis.  bits: data and zeros are
    bytes that hold integers of so many bits each in their last axis.
    """

    def take(x):
        if axis == gather and x is not data:
            x = jnp.broadcast_to(along_axis(x, data, axis, block), data.shape)
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
