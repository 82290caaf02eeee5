"""Tree ensembles.  Nodes of all trees are numbered through; ~i stands for leaf i."""

import jax
import jax.numpy as jnp


def tree_leaves(x, roots, features, children, test, depth):
    """The leaf that each row of x reaches in each tree.

    test(v, node) says whether v, the value of the node's feature, passes; children
    holds where to go when it does not, and when it does.
    """

    def descend(_, at):
        node = jnp.maximum(at, 0)
        v = jnp.take_along_axis(x, features[node], axis=1)
        passed = test(v, node).astype(jnp.int32)
        return jnp.where(at < 0, at, children[node, passed])

    start = jnp.broadcast_to(roots, (x.shape[0], roots.shape[0]))
    return ~jax.lax.fori_loop(0, depth, descend, start)


def tree_votes(leaves, weights, targets, count):
    """Sums over the trees of the weight of each leaf, in the column of its target."""
    rows = jnp.arange(leaves.shape[0])[:, None]
    scores = jnp.zeros((leaves.shape[0], count), weights.dtype)
    return scores.at[rows, targets[leaves]].add(weights[leaves])


def tree_test(v, threshold, mode):
    """v against a threshold by mode: <=, <, >=, >, ==, != from 0 to 5.  NaN fails."""
    less, equal, more = v < threshold, v == threshold, v > threshold
    tests = [less | equal, less, more | equal, more, equal, less | more]
    return jnp.select([mode == i for i in range(6)], tests, False)


def tree_member_test(v, threshold, mode, members):
    """tree_test with mode 6: v is among the members."""
    return jnp.where(mode == 6, is_member(v, members), tree_test(v, threshold, mode))


def is_member(v, members):
    """Whether v (...) is one of members (..., n), which NaN fills up."""
    return jnp.any(v[..., None] == members, axis=-1)
