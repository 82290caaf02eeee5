"""Sequences, which are Python lists."""

import jax.numpy as jnp


def insert_at(items, item, position):
    """The items with another one before that at `position`."""
    return [*items[:position], item, *items[position:]]


def erase_at(items, position):
    """The items without that at `position`."""
    return [*items[:position], *items[position:][1:]]


def split_every(x, size, axis=0):
    """Pieces of one size along an axis; the last one may be smaller."""
    return jnp.split(x, list(range(size, x.shape[axis], size)), axis=axis)


def column(rows, i):
    """Item i of every row."""
    return [row[i] for row in rows]
