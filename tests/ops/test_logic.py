"""Comparisons, logic and selection at every version of the operators."""

import numpy as np
import pytest
from harness import check_node, compile_fails

F32 = np.float32


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(F32)


COMPARISONS = {
    "Equal": (np.equal, "=="),
    "Less": (np.less, "<"),
    "Greater": (np.greater, ">"),
    "LessOrEqual": (np.less_equal, "<="),
    "GreaterOrEqual": (np.greater_equal, ">="),
}
LOGIC = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}


@pytest.mark.parametrize("op", COMPARISONS)
def test_comparison(op):
    a = np.random.default_rng(0).integers(-2, 2, (2, 3))
    symbol = COMPARISONS[op][1]
    check_node(op, [a, a[::-1, :1]], contains=f"A {symbol} B", dynamic="unique")
    zero = np.array(0, F32)
    check_node(op, [rand(4), zero], constant=["B"], contains=f"A {symbol} 0.0")


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8, np.int64])
def test_comparison_of_types(dtype):
    a, b = np.array([1, 2, 3], dtype), np.array([3, 2, 1], dtype)
    check_node("Less", [a, b])
    check_node("Equal", [a, b])


@pytest.mark.parametrize("op", ["Equal", "Less", "Greater"])
def test_comparison_before_numpy_broadcasting(op):
    a = np.random.default_rng(0).integers(-2, 2, (2, 3, 4)).astype(np.int32)
    a = a if op == "Equal" else a.astype(F32)
    expected = [COMPARISONS[op][0](a, a[0, :, :1])]
    attrs = {"broadcast": 1, "axis": 1}
    check_node(op, [a, a[0, :, 0]], attrs, opset=1, expected=expected)
    check_node(op, [a, a], opset=1, expected=[COMPARISONS[op][0](a, a)])


@pytest.mark.parametrize("op", LOGIC)
def test_logic(op):
    a, b = rand(2, 3, 4) > 0, rand(2, 3, 4, seed=1) > 0
    check_node(op, [a, b[:, :1]], dynamic="unique")
    expected = [LOGIC[op](a, b[0, :, :1])]
    attrs = {"broadcast": 1, "axis": 1}
    check_node(op, [a, b[0, :, 0]], attrs, opset=1, expected=expected)


def test_not():
    check_node("Not", [rand(2, 3) > 0])


def test_equal_of_strings_is_refused():
    words = np.array(["a", "b"], object)
    compile_fails("Equal", [words, words], opset=19, message="no arrays of strings")


def test_where():
    c, x = rand(2, 3) > 0, rand(2, 3, seed=1)
    check_node("Where", [c, x[:1], x[:, :1]], dynamic="unique")
    zero, one = np.array(0, F32), np.array(1, F32)
    contains = "jnp.where(condition, X, 0.0)"
    check_node("Where", [c, x, zero], constant=["Y"], contains=contains)
    check_node("Where", [c, one, x], constant=["X"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.bool_])
def test_where_of_two_constants_keeps_the_type(dtype):
    one, zero = np.array(1, dtype), np.array(0, dtype)
    inputs = [rand(2, 3) > 0, one, zero]
    check_node("Where", inputs, constant=["X", "Y"])
