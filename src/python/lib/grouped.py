"""Products of groups of rows with a matrix each."""

import jax
import jax.numpy as jnp


def grouped_matmul(x, weight, offsets):
    """x[offsets[i - 1] : offsets[i]] @ weight[i] for each i; other rows are zeros."""
    sizes = jnp.diff(offsets, prepend=jnp.zeros(1, offsets.dtype))
    return jax.lax.ragged_dot(x, weight, sizes)
