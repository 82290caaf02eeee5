"""Convolutions of generated modules; arrays are (N, C, ...) as in ONNX and PyTorch."""

import jax
import jax.numpy as jnp


def per_axis(value, n):
    """One value for each of n axes; an int stands for n equal ones."""
    return (value,) * n if isinstance(value, int) else value


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of x (N, C, ...) with w (M, C / groups, ...), plus bias b (M,).

    Sizes are ints or one int for each axis; padding may also be "SAME" or a
    (low, high) pair for each axis.
    """
    n = x.ndim - 2
    y = jax.lax.conv_general_dilated(
        x,
        w,
        per_axis(stride, n),
        [(padding, padding)] * n if isinstance(padding, int) else padding,
        rhs_dilation=per_axis(dilation, n),
        feature_group_count=groups,
    )
    return y if b is None else y + b.reshape(1, -1, *[1] * n)


def conv_transpose(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """Transposed convolution of x (N, C, ...) with w (C, M / groups, ...).

    padding is what the full result loses: an int, or (low, high) for each axis.
    """
    n = x.ndim - 2
    if isinstance(padding, int):
        padding = [(padding, padding)] * n
    dilation = per_axis(dilation, n)
    reach = [(k - 1) * d for k, d in zip(w.shape[2:], dilation)]
    w = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2)
    y = jax.lax.conv_general_dilated(
        x,
        jnp.flip(w.reshape(-1, *w.shape[2:]), tuple(range(2, n + 2))),
        [1] * n,
        [(r - low, r - high) for r, (low, high) in zip(reach, padding)],
        lhs_dilation=per_axis(stride, n),
        rhs_dilation=dilation,
        feature_group_count=groups,
    )
    return y if b is None else y + b.reshape(1, -1, *[1] * n)


def causal_conv(x, w, b=None, state=None, silu=False):
    """Depthwise convolution of x (B, C, T) with w (C, 1, K) over the past.

    state (B, C, K - 1) is what came before x; returns y and the state after x.
    """
    past = w.shape[-1] - 1
    if state is None:
        state = jnp.zeros((*x.shape[:2], past), x.dtype)
    x = jnp.concatenate([state, x], axis=2)
    y = conv(x, w, b, groups=x.shape[1])
    if silu:
        y = jax.nn.silu(y.astype(jnp.float32)).astype(x.dtype)
    return y, x[:, :, x.shape[2] - past :]
