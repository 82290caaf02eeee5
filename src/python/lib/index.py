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
    if updates.shape != indices.shape:
        raise ValueError(f"updates {updates.shape} for indices {indices.shape}")
    positions = (jnp.arange(n) for n in indices.shape)
    index = list(jnp.meshgrid(*positions, indexing="ij", sparse=True))
    index[axis] = indices
    return getattr(x.at[tuple(index)], method)(updates)


def tensor_scatter(cache, update, start=None, axis=-2, mode="linear"):
    """Writes update into cache along an axis, from start[i] on in batch item i."""
    cache, update = jnp.moveaxis(cache, axis, 1), jnp.moveaxis(update, axis, 1)
    steps = jnp.arange(update.shape[1])[None]
    if start is not None:
        steps = steps + start[:, None]
    if mode == "circular":
        steps = steps % cache.shape[1]
    cache = cache.at[jnp.arange(cache.shape[0])[:, None], steps].set(update)
    return jnp.moveaxis(cache, 1, axis)


def non_zero(x, size=None):
    """Indices of the elements that are not zero, one row for each axis.

    With a size there are that many columns; those left over hold the shape of x.
    """
    if x.ndim == 0:
        return jnp.zeros((0, int(x != 0) if size is None else size), int)
    return jnp.stack(jnp.nonzero(x, size=size, fill_value=x.shape))


def unique_elements(x, axis=None, sort=True, size=None):
    """Unique elements, where each is first, which each element is, and how many.

    With a size there are that many; those left over are the smallest, counted 0 times.
    """
    values, first, inverse, counts = jnp.unique(
        x,
        return_index=True,
        return_inverse=True,
        return_counts=True,
        axis=axis,
        size=size,
    )
    inverse = inverse.reshape(-1)
    if not sort:
        order = jnp.argsort(jnp.where(counts > 0, first, x.size))
        values = jnp.take(values, order, axis=0 if axis is None else axis)
        first, counts = first[order], counts[order]
        inverse = jnp.argsort(order)[inverse]
    return values, first, inverse, counts
