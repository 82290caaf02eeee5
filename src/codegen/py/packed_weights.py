"""Weights of a few bits each, packed into bytes, with a scale for each block."""

import jax.numpy as jnp


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
