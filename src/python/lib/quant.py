"""Linear quantization.  Scales and zero points are scalars, or hold one entry for each
index along an axis of x, or one for each block of that axis.
"""

import jax.numpy as jnp


def along_axis(s, x, axis, block):
    """The scale or zero point s in a shape that broadcasts to x."""
    s = jnp.asarray(s)
    if s.size == 1:
        return s.reshape(())
    if block:
        return jnp.repeat(s, block, axis)[tuple(map(slice, x.shape))]
    shape = [1] * x.ndim
    shape[axis] = -1
    return s.reshape(shape)


def clip_to(y, dtype):
    """y in an integer type, clipped to what that holds."""
    info = jnp.iinfo(dtype)
    return jnp.clip(y, info.min, info.max).astype(dtype)


def quantize(x, scale, zero_point=0, dtype=jnp.uint8, axis=1, block=0):
    """x / scale + zero_point as integers: rounded half to even, then clipped."""
    y = jnp.round(x / along_axis(scale, x, axis, block)).astype(jnp.float32)
    zero = along_axis(zero_point, x, axis, block).astype(jnp.float32)
    return clip_to(y + zero, dtype)


def quantize_float(x, scale, zero_point=0, *, dtype, axis=1, block=0, saturate=True):
    """x / scale + zero_point in a small float type, clipped to its finite range."""
    y = x / along_axis(scale, x, axis, block)
    y = y + along_axis(zero_point, x, axis, block).astype(y.dtype)
    if saturate:
        largest = float(jnp.finfo(dtype).max)
        y = jnp.clip(y, -largest, largest)
    return y.astype(dtype)


def dequantize(x, scale, zero_point=0, dtype=None, axis=1, block=0):
    """(x - zero_point) * scale, in the type of scale where none is given."""
    dtype = dtype or getattr(scale, "dtype", jnp.float32)
    wide = jnp.int32 if jnp.issubdtype(x.dtype, jnp.integer) else jnp.float32
    zero = along_axis(zero_point, x, axis, block).astype(wide)
    y = (x.astype(wide) - zero).astype(jnp.float32)
    return (y * along_axis(scale, x, axis, block).astype(jnp.float32)).astype(dtype)


def dynamic_quantize(x):
    """x as uint8 over its own range, with the scale and zero point of that."""
    low, high = jnp.min(x, initial=0), jnp.max(x, initial=0)
    scale = jnp.where(high == low, 1, (high - low) / 255)
    zero = jnp.round(jnp.clip(-low / scale, 0, 255))
    y = jnp.clip(jnp.round(x / scale) + zero, 0, 255)
    return y.astype(jnp.uint8), scale, zero.astype(jnp.uint8)


def dynamic_matmul(a, b, b_scale, b_zero=0):
    """a @ ((b - b_zero) * b_scale), where a is quantized over its own range first.

    b holds integers; b_scale and b_zero are scalars, or have an entry for each column.
    """
    a, a_scale, a_zero = dynamic_quantize(a)
    b = b.astype(jnp.int32)
    b = b - jnp.broadcast_to(jnp.asarray(b_zero).astype(jnp.int32), b.shape)
    y = (a.astype(jnp.int32) - a_zero.astype(jnp.int32)) @ b
    return y.astype(a_scale.dtype) * jnp.broadcast_to(a_scale * b_scale, y.shape)


def requantize(x, scale, zero_point=0, dtype=jnp.uint8):
    """Sums x times scale, rounded half to even, plus zero_point, then clipped."""
    y = jnp.round(x.astype(jnp.float32) * scale) + jnp.asarray(zero_point, jnp.float32)
    return clip_to(y, dtype)
