"""Arithmetic, element by element, at every version of the operators."""

import ml_dtypes
import numpy as np
import pytest
from harness import check_node, compile_fails

F32, BF16 = np.float32, ml_dtypes.bfloat16
FLOATS = [np.float16, BF16, np.float32, np.float64]


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# ---- unary -------------------------------------------------------------------------

UNARY = """Neg Abs Sqrt Exp Log Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Atanh
Reciprocal Floor Ceil Round Sign""".split()


@pytest.mark.parametrize("op", UNARY)
def test_unary(op):
    check_node(op, [np.abs(rand(2, 3)) / 4 + F32(0.1)], dynamic="unique")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", ["Neg", "Sqrt", "Exp", "Reciprocal", "Round", "Sin"])
def test_unary_keeps_the_type(op, dtype):
    check_node(op, [np.abs(rand(4)).astype(dtype) + dtype(0.5)], dynamic=False)


@pytest.mark.parametrize("op", ["Neg", "Abs", "Floor", "Sqrt", "Reciprocal"])
@pytest.mark.parametrize("opset", [1, 6])
def test_unary_at_old_opsets(op, opset):
    x = np.array([0.25, 2.25, 9], F32)
    expected = {
        "Neg": -x,
        "Abs": x,
        "Floor": np.floor(x),
        "Sqrt": np.sqrt(x),
        "Reciprocal": 1 / x,
    }
    attrs = {"consumed_inputs": [0]} if opset == 1 else None
    check_node(op, [x], attrs, opset=opset, expected=[expected[op]])


def test_acosh():
    check_node("Acosh", [np.abs(rand(2, 3)) + F32(1)])


def test_round_takes_halves_to_even():
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.4999999], F32)
    check_node("Round", [x], expected=[np.array([-2, -2, -0.0, 0, 2, 2, 0], F32)])


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
@pytest.mark.parametrize("op", ["Neg", "Abs", "Sign"])
def test_unary_on_integers(op, dtype):
    check_node(op, [np.array([-3, 0, 5], dtype)])


def test_erf_on_integers_rounds_toward_zero():
    x = np.array([-3, -1, 0, 1, 3], np.int32)
    check_node("Erf", [x], contains="jax.lax.erf(input.astype(float))")


# ---- binary ------------------------------------------------------------------------

BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
SYMBOL = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}


@pytest.mark.parametrize("op", BINARY)
def test_binary_broadcasts(op):
    contains = f"return A {SYMBOL[op]} B"
    check_node(op, [rand(2, 3, 4), rand(3, 1, seed=1)], contains=contains)
    check_node(op, [rand(3), rand(2, 1, seed=1)], dynamic="unique")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", BINARY)
def test_a_constant_is_a_python_scalar(op, dtype):
    contains = f"return A {SYMBOL[op]} 1.5"
    x = rand(2, 3).astype(dtype)
    check_node(op, [x, np.array(1.5, dtype)], constant=["B"], contains=contains)


@pytest.mark.parametrize("opset", [1, 6])
@pytest.mark.parametrize("op", BINARY)
def test_binary_before_numpy_broadcasting(op, opset):
    f, x, y = BINARY[op], rand(2, 3, 4), rand(2, 3, 4, seed=1)

    def check(b, b_as_numpy, contains, **attrs):
        expected = [f(x, b_as_numpy).astype(F32)]
        options = {"opset": opset, "expected": expected, "dynamic": "unique"}
        check_node(op, [x, b], attrs, contains=contains, **options)

    symbol = SYMBOL[op]
    check(y, y, f"A {symbol} B")
    check(y[0], y[0], f"A {symbol} B", broadcast=1)
    check(y[0, :, 0], y[0, :, :1], f"A {symbol} B[None, :, None]", broadcast=1, axis=1)
    check(y[:, :, 0], y[:, :, :1], f"A {symbol} B[:, :, None]", broadcast=1, axis=0)
    check(y[0, 0, 0], y[0, 0, 0], f"A {symbol} B", broadcast=1, axis=0)


INTEGERS = [np.int8, np.int16, np.int32, np.int64]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_div_rounds_toward_zero(dtype):
    a, b = np.array([7, -7, 7, -7, 0], dtype), np.array([2, 2, -2, -2, 5], dtype)
    expected = np.array([3, -3, -3, 3, 0], dtype)
    check_node("Div", [a, b], expected=[expected], contains="jax.lax.div(A, B)")
    check_node("Div", [a[:, None], b[:1]], expected=[expected[[0, 1, 0, 1, 4], None]])
    scalar = np.array(2, dtype)
    expected = np.array([3, -3, 3, -3, 0], dtype)
    check_node("Div", [a, scalar], expected=[expected])
    check_node("Div", [a, scalar], expected=[expected], constant=["B"])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_div_of_unsigned(dtype):
    a = np.array([7, 255, 0], dtype)
    check_node("Div", [a, np.array([2, 16, 3], dtype)], contains="A // B")


