"""Loops that are more than one call of jax.lax."""

import jax
import jax.numpy as jnp


def refuse(node):
    """Fails: the shapes of the inputs ask a node for a branch that cannot run."""
    raise ValueError(f"{node}: the branch for these inputs cannot run")


def while_loop(body, keep, state, limit=None):
    """Repeats keep, *state = body(i, keep, *state) while keep, up to limit times."""

    def proceeds(carry):
        if limit is None:
            return carry[1]
        i, keep, _ = carry
        return keep & (i < limit)

    def step(carry):
        i, keep, state = carry
        keep, *state = body(i, keep, *state)
        return i + 1, keep.reshape(()), tuple(state)

    carry = jnp.array(0, int), jnp.asarray(keep).reshape(()), tuple(state)
    return jax.lax.while_loop(proceeds, step, carry)[2]


def unroll(body, count, state, empty=()):
    """Repeats *state, *rows = body(i, *state) in Python, so that shapes may change.

    Returns the last state and the stacked rows, which are `empty` after no iteration.
    """
    rows = [[] for _ in empty]
    for i in range(count):
        values = body(i, *state)
        state = values[: len(state)]
        for row, value in zip(rows, values[len(state) :]):
            row.append(value)
    return *state, *(jnp.stack(row) if row else e for row, e in zip(rows, empty))


def python_loop(body, keep, state, limit=None, empty=()):
    """Repeats keep, *state, *rows = body(i, keep, *state) in Python while keep.

    Returns the last state and the stacked rows, which are `empty` after no iteration.
    """
    rows = [[] for _ in empty]
    i = 0
    while keep and (limit is None or i < limit):
        keep, *values = body(jnp.array(i, int), jnp.asarray(keep), *state)
        state = values[: len(state)]
        for row, value in zip(rows, values[len(state) :]):
            row.append(value)
        i += 1
    return *state, *(jnp.stack(row) if row else e for row, e in zip(rows, empty))


def scan_batch(body, init, xs, lengths=None, reverse=None):
    """lax.scan over axis 1 of xs for every item of the batch on axis 0.

    Item i takes lengths[i] steps, after which its rows are zeros; `reverse` says which
    of the xs are taken backwards.
    """

    def scan(init, xs, length):
        leaves, tree = jax.tree.flatten(xs)
        steps = jnp.arange(len(leaves[0]))
        for k, backwards in enumerate(reverse or ()):
            if backwards:
                leaves[k] = leaves[k][length - 1 - steps]

        def step(carry, x):
            i, x = x
            state, rows = body(carry, x)
            state = jax.tree.map(lambda a, b: jnp.where(i < length, a, b), state, carry)
            rows = jax.tree.map(lambda a: jnp.where(i < length, a, 0), rows)
            return state, rows

        return jax.lax.scan(step, init, (steps, jax.tree.unflatten(tree, leaves)))

    if lengths is None:
        lengths = jnp.full(*jax.tree.leaves(xs)[0].shape[:2])
    return jax.vmap(scan)(init, xs, lengths)
