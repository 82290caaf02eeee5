"""Dynamic time warping: the cheapest way through a matrix of costs."""

import jax
import jax.numpy as jnp


def warping_path(costs, size=None):
    """Indices (2, x) of the path of least cost from the first corner to the last.

    Steps go down, right, or both; of equal ones right comes first.  size: how many
    columns the result has, -1 where the path has ended.
    """
    rows, columns = costs.shape[-2:]
    most = rows + columns

    def column(before, costs):
        def cell(above, at):
            diagonal, left, cost = at
            down = above < jnp.minimum(diagonal, left)
            both = diagonal < jnp.minimum(above, left)
            total = cost + jnp.where(both, diagonal, jnp.where(down, above, left))
            return total, (total, jnp.where(both, 0, jnp.where(down, 1, 2)))

        steps = (before[:-1], before[1:], costs)
        _, (totals, turns) = jax.lax.scan(cell, jnp.float32(jnp.inf), steps)
        return jnp.pad(totals, (1, 0), constant_values=jnp.inf), turns

    start = jnp.full(rows + 1, jnp.inf, jnp.float32).at[0].set(0)
    _, turns = jax.lax.scan(column, start, costs.reshape(rows, columns).T)
    turns = jnp.pad(turns.T, ((1, 0), (1, 0)), constant_values=2).at[:, 0].set(1)

    def back(at, _):
        i, j = at
        turn, done = turns[i, j], (i == 0) & (j == 0)
        up = jnp.where(done | (turn == 2), 0, 1)
        left = jnp.where(done | (turn == 1), 0, 1)
        return (i - up, j - left), (i - 1, j - 1)

    _, path = jax.lax.scan(back, (rows, columns), None, length=most)
    path = jnp.stack(path)[:, ::-1].astype(jnp.int32)
    count = jnp.sum(jnp.max(path, axis=0) >= 0)
    size = int(count) if size is None else size
    at = jnp.arange(size) + most - count
    return jnp.take(path, at, axis=1, mode="fill", fill_value=-1)
