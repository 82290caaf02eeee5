"""The helpers for classic machine learning against numpy, scipy and plain loops."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "python" / "lib"))

import ml as M
import ml_tree as T

pytestmark = pytest.mark.filterwarnings("error")


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(actual, expected, rtol=2e-5, atol=2e-5):
    assert np.shape(actual) == np.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol, atol)


# ---- features and scores -------------------------------------------------------------


def test_rows_of_size_zero_stay():
    x = np.float32([[2, 4], [0, 0], [1, -1]])
    size = x.sum(axis=1, keepdims=True)
    y = jax.jit(M.divide_rows)(x, size)
    close(y, np.float32([[1 / 3, 2 / 3], [0, 0], [1, -1]]))
    assert np.isfinite(jax.grad(lambda x: M.divide_rows(x, x.sum()).sum())(x * 0)).all()


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_labels_are_found_by_bisection(dtype):
    keys = np.array([-3, 0, 5, 9], dtype)
    values = np.float32([0.1, 0.2, 0.3, 0.4])
    x = np.array([[9, 1, -3], [5, 100, -100]], dtype)
    y = jax.jit(M.encode_labels)(x, keys, values, default=-1.0)
    assert y.dtype == jnp.float32
    close(y, np.float32([[0.4, -1, 0.1], [0.3, -1, -1]]))


def test_nan_is_a_key():
    keys = np.float32([1, np.nan])
    values = np.int32([10, 20])
    y = M.encode_labels(np.float32([np.nan, 1, 2]), keys, values, default=0)
    np.testing.assert_array_equal(y, [20, 10, 0])
    y = M.encode_labels(np.float32([np.nan]), keys[:1], values[:1], default=0)
    np.testing.assert_array_equal(y, [0])


def test_softmax_without_zeros():
    x = np.float32([[1, 0, 2], [0, 0, 0], [-200, 0, -300], [3, 1, 2]])
    y = np.asarray(jax.jit(M.softmax_zero)(x))
    assert np.isfinite(jax.grad(lambda x: M.softmax_zero(x)[:, 0].sum())(x)).all()
    close(y[0, [0, 2]], scipy.special.softmax(x[0, [0, 2]]))
    close(y[3], scipy.special.softmax(x[3]))
    np.testing.assert_array_equal(y[[0, 2], 1], 0)
    close(y[1], np.float32([0.5, 0.5, 0.5]))


# ---- support vector machines ---------------------------------------------------------

COUNTS = (2, 3, 1)


def test_rbf_kernel():
    x, v = rand(4, 3), rand(5, 3, seed=1)
    expected = [[np.exp(-0.3 * ((a - b) ** 2).sum()) for b in v] for a in x]
    close(M.rbf_kernel(x, v, 0.3), np.array(expected))


def test_decisions_of_pairs():
    kernel, coefficients, rho = rand(4, 6), rand(2, 6, seed=1), rand(3, seed=2)
    classes = np.repeat(np.arange(3), COUNTS)
    expected = []
    for p, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)]):
        of_i, of_j = classes == i, classes == j
        sums = kernel[:, of_i] @ coefficients[j - 1, of_i]
        expected.append(sums + kernel[:, of_j] @ coefficients[i, of_j] + rho[p])
    actual = jax.jit(M.svm_decisions, static_argnums=3)(
        kernel, coefficients, rho, COUNTS
    )
    close(actual, np.stack(expected, axis=1))


def test_votes():
    decisions = np.float32([[1, 1, 1], [-1, 1, 1], [-1, -1, -1], [0, 0, 1]])
    np.testing.assert_array_equal(
        M.svm_votes(decisions, 3), [[2, 1, 0], [1, 2, 0], [0, 1, 2], [0, 2, 1]]
    )


def test_probabilities_of_consistent_pairs():
    """With r[i, j] = p[i] / (p[i] + p[j]) the pairs determine p."""
    p = np.float32([0.2, 0.5, 0.3])
    r = p[:, None] / (p[:, None] + p) * (1 - np.eye(3, dtype=np.float32))
    close(jax.jit(M.couple_pairs)(r), p, rtol=0.02)


def test_probabilities_of_two_classes_are_near_the_sigmoid():
    decisions = rand(6, 1) * 3
    y = jax.jit(M.svm_probabilities, static_argnums=3)(
        decisions, np.float32([-1.5]), np.float32([0.2]), 2
    )
    close(y.sum(axis=1), np.ones(6))
    sigmoid = scipy.special.expit(1.5 * decisions[:, 0] - 0.2)
    close(y[:, 0], sigmoid, atol=0.01)


# ---- trees ---------------------------------------------------------------------------

# Tree 0: node 0 on feature 0, below it node 1 on feature 1; tree 1 is leaf 3.
ROOTS = jnp.array([0, ~3], jnp.int32)
FEATURES = jnp.array([0, 1], jnp.int32)
CHILDREN = jnp.array([[1, ~0], [~1, ~2]], jnp.int32)
THRESHOLDS = jnp.array([0.0, 1.0], jnp.float32)


def reached(x):
    return T.tree_leaves(
        x, ROOTS, FEATURES, CHILDREN, lambda v, i: v <= THRESHOLDS[i], depth=2
    )


def test_leaves():
    x = np.float32([[-1, 9], [1, 9], [1, 1], [np.nan, 0]])
    np.testing.assert_array_equal(jax.jit(reached)(x), [[0, 3], [1, 3], [2, 3], [2, 3]])


def test_votes_of_leaves():
    leaves = reached(np.float32([[-1, 9], [1, 9]]))
    weights = jnp.array([1, 2, 4, 8], jnp.float32)
    targets = jnp.array([0, 2, 0, 2], jnp.int32)
    y = jax.jit(T.tree_votes, static_argnums=3)(leaves, weights, targets, 3)
    np.testing.assert_array_equal(y, [[1, 0, 8], [0, 0, 10]])
    grad = jax.grad(lambda w: T.tree_votes(leaves, w, targets, 3).sum())(weights)
    np.testing.assert_array_equal(grad, [1, 1, 0, 2])


def test_modes():
    v = np.float32([0, 1, 2, np.nan])[:, None]
    actual = T.tree_test(v, np.float32(1), np.arange(6))
    expected = [v <= 1, v < 1, v >= 1, v > 1, v == 1, (v != 1) & ~np.isnan(v)]
    np.testing.assert_array_equal(actual, np.concatenate(expected, axis=1))


def test_members():
    v = np.float32([1, 2, np.nan])
    members = np.float32([[1, np.nan], [3, 4], [np.nan, np.nan]])
    np.testing.assert_array_equal(T.is_member(v, members), [True, False, False])
    modes = np.array([6, 0, 6])
    actual = T.tree_member_test(v, np.float32(5), modes, members)
    np.testing.assert_array_equal(actual, [True, True, False])
