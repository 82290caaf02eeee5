"""Quantization against onnxruntime and onnx.reference."""

import ml_dtypes
import numpy as np
import ort
import pytest
from harness import check_node, compile_fails

INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, ml_dtypes.int4, ml_dtypes.uint4]
EXACT = {"rtol": 0, "atol": 0}


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def f32(x):
    return np.array(x, np.float32)


def u8(x):
    return np.array(x, np.uint8)


def i8(x):
    return np.array(x, np.int8)


def integers(*shape, seed=0, dtype=np.uint8):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


X = rand(4, 6) * 50
X[0] = [0.5, 1.5, -0.5, 2.5, 1e9, -np.inf]


@pytest.mark.parametrize("opset", [10, 13, 19, 21, 25])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_quantize(opset, dtype):
    """Ties go to even before the zero point is added."""
    inputs = [X[:, :4], f32(1), np.array(3, dtype)]
    ort.check("QuantizeLinear", inputs, opset=opset, **EXACT)


def test_quantize_code():
    inputs = [X[1:], f32(0.1), u8(3)]
    constant = ["y_scale", "y_zero_point"]
    text = "quantize(x, 0.1, 3)"
    check_node("QuantizeLinear", inputs, opset=21, constant=constant, contains=text)
    inputs[2] = i8(0)
    text = "quantize(x, 0.1, dtype=jnp.int8)"
    check_node("QuantizeLinear", inputs, opset=21, constant=constant, contains=text)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_saturation(dtype):
    """The reference casts to int32 first, where 1e9 / 1e-3 wraps around."""
    info = ml_dtypes.iinfo(dtype)
    x = np.array([1e9, -1e9, np.inf, -np.inf, 0.4], np.float32)
    expected = np.array([info.max, info.min, info.max, info.min, 1], dtype)
    inputs = [x, f32(1e-3), np.array(1, dtype)]
    expected[4] = min(401, info.max)
    check_node("QuantizeLinear", inputs, opset=21, expected=[expected], dynamic=False)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("op", ["QuantizeLinear", "DequantizeLinear"])
def test_axis(op, axis):
    size = X.shape[axis]
    x = X if op == "QuantizeLinear" else integers(*X.shape)
    x = np.where(np.isfinite(x), x, 0).astype(x.dtype)
    inputs = [x, np.abs(rand(size, seed=1)) + 0.1, integers(size, seed=2)]
    ort.check(op, inputs, {"axis": axis}, opset=13)


