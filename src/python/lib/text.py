"""Features of sequences of tokens."""

import jax.numpy as jnp


def count_ngrams(x, ngrams, columns, size, max_skip=0):
    """How often each of ngrams (G, n) occurs in x (..., T): counts (..., size).

    ngrams[i] is counted in columns[i].  Its tokens may be up to max_skip + 1 apart, all
    by the same distance.
    """
    ngrams, columns = jnp.array(ngrams, x.dtype), jnp.array(columns)
    n = ngrams.shape[1]
    ngrams = ngrams.reshape(*[1] * x.ndim, -1, n)
    counts = jnp.zeros((*x.shape[:-1], size), jnp.float32)
    for step in range(1, max_skip + 2):
        windows = x.shape[-1] - step * (n - 1)
        if windows > 0:
            at = jnp.arange(windows)[:, None] + step * jnp.arange(n)[None]
            found = jnp.all(x[..., at][..., None, :] == ngrams, axis=-1)
            total = jnp.sum(found, axis=-2, dtype=counts.dtype)
            counts = counts.at[..., columns].add(total)
    return counts
