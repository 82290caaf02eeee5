"""Functions of several steps, each of which would round to the type of x: they are
computed in at least float32 and rounded once, as PyTorch does.
"""

import jax
import numpy as np


def softmax(x, axis=-1):
    """jax.nn.softmax, computed in at least float32."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return jax.nn.softmax(z, axis).astype(x.dtype)


def log_softmax(x, axis=-1):
    """jax.nn.log_softmax, computed in at least float32."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return jax.nn.log_softmax(z, axis).astype(x.dtype)


def softplus(x):
    """jax.nn.softplus, computed in at least float32."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return jax.nn.softplus(z).astype(x.dtype)


def sigmoid(x):
    """jax.nn.sigmoid, computed in at least float32."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return jax.nn.sigmoid(z).astype(x.dtype)