def test_a_power_of_a_constant():
    x = np.abs(rand(2, 3)) + F32(0.1)
    check_node("Pow", [x, np.array(2, F32)], constant=["Y"], contains="X**2")
    check_node("Pow", [x, np.array(-1, F32)], constant=["Y"], contains="X**-1")
    check_node("Pow", [x, np.array(0.5, F32)], constant=["Y"], contains="X**0.5")
    check_node("Pow", [x, np.array([3], np.int64)], constant=["Y"], contains="X**3")


@pytest.mark.parametrize(
    ("base", "exponent"),
    [
        (np.float32, np.float32),
        (np.float32, np.int64),
        (np.float16, np.int32),
        (np.int32, np.int32),
        (np.int64, np.float32),
        (np.int32, np.int64),
        (np.float32, np.float64),
        (BF16, np.float32),
    ],
)
def test_pow_has_the_type_of_the_base(base, exponent):
    x, y = np.array([1, 2, 3], base), np.array([3, 0, 2], exponent)
    check_node("Pow", [x, y], expected=[np.array([1, 1, 9], base)])


def test_pow_before_numpy_broadcasting():
    x, y = np.abs(rand(2, 3, 4)), rand(3)
    attrs = {"broadcast": 1, "axis": 1}
    check_node("Pow", [x, y], attrs, opset=1, expected=[x ** y[:, None]])


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_mod_of_integers(dtype):
    a, b = np.array([7, -7, 7, -7], dtype), np.array([3, 3, -3, -3], dtype)
    check_node("Mod", [a, b], expected=[np.mod(a, b)], contains="A % B")
    expected = [np.fmod(a, b)]
    check_node("Mod", [a, b], {"fmod": 1}, expected=expected, contains="jnp.fmod")


@pytest.mark.parametrize("dtype", FLOATS)
def test_fmod(dtype):
    a, b = np.array([7.5, -7.5, 7.5], dtype), np.array([2, 2, -2], dtype)
    check_node("Mod", [a, b], {"fmod": 1}, expected=[np.array([1.5, -1.5, 1.5], dtype)])


def test_shifts():
    a, b = np.array([1, 200, 3], np.uint8), np.array([1, 2, 9], np.uint8)
    left = [np.array([2, 32, 0], np.uint8)]
    check_node("BitShift", [a, b], {"direction": "LEFT"}, expected=left)
    right = [np.array([0, 50, 0], np.uint8)]
    check_node("BitShift", [a, b], {"direction": "RIGHT"}, expected=right)
    a, b = np.array([-128, 64, -8], np.int8), np.array([1, -1, 100], np.int8)
    right = [np.array([-64, 0, -1], np.int8)]
    attrs = {"direction": "RIGHT"}
    check_node("BitShift", [a, b], attrs, opset=28, expected=right)


@pytest.mark.parametrize("op", ["BitwiseAnd", "BitwiseOr", "BitwiseXor"])
def test_bitwise(op):
    a = np.random.default_rng(0).integers(-100, 100, (2, 3))
    check_node(op, [a, a[:1] + 3])
    check_node(op, [a, np.array(6)], constant=["B"])


def test_bitwise_not():
    check_node("BitwiseNot", [np.array([0, 5, 255], np.uint8)], contains="~X")


def test_without_ranks():
    x, two = np.abs(rand(2, 3, 4)), np.array(2, F32)
    check_node("Add", [x, x[:1]], dynamic="unranked")
    check_node("Pow", [x, two], constant=["Y"], dynamic="unranked", contains="X**2")
    check_node("Clip", [x, None, two], constant=["max"], dynamic="unranked")
    check_node("CumSum", [x, np.array(1)], constant=["axis"], dynamic="unranked")
    compile_fails(
        "Add",
        [x, x[0, :, 0]],
        {"broadcast": 1, "axis": 1},
        opset=6,
        shapes={"A": None},
        message="needs the ranks of both inputs",
    )


def test_types_must_agree():
    inputs = [rand(2), np.arange(2)]
    compile_fails("Add", inputs, message="different types, float32 and int64")


# ---- any number of inputs ----------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 40])
@pytest.mark.parametrize("op", ["Min", "Max", "Sum", "Mean"])
def test_variadic(op, count):
    inputs = [rand(2, 3, seed=i) for i in range(count)]
    inputs[-1] = inputs[-1][:1]
    inputs[0] = rand(2, 3)
    check_node(op, inputs, dynamic="unique" if count < 5 else False)


