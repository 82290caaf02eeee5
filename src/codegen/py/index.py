"""Reading and writing elements by index."""

import jax
import jax.numpy as jnp


def gather_nd(x, indices, batch_dims=0):
    """x[i, j, ...] for the index tuples on the last axis of `indices`."""

    def pick(x, indices):
        return x[tuple(jnp.moveaxis(indices, -1, 0))]

    for _ in range(batch_dims):
        pick = jax.vmap(pick)
    return pick(x, indices)


def scatter_elements(x, indices, updates, axis=0, method="set"):
    """Writes updates to x at the same positions but along `axis`, given by indices."""
    index = list(jnp.indices(indices.shape, sparse=True))
    index[axis] = indices
    return getattr(x.at[tuple(index)], method)(updates)


def tensor_scatter(cache, update, start=None, axis=-2, mode="linear"):
    """Writes update into cache along an axis, from start[i] on in batch item i."""
    cache, update = jnp.moveaxis(cache, axis, 1), jnp.moveaxis(update, axis, 1)
    steps = jnp.arange(update.shape[1])
    if start is not None:
        steps = steps + start[:, None]
    if mode == "circular":
        steps = steps % cache.shape[1]
    cache = cache.at[jnp.arange(cache.shape[0])[:, None], steps].set(update)
    return jnp.moveaxis(cache, 1, axis)


def non_zero(x):
    """Indices of the elements that are not zero, one row for each axis."""
    if x.ndim == 0:
        return jnp.zeros((0, int(x != 0)), int)
    return jnp.stack(jnp.nonzero(x))


def unique_elements(x, axis=None, sort=True):
    """Unique elements, where each is first, which each element is, and how many."""
    values, first, inverse, counts = jnp.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not sort:
        order = jnp.argsort(first)
        values = jnp.take(values, order, axis=0 if axis is None else axis)
        first, counts = first[order], counts[order]
        inverse = jnp.argsort(order)[inverse]
    return values, first, inverse, counts
