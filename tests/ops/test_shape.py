"""Operators that read and change shapes."""

import numpy as np
import pytest
from harness import check_node, compile_fails


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


X = rand(2, 3, 4)

# ---- Shape, Size ---------------------------------------------------------------------


@pytest.mark.parametrize("opset", [1, 13, 15, 25])
def test_shape(opset):
    check_node("Shape", [X], opset=opset)


@pytest.mark.parametrize(
    "attrs",
    [{"start": 1}, {"start": -1}, {"end": -1}, {"start": 1, "end": 2}, {"start": 9}],
    ids=str,
)
def test_part_of_a_shape(attrs):
    check_node("Shape", [X], attrs, dynamic="unique")


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_size(shape):
    check_node("Size", [rand(*shape)], opset=13)


# ---- Reshape -------------------------------------------------------------------------

RESHAPES = [
    # asked for, generated for static shapes
    ((0, -1), "data.reshape(2, 12)"),
    ((-1, 4), "data.reshape(6, 4)"),
    ((0, 0, 2, -1), "data.reshape(2, 3, 2, 2)"),
    ((24,), "data.reshape(24)"),
    ((2, 3, 4), "return data\n"),
    ((1, 2, 1, 3, 4), "data.reshape(1, 2, 1, 3, 4)"),
]


@pytest.mark.parametrize("shape, code", RESHAPES, ids=str)
def test_reshape(shape, code):
    inputs = [X, ints(*shape)]
    check_node("Reshape", inputs, constant=["shape"], contains=code, dynamic="unique")


@pytest.mark.parametrize("opset", [5, 13, 14, 25])
def test_reshape_versions(opset):
    check_node("Reshape", [X, ints(0, -1)], opset=opset, constant=["shape"])


def test_reshape_by_attribute():
    attrs = {"shape": [0, -1]}
    check_node("Reshape", [X], attrs, opset=1, expected=[X.reshape(2, 12)])


def test_reshape_to_a_scalar():
    check_node("Reshape", [rand(1), ints()], constant=["shape"])


def test_reshape_allows_zero():
    x = np.zeros((0, 3), np.float32)
    check_node("Reshape", [x, ints(3, 0)], {"allowzero": 1}, constant=["shape"])


@pytest.mark.parametrize("shape, allowzero", [((0, -1), 0), ((4, 6), 0), ((4, 6), 1)])
def test_reshape_at_run_time(shape, allowzero):
    attrs = {"allowzero": allowzero}
    source = check_node("Reshape", [X, ints(*shape)], attrs, infer=False)
    assert "@jax.jit" not in source
    assert "# Not jitted" in source


def test_reshape_to_another_size_fails():
    inputs = [X, ints(5, 5)]
    compile_fails("Reshape", inputs, constant=["shape"], message="number of elements")


# ---- Flatten -------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3])
def test_flatten(axis):
    check_node("Flatten", [X], {"axis": axis}, dynamic="unique")


@pytest.mark.parametrize("opset", [1, 9, 11, 13, 25])
def test_flatten_versions(opset):
    check_node("Flatten", [X], opset=opset)


def test_flatten_of_a_matrix_is_nothing():
    check_node("Flatten", [rand(3, 4)], contains="return input\n")


# ---- Squeeze, Unsqueeze --------------------------------------------------------------


@pytest.mark.parametrize("axes", [(1,), (-3,), (1, 3), (-1, 1)])
def test_squeeze(axes):
    check_node("Squeeze", [rand(2, 1, 3, 1), ints(*axes)], constant=["axes"])


@pytest.mark.parametrize("opset", [1, 11])
def test_squeeze_by_attribute(opset):
    check_node("Squeeze", [rand(1, 2, 1, 3)], {"axes": [0, 2]}, opset=opset)


@pytest.mark.parametrize("opset", [1, 11, 13, 25])
def test_squeeze_all(opset):
    check_node("Squeeze", [rand(1, 2, 1, 3)], opset=opset, dynamic=False)


def test_squeeze_at_run_time():
    check_node("Squeeze", [rand(1, 2, 1), ints(0, -1)], infer=False)


UNSQUEEZES = [
    ((0,), "data[None]"),
    ((1,), "data[:, None]"),
    ((-1,), "data[..., None]"),
    ((0, 4), "data[None, :, :, :, None]"),
    ((2, 0), "data[None, :, None]"),
]


@pytest.mark.parametrize("axes, code", UNSQUEEZES, ids=str)
def test_unsqueeze(axes, code):
    check_node("Unsqueeze", [X, ints(*axes)], constant=["axes"], contains=code)


@pytest.mark.parametrize("opset", [1, 11])
def test_unsqueeze_by_attribute(opset):
    check_node("Unsqueeze", [X], {"axes": [0, 2]}, opset=opset)


def test_unsqueeze_a_scalar():
    check_node("Unsqueeze", [rand(), ints(0)], constant=["axes"])


def test_unsqueeze_at_run_time():
    check_node("Unsqueeze", [X, ints(-1, 1)], infer=False)


# ---- Transpose -----------------------------------------------------------------------

TRANSPOSES = [
    (X, None, "data.transpose(2, 1, 0)"),
    (X, [0, 2, 1], "data.swapaxes(-1, -2)"),
    (X, [1, 0, 2], "data.transpose(1, 0, 2)"),
    (X, [0, 1, 2], "return data\n"),
    (rand(3, 4), None, "data.T"),
    (rand(3, 4), [1, 0], "data.T"),
    (rand(3), None, "return data\n"),
    (rand(2, 3, 4, 5), [0, 2, 1, 3], "data.transpose(0, 2, 1, 3)"),
]


@pytest.mark.parametrize("x, perm, code", TRANSPOSES, ids=lambda v: str(np.shape(v)))
def test_transpose(x, perm, code):
    attrs = {} if perm is None else {"perm": perm}
    check_node("Transpose", [x], attrs, opset=13, contains=code)


def test_transpose_needs_a_permutation():
    compile_fails("Transpose", [X], {"perm": [0, 0, 1]}, message="permutation")


# ---- Expand --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 1, 6), (3, 4), (1,), (3, 1), (2, 3, 4)])
@pytest.mark.parametrize("dynamic", [True, "unique"])
def test_expand(shape, dynamic):
    inputs = [rand(3, 1), ints(*shape)]
    # An unknown size may be 1 and take any other, or be that other.
    check_node("Expand", inputs, opset=13, constant=["shape"], dynamic=dynamic)


def test_expand_at_run_time():
    source = check_node("Expand", [rand(3, 1), ints(2, 1, 6)], opset=8, infer=False)
    assert "broadcast_shapes" in source
