"""Functions of several steps, each of which would round to bfloat16: that is computed
in float32 and rounded once, as PyTorch does.
"""

import jax
import jax.numpy as jnp
import numpy as np


def softmax(x, axis=-1):
    """jax.nn.softmax, of bfloat16 in float32."""
    z = x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
    return jax.nn.softmax(z, axis).astype(x.dtype)


def log_softmax(x, axis=-1):
    """jax.nn.log_softmax, of bfloat16 in float32."""
    z = x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
    return jax.nn.log_softmax(z, axis).astype(x.dtype)


def softplus(x):
    """jax.nn.softplus, of bfloat16 in float32."""
    z = x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
    return jax.nn.softplus(z).astype(x.dtype)


def sigmoid(x):
    """jax.nn.sigmoid, of bfloat16 in float32."""
    z = x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
    return jax.nn.sigmoid(z).astype(x.dtype)


def gelu(x):
    """x times the normal distribution function of x, by erf, as PyTorch computes it."""
    # jax.nn.gelu takes erfc, which is twice as slow on a CPU
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return (0.5 * z * (1 + jax.lax.erf(0.5**0.5 * z))).astype(x.dtype)