@pytest.mark.parametrize("op", ["QuantizeLinear", "DequantizeLinear"])
@pytest.mark.parametrize("axis, block", [(1, 4), (0, 2), (-1, 3)])
def test_blocks(op, axis, block):
    """The last block may be shorter."""
    shape = list(X.shape)
    shape[axis] = -(-shape[axis] // block)
    x = np.clip(X, -99, 99) if op == "QuantizeLinear" else integers(*X.shape)
    inputs = [x, np.abs(rand(*shape, seed=1)) + 0.1, integers(*shape, seed=2)]
    attrs = {"axis": axis, "block_size": block}
    ort.check(op, inputs, attrs, opset=21, dynamic=False)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_small_scales(dtype):
    """float16 divided in float16; what int8 holds times it is rounded once."""
    x, scale = (rand(40) * 9).astype(dtype), np.array(0.13, dtype)
    q = np.clip(np.rint((x / scale).astype(np.float32)) + 3, -128, 127).astype(np.int8)
    inputs = [x, scale, i8(3)]
    check_node("QuantizeLinear", inputs, opset=21, expected=[q], dynamic=False)
    y = ((q.astype(np.float32) - 3) * np.float32(scale)).astype(dtype)
    inputs = [q, scale, i8(3)]
    check_node("DequantizeLinear", inputs, opset=21, expected=[y], dynamic=False)


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_float8(dtype, saturate):
    dtype = getattr(ml_dtypes, dtype)
    x = np.array([0.1, -3, 1e3, 1e6, -1e6, np.inf], np.float32)
    inputs = [x, f32(2), np.array(0, dtype)]
    attrs = {"saturate": saturate}
    check_node("QuantizeLinear", inputs, attrs, opset=19, dynamic=False)


def test_dequantize_int32():
    """Differences are those of integers."""
    x = np.array([2**30 + 1, -5, 7], np.int32)
    ort.check("DequantizeLinear", [x, f32(0.5)], opset=10)


def test_dynamic_quantize():
    for x in (rand(3, 4), np.abs(rand(5)), np.zeros(3, np.float32), -np.abs(rand(4))):
        ort.check("DynamicQuantizeLinear", [x], opset=11, outputs=3, dynamic=False)


@pytest.mark.parametrize("b_type", [np.int8, np.uint8])
@pytest.mark.parametrize("zeros", ["none", "scalar", "columns"])
def test_matmul_integer(b_type, zeros):
    b = ort.without_overflow(integers(5, 4, seed=1, dtype=b_type))
    inputs = [integers(2, 3, 5), b]
    if zeros != "none":
        shape = (4,) if zeros == "columns" else ()
        inputs += [u8(7), np.asarray(integers(*shape, seed=3, dtype=b_type))]
    ort.check("MatMulInteger", inputs, opset=10, **EXACT)


def test_matmul_integer_rows():
    """onnxruntime has no zero points for rows."""
    a, b = integers(3, 5), integers(5, 4, seed=1)
    zeros = np.array([1, 2, 3], np.uint8)
    expected = (a.astype(np.int32) - zeros[:, None]) @ b.astype(np.int32)
    check_node("MatMulInteger", [a, b, zeros], opset=10, expected=[expected])


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("opset", [10, 21])
def test_qlinear_matmul(opset, columns):
    b_scale = np.abs(rand(4, seed=5)) * 0.1 if columns else f32(0.02)
    b_zero = integers(4, seed=6, dtype=np.int8) if columns else i8(-3)
    inputs = [integers(2, 3, 5), f32(0.013), u8(120)]
    b = ort.without_overflow(integers(5, 4, seed=1, dtype=np.int8))
    inputs += [b, b_scale, b_zero]
    inputs += [f32(0.9), u8(90)]
    ort.check("QLinearMatMul", inputs, opset=opset, **EXACT)


def conv_inputs(group=1):
    w = integers(6, 4 // group, 3, 2, seed=1, dtype=np.int8)
    return integers(1, 4, 7, 6), ort.without_overflow(w)


CONV = [
    {},
    {"pads": [1, 0, 2, 1], "strides": [2, 1]},
    {"group": 2, "dilations": [2, 1], "kernel_shape": [3, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
]


@pytest.mark.parametrize("attrs", CONV)
def test_conv_integer(attrs):
    x, w = conv_inputs(attrs.get("group", 1))
    w = w.view(np.uint8)
    inputs = [x, w, u8(100), u8(9)]
    ort.check("ConvInteger", inputs, attrs, opset=10, dynamic=False, **EXACT)


@pytest.mark.parametrize("attrs", CONV)
@pytest.mark.parametrize("channels", [False, True])
def test_qlinear_conv(attrs, channels):
    x, w = conv_inputs(attrs.get("group", 1))
    w_scale = np.abs(rand(6, seed=2)) * 0.1 if channels else f32(0.01)
    w_zero = np.zeros(6, np.int8) if channels else i8(0)
    bias = (rand(6, seed=4) * 999).astype(np.int32)
    inputs = [x, f32(0.1), u8(100), w, w_scale, w_zero]
    inputs += [f32(1.7), u8(110), bias]
    ort.check("QLinearConv", inputs, attrs, opset=10, dynamic=False, **EXACT)


def test_errors():
    op, scale = "QuantizeLinear", np.ones(4, np.float32)
    compile_fails(op, [X, scale], {"axis": 1}, opset=13, message="does not fit axis 1")
    compile_fails(op, [X, scale], opset=10, message="rank 1 does not fit")
    zero = np.zeros((), ml_dtypes.float8_e4m3fn)
    a, one = np.zeros((2, 2), zero.dtype), f32(1)
    inputs = [a, one, zero, a, one, zero, one, zero]
    compile_fails("QLinearMatMul", inputs, opset=21, message="float8")
