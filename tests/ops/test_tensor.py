"""Operators that make tensors, pass them on, or change their element type."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from harness import check_node, compile_fails, numpy_helper
from onnx import TensorProto


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


X = rand(2, 3, 4)

# ---- Constant, ConstantOfShape, Identity ---------------------------------------------

CONSTANTS = [
    ({"value": numpy_helper.from_array(X)}, X, 1),
    ({"value_int": 3}, np.int64(3), 12),
    ({"value_ints": [1, -2]}, ints(1, -2), 13),
    ({"value_float": 0.1}, np.float32(0.1), 13),
    ({"value_floats": [0.5, -1.25]}, np.array([0.5, -1.25], np.float32), 25),
]


@pytest.mark.parametrize("attrs, value, opset", CONSTANTS, ids=lambda v: type(v))
def test_constant(attrs, value, opset):
    check_node("Constant", [], attrs, opset=opset, expected=[np.asarray(value)])


def test_text_constants_are_refused():
    compile_fails("Constant", [], {"value_string": "x"}, message="OX0302")


FILLS = [
    (None, "jnp.zeros((2, 3), jnp.float32)"),
    (np.array([1], np.float16), "jnp.ones((2, 3), jnp.float16)"),
    (ints(7), "jnp.full((2, 3), 7, int)"),
    (np.array([True]), "jnp.ones((2, 3), bool)"),
    (np.array([-0.0], np.float32), "-0.0"),
]


@pytest.mark.parametrize("value, code", FILLS, ids=lambda v: str(v))
def test_constant_of_shape(value, code):
    attrs = {} if value is None else {"value": numpy_helper.from_array(value)}
    inputs = [ints(2, 3)]
    check_node("ConstantOfShape", inputs, attrs, constant=["input"], contains=code)


@pytest.mark.parametrize("shape", [(), (0, 3), (40, 50)])
def test_constant_of_any_shape(shape):
    check_node("ConstantOfShape", [ints(*shape)], constant=["input"])


def test_constant_of_shape_at_run_time():
    check_node("ConstantOfShape", [ints(2, 3)], infer=False)


@pytest.mark.parametrize("opset", [1, 13, 25])
def test_identity(opset):
    check_node("Identity", [X], opset=opset, contains="return input\n")


# ---- EyeLike, Range, OneHot, Trilu ---------------------------------------------------


@pytest.mark.parametrize("attrs", [{}, {"k": 1}, {"k": -2, "dtype": 11}], ids=str)
@pytest.mark.parametrize("shape", [(3, 3), (3, 4)])
def test_eye_like(attrs, shape):
    check_node("EyeLike", [rand(*shape)], attrs, opset=9, dynamic="unique")


RANGES = [
    (np.int64, (0, 5, 1)),
    (np.int64, (10, 1, -3)),
    (np.int64, (3, 3, 1)),
    (np.int32, (0, 300, 2)),
    (np.float32, (0, 1, 0.3)),
    (np.float32, (2, -1, -0.5)),
    (np.float64, (0.5, 3, 0.25)),
]


@pytest.mark.parametrize("dtype, numbers", RANGES, ids=str)
def test_range(dtype, numbers):
    inputs = [dtype(v) for v in numbers]
    check_node("Range", inputs, opset=11, constant=["start", "limit", "delta"])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_range_in_half_precision(dtype):
    inputs = [np.asarray(v, dtype) for v in (0, 300, 1)]
    known = ["start", "limit", "delta"]
    check_node("Range", inputs, opset=27, constant=known)


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_range_at_run_time(dtype):
    inputs = [dtype(v) for v in (1, 8, 2)]
    source = check_node("Range", inputs, opset=11, infer=False)
    assert "# Not jitted" in source


ONE_HOTS = [
    (ints(0, 2, -1), np.array([0, 1], np.float32), -1),
    (ints(0, 2, -1), ints(2, 5), 0),
    (ints(5, -4, 1), np.array([0, 1], np.float16), -1),
    (ints(0, 2, 1, 1).reshape(2, 2), np.array([False, True]), 1),
    (np.array([0, 2, 1], np.uint8), np.array([1.5, -2], np.float64), -2),
    (np.array([-1, 2], np.int8), np.array([0, 1], np.int32), -1),
    (np.array([0.0, 2.0], np.float32), np.array([0, 1], np.float32), -1),
]


def one_hot(indices, values, axis):
    """OneHot of depth 3 as onnx.reference should have it."""
    wrapped = np.where(indices < 0, indices.astype(int) + 3, indices)
    hot = np.expand_dims(wrapped, axis) == np.arange(3).reshape(
        [3 if i == axis % (indices.ndim + 1) else 1 for i in range(indices.ndim + 1)]
    )
    return np.where(hot, values[1], values[0]).astype(values.dtype)


@pytest.mark.parametrize("indices, values, axis", ONE_HOTS, ids=str)
def test_one_hot(indices, values, axis):
    inputs = [indices, np.int64(3), values]
    expected = [one_hot(indices, values, axis)]
    known = ["depth", "values"]
    attrs = {"axis": axis}
    check_node("OneHot", inputs, attrs, opset=11, constant=known, expected=expected)


@pytest.mark.parametrize("indices, values, axis", ONE_HOTS[:2], ids=str)
def test_one_hot_values_at_run_time(indices, values, axis):
    inputs = [indices, np.int64(3), values]
    expected = [one_hot(indices, values, axis)]
    attrs = {"axis": axis}
    check_node("OneHot", inputs, attrs, opset=11, constant=["depth"], expected=expected)


def test_one_hot_of_negative_indices_is_off_at_first():
    expected = [np.array([[1, 0, 0], [0, 0, 0]], np.float32)]
    inputs = [ints(0, -1), ints(3), np.array([0, 1], np.float32)]
    known = ["depth", "values"]
    check_node("OneHot", inputs, opset=9, constant=known, expected=expected)


def test_one_hot_depth_at_run_time():
    inputs = [ints(0, 2), np.float32(3), np.array([0, 1], np.float32)]
    check_node("OneHot", inputs, opset=11, constant=["values"], infer=False)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 1, -2])
def test_trilu(upper, k):
    inputs = [X] if k is None else [X, np.int64(k)]
    check_node("Trilu", inputs, {"upper": upper}, opset=14, constant=["k"])


@pytest.mark.parametrize("upper", [0, 1])
def test_trilu_at_run_time(upper):
    check_node("Trilu", [X, np.int64(1)], {"upper": upper}, opset=14)


# ---- Cast ----------------------------------------------------------------------------

NUMBERS = np.array([-3.7, -1, -0.0, 0, 0.5, 1, 2.5, 100.9], np.float32)
TYPES = """FLOAT INT8 INT16 INT32 INT64 BOOL FLOAT16 DOUBLE BFLOAT16 FLOAT8E4M3FN
FLOAT8E5M2 FLOAT8E4M3FNUZ FLOAT8E5M2FNUZ""".split()


@pytest.mark.parametrize("to", TYPES)
def test_cast(to):
    attrs = {"to": getattr(TensorProto, to)}
    check_node("Cast", [NUMBERS], attrs, opset=19, dynamic=False)


@pytest.mark.parametrize("opset", [6, 9, 13, 19, 21, 24, 25])
def test_cast_versions(opset):
    check_node("Cast", [NUMBERS], {"to": TensorProto.INT32}, opset=opset)


def test_cast_1_names_the_type():
    expected = [NUMBERS.astype(np.int64)]
    check_node("Cast", [NUMBERS], {"to": "INT64"}, opset=1, expected=expected)


@pytest.mark.parametrize("to", [np.int8, np.uint8, np.int16, np.bool_, np.float32])
def test_integers_wrap_around(to):
    x = np.array([-129, -1, 0, 1, 127, 200, 256, 70000], np.int32)
    attrs = {"to": onnx.helper.np_dtype_to_tensor_dtype(np.dtype(to))}
    check_node("Cast", [x], attrs, opset=13)


EXTREMES = np.array([1e9, -1e9, np.inf, -np.inf, np.nan, 470, 60000], np.float32)
FLOAT8 = {
    "FLOAT8E4M3FN": (ml_dtypes.float8_e4m3fn, 448),
    "FLOAT8E4M3FNUZ": (ml_dtypes.float8_e4m3fnuz, 240),
    "FLOAT8E5M2": (ml_dtypes.float8_e5m2, 57344),
    "FLOAT8E5M2FNUZ": (ml_dtypes.float8_e5m2fnuz, 57344),
}


@pytest.mark.parametrize("to", FLOAT8)
@pytest.mark.parametrize("saturate", [0, 1])
def test_float8_saturates(to, saturate):
    dtype, limit = FLOAT8[to]
    x = np.clip(EXTREMES, -limit, limit) if saturate else EXTREMES
    attrs = {"to": getattr(TensorProto, to), "saturate": saturate}
    expected = [x.astype(dtype)]
    check_node("Cast", [EXTREMES], attrs, opset=19, expected=expected, dynamic=False)


@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
@pytest.mark.parametrize("saturate", [0, 1])
def test_float8_exponents(mode, saturate):
    x = np.array([0.3, 1, 1.4, 1.5, 1.6, 3, 1e30, 3.4e38, np.nan], np.float32)
    attrs = {"to": TensorProto.FLOAT8E8M0, "round_mode": mode, "saturate": saturate}
    check_node("Cast", [x], attrs, opset=24, dynamic=False)


def test_infinity_saturates_to_the_largest_exponent():
    x = np.array([np.inf, 1e-40, 0], np.float32)
    largest = np.array([0xFE, 0, 0], np.uint8).view(ml_dtypes.float8_e8m0fnu)
    expected = [largest]
    attrs = {"to": TensorProto.FLOAT8E8M0, "round_mode": "down"}
    check_node("Cast", [x], attrs, opset=24, expected=expected, dynamic=False)


@pytest.mark.parametrize("opset", [15, 19, 24])
def test_cast_like(opset):
    check_node("CastLike", [NUMBERS, np.float16([0])], opset=opset)


def test_cast_to_text_is_refused():
    compile_fails("Cast", [NUMBERS], {"to": TensorProto.STRING}, message="no strings")


BITS = [
    (np.float32, np.int32),
    (np.uint16, np.float16),
    (np.int8, np.uint8),
    (np.bool_, np.uint8),
    (np.uint8, np.bool_),
]


@pytest.mark.parametrize("dtype, to", BITS, ids=str)
def test_bit_cast(dtype, to):
    x = np.array([0, 1, 1, 0], dtype)
    attrs = {"to": onnx.helper.np_dtype_to_tensor_dtype(np.dtype(to))}
    check_node("BitCast", [x], attrs, opset=26, expected=[x.view(to)])


def test_bit_cast_of_64_bits_needs_them():
    x = np.array([0.1, -2], np.float64)
    attrs = {"to": TensorProto.INT64}
    expected = [x.view(np.int64)]
    check_node("BitCast", [x], attrs, opset=26, expected=expected, x64=True)
    with pytest.raises(TypeError, match="jax_enable_x64"):
        check_node("BitCast", [x], attrs, opset=26, expected=expected, x64=False)


def test_bit_cast_keeps_the_size():
    attrs = {"to": TensorProto.INT16}
    compile_fails("BitCast", [NUMBERS], attrs, opset=26, message="differ in size")
