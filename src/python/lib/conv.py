"""Convolutions of generated modules; arrays are (N, C, ...) as in ONNX and PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np

from prepare import in_form


def per_axis(value, n):
    """One value for each of n axes; an int stands for n equal ones."""
    return (value,) * n if isinstance(value, int) else value


def as_kernel(w):
    """Weights (M, C, ...) of a convolution as kernel (..., C, M)."""
    return jnp.moveaxis(w, (1, 0), (-2, -1))


def kernel(params, key):
    """The kernel of a convolution, whether or not prepare has made it."""
    return in_form(params, key, "kernel", as_kernel)


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of x (N, C, ...) with kernel w (..., C / groups, M), plus b (M,).

    stride and dilation may have one int for each axis.  padding may be "SAME", or
    have a (low, high) pair for each axis.
    """
    n = x.ndim - 2
    axes = "XYZUVW"[:n]
    y = jax.lax.conv_general_dilated(
        x,
        w,
        per_axis(stride, n),
        [(padding, padding)] * n if isinstance(padding, int) else padding,
        rhs_dilation=per_axis(dilation, n),
        dimension_numbers=(f"NC{axes}", f"{axes}IO", f"NC{axes}"),
        feature_group_count=groups,
    )
    return y if b is None else y + b.reshape(1, -1, *[1] * n)


def pointwise_conv(x, w, b=None, stride=1):
    """Convolution of x (N, C, ...) with weights w (M, C, 1, ...), plus bias b (M,)."""
    n = x.ndim - 2

    def product(x, w):
        if stride != 1:
            steps = (1, 1, *per_axis(stride, n))
            x = jax.lax.slice(x, (0,) * x.ndim, x.shape, steps)
        y = jnp.inner(jnp.moveaxis(x, 1, -1), w.reshape(w.shape[:2]))
        return jnp.moveaxis(y, -1, 1)

    # XLA has channels last around convolutions on a CPU, and cancels the transposes.
    y = jax.lax.platform_dependent(
        x, w, cpu=product, default=lambda x, w: conv(x, as_kernel(w), None, stride)
    )
    return y if b is None else y + b.reshape(1, -1, *[1] * n)


def sum_of_slices(x, w, stride, padding, dilation):
    """depthwise_conv without bias: the sum of slices of x times elements of kernels,
    with channels last, as XLA has them around convolutions on a CPU."""
    n = x.ndim - 2
    pads = [(padding, padding)] * n if isinstance(padding, int) else padding
    strides = None if stride == 1 else (1, *per_axis(stride, n), 1)
    z = jnp.moveaxis(x.astype(np.promote_types(x.dtype, np.float32)), 1, -1)
    z = jax.lax.pad(z, z.dtype.type(0), [(0,) * 3, *((*p, 0) for p in pads), (0,) * 3])
    reach = [k - 1 for k in w.shape[:n]]
    gaps = per_axis(dilation, n)
    if dilation != 1:
        reach = [r * d for r, d in zip(reach, gaps)]

    def term(place):
        low = place if dilation == 1 else [i * d for i, d in zip(place, gaps)]
        high = [s - r + i for s, r, i in zip(z.shape[1:], reach, low)]
        ends = z.shape[0], *high, z.shape[-1]
        window = jax.lax.slice(z, (0, *low, 0), ends, strides=strides)
        return window * w[place].reshape(*[1] * (n + 1), -1).astype(z.dtype)

    y = sum(map(term, np.ndindex(w.shape[:n])))
    return jnp.moveaxis(y.astype(x.dtype), -1, 1)


def depthwise_conv(x, w, b=None, stride=1, padding=0, dilation=1):
    """Convolution of each channel of x (N, C, ...) with its kernel of w (..., 1, C).

    stride, padding and dilation may be what conv takes, but for "SAME".
    """
    # XLA's convolution takes ten times as long on a CPU.
    y = jax.lax.platform_dependent(
        x,
        w,
        cpu=lambda x, w: sum_of_slices(x, w, stride, padding, dilation),
        default=lambda x, w: conv(x, w, None, stride, padding, dilation, x.shape[1]),
    )
    return y if b is None else y + b.reshape(1, -1, *[1] * (x.ndim - 2))


def conv_transpose(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """Transposed convolution of x (N, C, ...) with w (C, M / groups, ...).

    padding is what the full result loses: an int, or (low, high) for each axis.
    """
    n = x.ndim - 2
    reach = [k - 1 for k in w.shape[2:]]
    if dilation != 1:
        reach = [r * d for r, d in zip(reach, per_axis(dilation, n))]
    if isinstance(padding, int):
        pads = [(r - padding, r - padding) for r in reach]
    else:
        pads = [(r - low, r - high) for r, (low, high) in zip(reach, padding)]
    if groups != 1:
        w = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2)
        w = w.reshape(-1, *w.shape[2:])
    else:
        w = w.swapaxes(0, 1)
    y = jax.lax.conv_general_dilated(
        x,
        jnp.flip(w, tuple(range(2, n + 2))),
        [1] * n,
        pads,
        lhs_dilation=per_axis(stride, n),
        rhs_dilation=per_axis(dilation, n),
        feature_group_count=groups,
    )
    return y if b is None else y + b.reshape(1, -1, *[1] * n)


def causal_conv(x, w, b=None, state=None, silu=False):
    """Depthwise convolution of x (B, C, T) with w (C, 1, K) over the past.

    state (B, C, K - 1) is what came before x.  Returns y, and that for the next x.
    """
    past = w.shape[-1] - 1
    if state is None:
        state = jnp.zeros((*x.shape[:2], past), x.dtype)
    x = jnp.concatenate([state, x], axis=2)
    y = depthwise_conv(x, as_kernel(w), b)
    if silu:
        y = jax.nn.silu(y.astype(jnp.float32)).astype(x.dtype)
    return y, x[:, :, x.shape[2] - past :]
