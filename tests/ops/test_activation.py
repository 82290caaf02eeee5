"""Activation functions and softmax at every version of the operators."""

import ml_dtypes
import numpy as np
import pytest
from harness import check_node

F32, BF16 = np.float32, ml_dtypes.bfloat16
FLOATS = [np.float16, BF16, np.float32, np.float64]


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


FUNCTIONS = [
    ("Relu", {}, "jax.nn.relu(X)"),
    ("Sigmoid", {}, "return sigmoid(X)"),
    ("Tanh", {}, "jnp.tanh(input)"),
    ("Softplus", {}, "return softplus(X)"),
    ("Softsign", {}, "jax.nn.soft_sign(input)"),
    ("HardSwish", {}, "jax.nn.hard_swish(X)"),
    ("Mish", {}, "jax.nn.mish(X)"),
    ("LeakyRelu", {}, "jax.nn.leaky_relu(X)"),
    ("LeakyRelu", {"alpha": 0.2}, "jax.nn.leaky_relu(X, 0.2)"),
    ("Elu", {}, "jax.nn.elu(X)"),
    ("Elu", {"alpha": 0.5}, "jax.nn.elu(X, 0.5)"),
    ("Celu", {}, "jax.nn.celu(X)"),
    ("Celu", {"alpha": 2.0}, "jax.nn.celu(X, 2.0)"),
    ("ThresholdedRelu", {"alpha": 0.3}, "jnp.where(X > 0.3, X, 0)"),
    ("Gelu", {}, "return gelu(X)"),
    ("Gelu", {"approximate": "tanh"}, "jax.nn.gelu(X)"),
    ("HardSigmoid", {}, "jnp.clip(0.2 * X + 0.5, 0, 1)"),
    ("HardSigmoid", {"alpha": 1 / 6}, "jax.nn.hard_sigmoid(X)"),
    ("Selu", {}, "jax.nn.selu(X)"),
    ("Selu", {"alpha": 2.0, "gamma": 3.0}, "3.0 * jax.nn.elu(X, 2.0)"),
    ("Swish", {}, "jax.nn.silu(X)"),
    ("Swish", {"alpha": 1.702}, "X * jax.nn.sigmoid(1.702 * X)"),
    ("Shrink", {"bias": 0.1, "lambd": 0.3}, "input + 0.1"),
]


@pytest.mark.parametrize(("op", "attrs", "contains"), FUNCTIONS)
def test_function(op, attrs, contains):
    x = rand(2, 3) * 3
    check_node(op, [x], attrs, contains=contains, dynamic="unique", rtol=1e-5)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", sorted({op for op, _, _ in FUNCTIONS}))
def test_the_type_is_kept(op, dtype):
    x = np.linspace(-2, 2, 8).astype(dtype)
    tolerance = {np.float16: 2e-3, BF16: 2e-2}.get(dtype, 1e-5)
    check_node(op, [x], dynamic=False, rtol=tolerance, atol=tolerance)


def test_relu_of_integers():
    check_node("Relu", [np.array([-3, 0, 4], np.int32)])
    check_node("Relu", [np.array([-3, 0, 4], np.int64)])


def test_shrink_of_integers():
    x = np.array([-3, 0, 4], np.int32)
    expected = [np.array([-2, 0, 3], np.int32)]
    check_node("Shrink", [x], {"bias": 1.0, "lambd": 1.0}, expected=expected)


def test_the_constants_of_the_first_selu():
    x = rand(4)
    y = F32(1.0507) * np.where(x > 0, x, F32(1.6732) * np.expm1(x))
    check_node("Selu", [x], opset=1, expected=[y])


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_swiglu(alpha):
    a, b = rand(2, 3), rand(2, 3, seed=1)
    expected = [a / (1 + np.exp(-alpha * a)) * b]
    check_node("SwiGLU", [a, b], {"alpha": alpha}, opset=28, expected=expected)


# ---- PRelu -------------------------------------------------------------------------


def test_prelu():
    x = rand(2, 3, 4)
    check_node("PRelu", [x, rand(3, 1)], contains="jnp.where(X < 0, slope * X, X)")
    quarter = np.array([0.25], F32)
    check_node("PRelu", [x, quarter], constant=["slope"], contains="0.25 * X")


@pytest.mark.parametrize("opset", [1, 6])
def test_prelu_with_one_slope_a_channel(opset):
    x, slope = rand(2, 3, 4), rand(3)
    expected = [np.where(x < 0, slope[:, None] * x, x)]
    contains = "slope[None, :, None] * X"
    check_node("PRelu", [x, slope], opset=opset, expected=expected, contains=contains)
    expected = [np.where(x < 0, slope[:1] * x, x)]
    check_node("PRelu", [x, slope[:1]], opset=opset, expected=expected)


# ---- softmax -----------------------------------------------------------------------


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return (e / e.sum(axis=axis, keepdims=True)).astype(x.dtype)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -2])
def test_over_one_axis(op, axis):
    attrs = {} if axis is None else {"axis": axis}
    check_node(op, [rand(2, 3, 4)], attrs, dynamic="unique")


@pytest.mark.parametrize("opset", [1, 11])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -2])
def test_over_all_axes_from_one_on(axis, opset):
    if opset == 1 and axis is not None and axis < 0:
        pytest.skip("negative axes came with opset 11")
    x = rand(2, 3, 4)
    attrs = {} if axis is None else {"axis": axis}
    first = 1 if axis is None else axis % 3
    y = softmax(x, tuple(range(first, 3)))
    options = {"opset": opset, "dynamic": "unique"}
    check_node("Softmax", [x], attrs, expected=[y], **options)
    check_node("LogSoftmax", [x], attrs, expected=[np.log(y)], **options)
    rows = x.reshape(int(np.prod(x.shape[:first])), -1)
    hot = np.eye(rows.shape[1], dtype=F32)[rows.argmax(1)].reshape(x.shape)
    check_node("Hardmax", [x], attrs, expected=[hot], **options)


def test_without_ranks():
    x, options = rand(2, 3, 4), {"dynamic": "unranked"}
    check_node("Softmax", [x], **options)
    check_node("Softmax", [x], opset=11, expected=[softmax(x, (1, 2))], **options)
    check_node("PRelu", [x, rand(3, 1)], **options)


def test_softmax_over_the_last_axis_is_short():
    x = rand(2, 4)
    check_node("Softmax", [x], contains="return softmax(input)")
    expected = [softmax(x, 1)]
    contains = "return softmax(input)"
    check_node("Softmax", [x], opset=9, expected=expected, contains=contains)


def test_hardmax_takes_the_first_maximum():
    check_node("Hardmax", [np.array([[3, 1, 3], [2, 2, 1]], F32)])
