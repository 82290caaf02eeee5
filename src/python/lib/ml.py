"""Classic machine learning: features, labels, scores and support vector machines."""

import jax
import jax.numpy as jnp


def divide_rows(x, size):
    """x / size, but x itself where the size is zero."""
    return x / jnp.where(size == 0, 1, size)


def encode_labels(x, keys, values, default):
    """values[i] where x equals keys[i], which are sorted, else the default."""
    at = jnp.minimum(jnp.searchsorted(keys, x), len(keys) - 1)
    key = keys[at]
    same = (x == key) | ((x != x) & (key != key))
    return jnp.where(same, values[at], jnp.array(default, values.dtype))


def softmax_zero(scores):
    """Softmax over the scores that are not zero; zero ones stay so."""
    counts = jnp.abs(scores) > 1e-7
    y = jax.nn.softmax(scores, where=counts)
    return jnp.where(jnp.any(counts, axis=-1, keepdims=True), y, 0.5)


def rbf_kernel(x, vectors, gamma):
    """exp(-gamma |x - v|^2) of each row of x with each vector."""
    return jnp.exp(-gamma * jnp.sum((x[:, None] - vectors[None]) ** 2, axis=-1))


def svm_decisions(kernel, coefficients, rho, counts):
    """Decisions between the classes i < j, one column a pair; positive is class i.

    The support vectors lie class by class, counts[i] of class i.  Row j - 1 of the
    coefficients holds those of class i against j, row i those of class j against i.
    """
    cuts = [sum(counts[:i]) for i in range(1, len(counts))]
    blocks = zip(jnp.split(kernel, cuts, axis=1), jnp.split(coefficients, cuts, axis=1))
    sums = jnp.stack([k @ c.T for k, c in blocks], axis=1)
    i, j = jnp.triu_indices(len(counts), 1)
    return sums[:, i, j - 1] + sums[:, j, i] + rho[None]


def svm_votes(decisions, classes):
    """How many of its pairs each class wins."""
    i, j = jnp.triu_indices(classes, 1)
    winner = jnp.where(decisions > 0, i[None], j[None])
    return jnp.sum(winner[..., None] == jnp.arange(classes)[None, None], axis=1)


def svm_probabilities(decisions, a, b, classes):
    """Probabilities of classes from decisions between pairs of them: Platt's sigmoid,
    then the second method of Wu, Lin and Weng with the iterations of libsvm."""
    pair = jnp.clip(jax.nn.sigmoid(-(decisions * a[None] + b[None])), 1e-7, 1 - 1e-7)
    i, j = jnp.triu_indices(classes, 1)
    r = jnp.zeros((len(pair), classes, classes), pair.dtype)
    r = r.at[:, i, j].set(pair).at[:, j, i].set(1 - pair)
    return jax.vmap(couple_pairs)(r)


def couple_pairs(r):
    """Probabilities p of classes, where r[i, j] is that of i among i and j."""
    n = len(r)
    q = jnp.diag(jnp.sum(r**2, axis=0)) - r * r.T

    def unfinished(state):
        step, p = state
        qp = q @ p
        return (step < max(100, n)) & (jnp.max(jnp.abs(qp - p @ qp)) >= 0.005 / n)

    def improve(t, state):
        p, qp, pqp = state
        diff = (pqp - qp[t]) / q[t, t]
        pqp = (pqp + diff * (diff * q[t, t] + 2 * qp[t])) / (1 + diff) ** 2
        return p.at[t].add(diff) / (1 + diff), (qp + diff * q[t]) / (1 + diff), pqp

    def sweep(state):
        step, p = state
        qp = q @ p
        p, _, _ = jax.lax.fori_loop(0, n, improve, (p, qp, p @ qp))
        return step + 1, p

    p = jnp.full(n, 1 / n, r.dtype)
    return jax.lax.while_loop(unfinished, sweep, (0, p))[1]
