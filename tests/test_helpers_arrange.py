"""The helpers that move elements, under jit, vmap and grad as well."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.test_util import check_grads

import arrange
import index

X = jnp.arange(24.0).reshape(2, 3, 4)


def test_reshape_keeps_sizes_that_are_zero():
    assert arrange.reshape_with_zeros(X, (0, -1)).shape == (2, 12)
    assert arrange.reshape_with_zeros(X, (4, 0, 2)).shape == (4, 3, 2)


@pytest.mark.parametrize("axis, shape", [(0, (1, 24)), (1, (2, 12)), (-1, (6, 4))])
def test_flatten(axis, shape):
    assert arrange.flatten_at(X, axis).shape == shape


def test_flatten_of_nothing():
    assert arrange.flatten_at(jnp.zeros((0, 3)), 1).shape == (0, 0)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_space_to_depth_undoes_depth_to_space(mode):
    x = jnp.arange(96.0).reshape(1, 8, 3, 4)
    y = arrange.depth_to_space(x, 2, mode)
    assert y.shape == (1, 2, 6, 8)
    np.testing.assert_array_equal(arrange.space_to_depth(y, 2, mode), x)


def test_pad_or_cut():
    x = arrange.pad_or_cut(jnp.arange(5), (2, -1))
    np.testing.assert_array_equal(x, [0, 0, 0, 1, 2, 3])
    x = arrange.pad_or_cut(X, (-1, 1), axes=(-1,), mode="edge")
    np.testing.assert_array_equal(x[0, 0], [1, 2, 3, 3])


@pytest.mark.parametrize("size, start", [(2, 1), (3, 0), (6, -1), (5, 0)])
def test_center_crop_pad(size, start):
    x = arrange.center_crop_pad(jnp.arange(1, 5), (size,))
    expected = [i if 1 <= i <= 4 else 0 for i in range(start + 1, start + 1 + size)]
    np.testing.assert_array_equal(x, expected)


def test_one_hot_wraps_negative_indices():
    hot = arrange.one_hot(jnp.array([-1, 0, 3, -4]), 3)
    np.testing.assert_array_equal(hot, [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]])


def test_trilu_with_a_traced_diagonal():
    for k in range(-4, 5):
        for upper, exact in ((True, jnp.triu), (False, jnp.tril)):
            made = jax.jit(arrange.trilu, static_argnums=2)(X, jnp.array(k), upper)
            np.testing.assert_array_equal(made, exact(X, k))


def test_gather_nd_is_numpy_indexing():
    at = jnp.array([[[0, 1], [1, 2]], [[1, 0], [0, 2]]])
    made = jax.jit(index.gather_nd)(X, at)
    np.testing.assert_array_equal(made, np.asarray(X)[at[..., 0], at[..., 1]])
    batched = index.gather_nd(X, jnp.array([[[2]], [[-1]]]), batch_dims=1)
    np.testing.assert_array_equal(batched, X[:, 2:3])


@pytest.mark.parametrize("method", ["set", "add", "max"])
def test_scatter_elements_differentiates(method):
    at = jnp.array([[[2, 0, 1, 0]]])
    updates = jnp.full((1, 1, 4), 30.5)

    @jax.jit
    def scatter(x, updates):
        return index.scatter_elements(x, at, updates, axis=1, method=method)

    check_grads(scatter, (X, updates), order=1, modes=["fwd", "rev"], rtol=1e-2)
    many = jax.vmap(scatter)(X[:, None], jnp.stack([updates, -updates]))
    np.testing.assert_array_equal(many[1], scatter(X[1:], -updates))


@pytest.mark.parametrize("mode, start", [("linear", [0, 1]), ("circular", [2, 5])])
def test_tensor_scatter(mode, start):
    made = index.tensor_scatter(X, -X[:, :2], jnp.array(start), axis=1, mode=mode)
    expected = np.array(X)
    for i, first in enumerate(start):
        for step in range(2):
            expected[i, (first + step) % 3] = -X[i, step]
    np.testing.assert_array_equal(made, expected)


def test_reverse_sequence():
    made = jax.jit(arrange.reverse_sequence)(X, jnp.array([2, 1, 0]))
    np.testing.assert_array_equal(made[:, 0], X[::-1, 0])
    np.testing.assert_array_equal(made[:, 1:], X[:, 1:])


def test_unique_in_the_order_of_the_data():
    values, first, inverse, counts = index.unique_elements(
        jnp.array([3, 1, 1, 5, 3]), sort=False
    )
    np.testing.assert_array_equal(values, [3, 1, 5])
    np.testing.assert_array_equal(first, [0, 1, 3])
    np.testing.assert_array_equal(inverse, [0, 1, 1, 2, 0])
    np.testing.assert_array_equal(counts, [2, 2, 1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("small", "layout"),
    [
        (ml_dtypes.float6_e2m3fn, (3, 0, 7.5)),
        (ml_dtypes.float6_e3m2fn, (2, -2, 28.0)),
    ],
)
def test_round_small_float(small, layout, dtype):
    x = jnp.concatenate([jnp.linspace(-40, 40, 4001), jnp.linspace(-1, 1, 1025)])
    x = jnp.append(x, jnp.array([0.0, -0.0, 1e-30, jnp.inf, -jnp.inf])).astype(dtype)
    y = jax.jit(lambda x: arrange.round_small_float(x, *layout))(x)
    assert y.dtype == dtype
    expected = np.asarray(x).astype(np.float32).astype(small).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(y, np.float32), expected)