@pytest.mark.parametrize("op", ["Min", "Max"])
def test_extremes_propagate_nan(op):
    a, b = np.array([np.nan, 1, 2], F32), np.array([0, np.nan, 3], F32)
    check_node(op, [a, b])
    check_node(op, [a, np.array(1, F32)], constant=["data_0_1"])


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float64, BF16])
def test_extremes_of_types(dtype):
    check_node("Max", [np.array([1, 5], dtype), np.array([3], dtype)])


def test_a_long_sum_is_no_deep_tree():
    inputs = [np.full(2, i, F32) for i in range(400)]
    check_node("Sum", inputs, expected=[np.full(2, 79800, F32)], dynamic=False)


# ---- Clip --------------------------------------------------------------------------

CLIPS = [
    (0, 6, "jax.nn.relu6(input)"),
    (0, None, "jax.nn.relu(input)"),
    (None, 0.5, "jnp.minimum(input, 0.5)"),
    (-0.5, None, "jnp.maximum(input, -0.5)"),
    (-0.5, 0.25, "jnp.clip(input, -0.5, 0.25)"),
    (0.5, -0.5, "jnp.clip(input, 0.5, -0.5)"),
    (None, None, "return input"),
]


@pytest.mark.parametrize(("low", "high", "contains"), CLIPS)
@pytest.mark.parametrize("opset", [1, 13])
def test_clip(low, high, contains, opset):
    x = rand(3, 4) * 4
    y = x if low is None else np.maximum(x, F32(low))
    y = y if high is None else np.minimum(y, F32(high))
    given = {"min": low, "max": high}
    given = {k: float(v) for k, v in given.items() if v is not None}
    if opset < 11:
        check_node("Clip", [x], given, opset=opset, expected=[y], contains=contains)
    else:
        given = {k: np.array(v, F32) for k, v in given.items()}
        check_node(
            "Clip",
            {"input": x, **given},
            opset=opset,
            expected=[y],
            constant=given,
            contains=contains,
        )


def test_clip_6_has_the_finite_numbers_as_bounds():
    x = np.array([-np.inf, -1, 0.5, np.inf], F32)
    largest = np.finfo(F32).max
    expected = np.array([0, 0, 0.5, largest], F32)
    check_node("Clip", [x], {"min": 0.0}, opset=6, expected=[expected])


def test_clip_with_bounds_at_run_time():
    x = rand(3, 4)
    check_node("Clip", [x, np.array(-0.5, F32), np.array(0.5, F32)])
    check_node("Clip", [x, None, np.array(0.5, F32)])


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, BF16])
def test_clip_keeps_the_type(dtype):
    x, bounds = np.arange(6).astype(dtype), [np.array(1, dtype), np.array(4, dtype)]
    expected = [np.array([1, 1, 2, 3, 4, 4], dtype)]
    check_node("Clip", [x, *bounds], constant=["min", "max"], expected=expected)


# ---- classification ----------------------------------------------------------------

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0, 1], F32)


@pytest.mark.parametrize("dtype", FLOATS)
def test_isnan(dtype):
    check_node("IsNaN", [SPECIAL.astype(dtype)])


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("negative", [0, 1])
def test_isinf(positive, negative):
    attrs = {"detect_positive": positive, "detect_negative": negative}
    check_node("IsInf", [SPECIAL], attrs)


# ---- cumulative --------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumsum(axis, exclusive, reverse):
    attrs = {"exclusive": exclusive, "reverse": reverse}
    inputs = [rand(2, 3, 4), np.array(axis)]
    check_node("CumSum", inputs, attrs, constant=["axis"], dynamic="unique")
    check_node("CumProd", inputs, attrs, constant=["axis"])


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.float64])
def test_cumsum_keeps_the_type(dtype):
    inputs = [np.arange(6).astype(dtype).reshape(2, 3), np.array(1)]
    expected = [np.cumsum(inputs[0], 1, dtype=dtype)]
    contains = "jnp.cumsum(x, axis=1)"
    options = {"constant": ["axis"], "expected": expected, "contains": contains}
    check_node("CumSum", inputs, **options)


def test_cumsum_with_an_axis_at_run_time():
    x = rand(2, 3)
    check_node("CumSum", [x, np.array(1)], dynamic=False)


def test_det():
    check_node("Det", [rand(2, 3, 3)], rtol=1e-5, atol=1e-5)
    check_node("Det", [rand(4, 4)], rtol=1e-5, atol=1e-5)
