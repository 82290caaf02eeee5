"""Normalizations.  They are computed in at least float32 and rounded once, so that
float16 and bfloat16 models keep their accuracy.
"""

import jax
import jax.numpy as jnp
import numpy as np


def batch_norm(x, scale, bias, mean, var, eps=1e-05):
    """Normalizes channels of x (N, C, ...) by their running mean and variance (C,)."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    shape = (1, -1, *[1] * (x.ndim - 2))
    stats = [s.astype(z.dtype).reshape(shape) for s in (scale, bias, mean, var)]
    scale, bias, mean, var = stats
    y = (z - mean) * (scale * jax.lax.rsqrt(var + eps)) + bias
    return y.astype(x.dtype)


def batch_norm_train(x, scale, bias, mean, var, eps=1e-05, momentum=0.9):
    """Normalizes channels of x (N, C, ...) by the batch.

    Returns y, the new running mean and variance, and those of the batch.
    """
    axes = (0, *range(2, x.ndim))
    z = x.astype(np.promote_types(x.dtype, np.float32))
    batch_mean, batch_var = jnp.mean(z, axes), jnp.var(z, axes)
    y = batch_norm(z, scale, bias, batch_mean, batch_var, eps)
    new_mean = momentum * mean.astype(z.dtype) + (1 - momentum) * batch_mean
    new_var = momentum * var.astype(z.dtype) + (1 - momentum) * batch_var
    stats = (new_mean, new_var, batch_mean, batch_var)
    return y.astype(x.dtype), *[s.astype(mean.dtype) for s in stats]


def layer_norm(x, weight, bias=None, axis=-1, eps=1e-05):
    """Normalizes x over its last dimension, or from axis on, scales it, adds bias."""
    axes = tuple(range(axis, 0))
    z = x.astype(np.promote_types(x.dtype, np.float32))
    z = z - jnp.mean(z, axes, keepdims=True)
    z = z * jax.lax.rsqrt(jnp.mean(z * z, axes, keepdims=True) + eps)
    y = z * weight.astype(z.dtype)
    y = y if bias is None else y + bias.astype(z.dtype)
    return y.astype(x.dtype)


def layer_norm_stats(x, axis=-1, eps=1e-05):
    """Mean and inverse standard deviation that layer_norm uses, in float32."""
    axes = tuple(range(axis, 0))
    z = x.astype(np.promote_types(x.dtype, np.float32))
    mean = jnp.mean(z, axes, keepdims=True)
    var = jnp.mean(jnp.square(z - mean), axes, keepdims=True)
    return mean.astype(jnp.float32), jax.lax.rsqrt(var + eps).astype(jnp.float32)


def inverse_rms(x, axis=-1, eps=1e-05):
    """1 / root mean square of x over its last dimension, or from axis on."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return jax.lax.rsqrt(jnp.mean(z * z, tuple(range(axis, 0)), keepdims=True) + eps)


def rms_norm(x, weight, axis=-1, eps=1e-05):
    """Divides x by its root mean square over the last dimension, or from axis on.

    The result has the type of weight.
    """
    scale = inverse_rms(x, axis, eps)
    y = x.astype(scale.dtype) * scale * weight.astype(scale.dtype)
    return y.astype(weight.dtype)


def group_norm(x, groups, scale, bias, eps=1e-05):
    """Normalizes groups of channels of x (N, C, ...), then scales channels."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    z = z.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    axes = tuple(range(2, z.ndim))
    z = z - jnp.mean(z, axes, keepdims=True)
    z = z * jax.lax.rsqrt(jnp.mean(z * z, axes, keepdims=True) + eps)
    shape = (1, -1, *[1] * (x.ndim - 2))
    scale, bias = (s.astype(z.dtype).reshape(shape) for s in (scale, bias))
    return (z.reshape(x.shape) * scale + bias).astype(x.dtype)


def instance_norm(x, scale, bias, eps=1e-05):
    """Normalizes each channel of each instance of x (N, C, ...)."""
    return group_norm(x, x.shape[1], scale, bias, eps)


def local_response_norm(x, size, alpha=0.0001, beta=0.75, bias=1.0):
    """Divides x (N, C, ...) by a norm over size neighbouring channels."""
    ones = [1] * (x.ndim - 2)
    squares = jax.lax.reduce_window(
        x * x,
        0.0,
        jax.lax.add,
        (1, size, *ones),
        (1,) * x.ndim,
        ((0, 0), ((size - 1) // 2, size // 2), *[(0, 0) for _ in ones]),
    )
    return x / (bias + alpha / size * squares) ** beta


def lp_normalize(x, p=2, axis=-1):
    """Divides x by its p-norm along axis; where that is zero, the result is zero."""
    norm = jnp.linalg.norm(x, p, axis, keepdims=True)
    return x / jnp.where(norm == 0, 1, norm)
