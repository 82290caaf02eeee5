"""Quantized operators of com.microsoft against onnxruntime."""

import functools

import ml_dtypes
import numpy as np
import ort
import pytest
from harness import check_node, compile_fails

DOMAIN = "com.microsoft"
check = functools.partial(ort.check, domain=DOMAIN)
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)
TYPES = [np.uint8, np.int8]


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def f32(x):
    return np.array(x, np.float32)


def integers(*shape, seed=0, dtype=np.uint8):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def weights(*shape, dtype=np.int8):
    """Integers that onnxruntime multiplies alike on every CPU."""
    return ort.without_overflow(integers(*shape, seed=1, dtype=dtype))


def quantity(*shape, scale=0.0317, seed=0, dtype=np.uint8, zero=3):
    """An array with its scale and zero point."""
    return [integers(*shape, seed=seed, dtype=dtype), f32(scale), np.array(zero, dtype)]


# ---- element by element --------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
def test_unary(dtype):
    inputs = [*quantity(4, 6, dtype=dtype), f32(0.0041), np.array(7, dtype)]
    check("QLinearSigmoid", inputs)
    inputs[3] = f32(0.0213)
    check("QLinearLeakyRelu", inputs, {"alpha": 0.3})


def test_without_zero_points():
    """onnxruntime crashes on these."""
    inputs = [*quantity(4, 6), f32(0.0041)]
    inputs[2] = None
    y = 1 / (1 + np.exp(-inputs[0].astype(np.float32) * inputs[1]))
    y = np.clip(np.rint(y / inputs[3]), 0, 255).astype(np.uint8)
    options = {"domain": DOMAIN, "expected": [y], "x64": False}
    check_node("QLinearSigmoid", inputs, **options)


def test_code():
    names = dict(zip("xsztu", [*quantity(4, 6), f32(0.5), np.uint8([0])[0]]))
    names = {k: np.asarray(v) for k, v in names.items()}
    text = "quantize(jax.nn.sigmoid(dequantize(x, 0.0317, 3)), 0.5)"
    check("QLinearSigmoid", names, constant=list("sztu"), contains=text)


@pytest.mark.parametrize("axis, opset", [(-1, 13), (1, 13), (1, 12), (2, 12)])
def test_softmax(axis, opset):
    """onnxruntime sums exponentials as integers, so that it may be off by one: the
    formula, and that at most one apart."""
    inputs = [*quantity(2, 3, 5), f32(0.0041), np.array(7, np.uint8)]
    x = (inputs[0].astype(np.float32) - 3) * inputs[1]
    axes = axis if opset == 13 else tuple(range(axis, 3))
    y = np.exp(x) / np.exp(x).sum(axes, keepdims=True)
    y = np.clip(np.rint(y / inputs[3]) + 7, 0, 255).astype(np.uint8)
    attrs = {"axis": axis, "opset": opset}
    names = {f"x{i}": v for i, v in enumerate(inputs)}
    build = functools.partial(ort.harness.make_model, "QLinearSoftmax")
    theirs = ort.run(build(names, attrs, opset=1, domain=DOMAIN), names)[0]
    assert np.abs(theirs.astype(int) - y).max() <= 1
    check_node("QLinearSoftmax", inputs, attrs, domain=DOMAIN, expected=[y], x64=False)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("shape", [(4, 6), (6,), (1, 1)])
def test_binary(op, dtype, shape):
    inputs = quantity(4, 6, dtype=dtype)
    inputs += quantity(*shape, scale=0.0213, seed=1, dtype=dtype, zero=-9 % 100)
    inputs += [f32(0.0713), np.array(11, dtype)]
    check(op, inputs, dynamic=shape != (1, 1))


@pytest.mark.parametrize("dtype", TYPES)
def test_where(dtype):
    inputs = [integers(4, 1, seed=2) > 127, *quantity(4, 6, dtype=dtype)]
    inputs += quantity(6, scale=0.0213, seed=1, dtype=dtype, zero=9)
    inputs += [f32(0.0413), np.array(11, dtype)]
    check("QLinearWhere", inputs)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("axis", [1, -2])
def test_concat(dtype, axis):
    inputs = [f32(0.0413), np.array(11, dtype), *quantity(2, 3, 4, dtype=dtype)]
    inputs += quantity(2, 5, 4, scale=0.0213, seed=1, dtype=dtype, zero=9)
    check("QLinearConcat", inputs, {"axis": axis})


# ---- means and pools -----------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [[1], [0, -1]])
def test_reduce_mean(keep, axes):
    """No kernel: the formula of the text."""
    inputs = [*quantity(2, 3, 4), f32(0.0213), np.array(9, np.uint8)]
    x = (inputs[0].astype(np.float32) - 3) * inputs[1]
    y = x.mean(tuple(axes), keepdims=bool(keep))
    y = np.clip(np.rint(y / inputs[3]) + 9, 0, 255).astype(np.uint8)
    attrs = {"axes": axes, "keepdims": keep}
    options = {"domain": DOMAIN, "expected": [y], "x64": False}
    check_node("QLinearReduceMean", inputs, attrs, **options)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("last", [0, 1])
def test_global_average_pool(dtype, last):
    inputs = [*quantity(2, 7, 5, 3, dtype=dtype), f32(0.0113), np.array(9, dtype)]
    check("QLinearGlobalAveragePool", inputs, {"channels_last": last})


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"pads": [1, 0, 1, 1], "strides": [2, 1]},
        {"pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"ceil_mode": 1, "strides": [2, 2]},
        {"ceil_mode": 1, "strides": [2, 3], "count_include_pad": 1},
        {
            "ceil_mode": 1,
            "strides": [3, 2],
            "count_include_pad": 1,
            "pads": [1, 0, 0, 1],
        },
    ],
)
def test_average_pool(dtype, last, attrs):
    inputs = [*quantity(2, 7, 8, 6, dtype=dtype), f32(0.0213), np.array(9, dtype)]
    attrs = {"kernel_shape": [3, 2], "channels_last": last} | attrs
    check("QLinearAveragePool", inputs, attrs, dynamic=False)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "attrs", [{}, {"pads": [1, 0, 1, 1], "strides": [2, 1]}, {"dilations": [2, 1]}]
)
def test_nhwc_max_pool(dtype, attrs):
    attrs = {"kernel_shape": [3, 2]} | attrs
    x = integers(2, 7, 8, 4, dtype=dtype)
    check("NhwcMaxPool", [x], attrs, dynamic=False)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(
    "attrs", [{}, {"pads": [1, 0, 1, 1], "strides": [2, 1]}, {"auto_pad": "SAME_UPPER"}]
)
def test_qlinear_conv(dtype, last, channels, attrs):
    x = integers(2, 4, 7, 6, dtype=dtype)
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if last else x
    scale = np.abs(rand(6, seed=2)) * 0.02 + 0.001 if channels else f32(0.013)
    zero = np.zeros(6, np.int8) if channels else np.array(2, np.int8)
    w = weights(6, 2, 3, 2)
    inputs = [x, f32(0.031), np.array(7, dtype), w, scale, zero]
    inputs += [f32(0.9), np.array(11, dtype), (rand(6, seed=4) * 900).astype(np.int32)]
    attrs = attrs | {"group": 2, "channels_last": last}
    check("QLinearConv", inputs, attrs, dynamic=False)


# ---- products ------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("float_output", [False, True])
@pytest.mark.parametrize("flags", [{}, {"transA": 1}, {"transB": 1, "alpha": 0.5}])
def test_qgemm(columns, bias, float_output, flags):
    a, b = integers(4, 5), weights(5, 6)
    a = np.ascontiguousarray(a.T) if "transA" in flags else a
    b = np.ascontiguousarray(b.T) if "transB" in flags else b
    scale = np.abs(rand(6, seed=2)) * 0.02 if columns else f32(0.013)
    zero = integers(6, seed=3, dtype=np.int8) if columns else np.int8([2])[0]
    inputs = [a, f32(0.031), np.array(120, np.uint8), b, scale, np.asarray(zero)]
    inputs.append((rand(6, seed=4) * 900).astype(np.int32) if bias else None)
    if not float_output:
        inputs += [f32(0.1113), np.array(99, np.uint8)]
    check("QGemm", inputs, flags)


@pytest.mark.parametrize("b_type", TYPES)
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_dynamic_matmul(b_type, columns, bias):
    b = weights(5, 6, dtype=b_type)
    scale = np.abs(rand(6, seed=2)) * 0.02 if columns else f32(0.013)
    zero = integers(6, seed=3, dtype=b_type) if columns else np.array(2, b_type)
    inputs = [rand(2, 3, 5), b, scale, zero, rand(6, seed=4) if bias else None]
    check("DynamicQuantizeMatMul", inputs)
    check("DynamicQuantizeMatMul", inputs[:3])


@pytest.mark.parametrize("types", [(np.uint8, np.int8), (np.uint8, np.uint8)])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_matmul_integer_to_float(types, columns, bias):
    a, b = integers(2, 3, 5, dtype=types[0]), weights(5, 6, dtype=types[1])
    scale = np.abs(rand(6, seed=2)) * 0.02 if columns else f32(0.013)
    zero = integers(6, seed=3, dtype=types[1]) if columns else np.array(2, types[1])
    inputs = [a, b, f32(0.031), scale, np.array(7, types[0]), zero]
    check("MatMulIntegerToFloat", inputs + ([rand(6, seed=4)] if bias else []))
    check("MatMulIntegerToFloat", inputs[:4])


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", [None, "packed", "float"])
@pytest.mark.parametrize("size, block", [(64, 32), (50, 16)])
def test_matmul_nbits(bits, zeros, size, block):
    if bits == 8 and zeros == "float":
        pytest.skip("no CPU kernel")
    blocks = -(-size // block)
    inputs = [rand(2, 3, size), integers(6, blocks, block * bits // 8, seed=1)]
    inputs.append(np.abs(rand(6, blocks, seed=2)) * 0.05 + 0.01)
    if zeros == "packed":
        inputs.append(integers(6, -(-blocks * bits // 8), seed=3))
    elif zeros:
        inputs.append(np.abs(rand(6, blocks, seed=3)) * 2)
    attrs = {"N": 6, "K": size, "bits": bits, "block_size": block, "accuracy_level": 1}
    check("MatMulNBits", inputs, attrs, rtol=1e-4, atol=1e-3)


def test_matmul_nbits_bias():
    inputs = [rand(3, 32), integers(6, 1, 16, seed=1), np.abs(rand(6, 1)) + 0.1]
    inputs += [None, None, rand(6, seed=5)]
    attrs = {"N": 6, "K": 32, "block_size": 32}
    check("MatMulNBits", inputs, attrs, rtol=1e-4, atol=1e-3)
    fails("MatMulNBits", inputs, attrs | {"K": 48}, message="do not fit N, K")
    fails("MatMulNBits", inputs, attrs | {"weight_prepacked": 1}, message="prepacked")
    fails("MatMulNBits", inputs, attrs | {"bits": 9}, message="do not fit N, K, bits")


def packed(q, bits):
    """Integers of the last axis as bytes, lowest bits first."""
    parts = (q[..., None] >> np.arange(bits) & 1).astype(np.uint8)
    return np.packbits(parts.reshape(*q.shape[:-1], -1), axis=-1, bitorder="little")


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("bits", [3, 5, 6, 7])
def test_matmul_odd_bits(bits, zeros):
    """The text allows them, and no kernel has them: the formula."""
    rng = np.random.default_rng(0)
    q, a = rng.integers(0, 2**bits, (6, 3, 16)), rand(2, 40)
    scales = rng.uniform(0.01, 0.02, (6, 3)).astype(np.float32)
    middle = (
        rng.integers(0, 2**bits, (6, 3)) if zeros else np.full((6, 3), 2**bits // 2)
    )
    w = ((q - middle[..., None]) * scales[..., None]).reshape(6, -1)[:, :40]
    inputs = [a, packed(q, bits), scales] + ([packed(middle, bits)] if zeros else [])
    attrs = {"N": 6, "K": 40, "bits": bits, "block_size": 16}
    options = {"expected": [(a @ w.T).astype(np.float32)], "x64": False, "rtol": 1e-4}
    check_node("MatMulNBits", inputs, attrs, domain=DOMAIN, atol=1e-5, **options)


def test_matmul_groups():
    """Elements of one group need not stand side by side."""
    groups = np.random.default_rng(0).permutation(np.arange(64) // 32).astype(np.int32)
    inputs = [rand(3, 64), integers(6, 2, 16, seed=1), np.abs(rand(6, 2)) + 0.1]
    zeros = np.abs(rand(6, 2, seed=2))
    attrs = {"N": 6, "K": 64, "block_size": 32}
    check("MatMulNBits", [*inputs, None, groups], attrs, rtol=1e-4, atol=1e-3)
    check("MatMulNBits", [*inputs, zeros, groups], attrs, rtol=1e-4, atol=1e-3)
    packed_zeros = [*inputs, integers(6, 1), groups]
    fails("MatMulNBits", packed_zeros, attrs, message="packed zero points")


@pytest.mark.parametrize("shape", [(0, 2, 16), (6, 0, 16), (6, 2, 0)])
def test_matmul_left_out(shape):
    inputs = [rand(2, 3, 64), np.zeros(shape, np.uint8), np.zeros(0, np.float32)]
    inputs += [None, None, rand(6, seed=5)]
    attrs = {"N": 6, "K": 64, "block_size": 32}
    check("MatMulNBits", inputs, attrs, dynamic=False)
    check("MatMulNBits", inputs[:3], attrs, dynamic=False)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("rows, size", [(6, 24), (5, 7)])
def test_matmul_bnb4(kind, rows, size):
    count = rows * size
    inputs = [rand(2, 3, size), integers((count + 1) // 2, seed=1)]
    inputs.append(np.abs(rand(-(-count // 16), seed=2)) + 0.1)
    attrs = {"N": rows, "K": size, "quant_type": kind, "block_size": 16}
    check("MatMulBnb4", inputs, attrs, rtol=1e-4, atol=1e-4)
    fails("MatMulBnb4", inputs, attrs | {"K": size + 2}, message="do not fit N, K")
    fails("MatMulBnb4", inputs, attrs | {"transB": 0}, message="transB=0")
    fails("MatMulBnb4", inputs, attrs | {"quant_type": 2}, message="neither FP4")


# ---- GatherBlockQuantized ------------------------------------------------------------


def check_blocks(inputs, attrs, **options):
    """Whatever is packed is an initializer."""
    names = {f"x{i}": a for i, a in enumerate(inputs)}
    params = [k for k, v in names.items() if k != "x1" and v is not None]
    build = functools.partial(ort.harness.make_model, "GatherBlockQuantized")
    model = build(names, attrs, opset=1, domain=DOMAIN, params=params)
    expected = ort.run(model, {"x1": inputs[1]})
    options = {"expected": expected, "params": params, "x64": False, "rtol": 1e-6}
    check_node("GatherBlockQuantized", names, attrs, domain=DOMAIN, **options)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", [False, True])
def test_gather_packed(bits, zeros):
    """The last index is out of range and gives zeros."""
    inputs = [integers(10, 48 * bits // 8), np.array([[1, -1, 9], [3, 5, 12]])]
    inputs.append(rand(10, 3, seed=1))
    if zeros:
        inputs.append(integers(10, -(-3 * bits // 8), seed=2))
    check_blocks(inputs, {"bits": bits, "block_size": 16})


@pytest.mark.parametrize("dtype", [ml_dtypes.int4, ml_dtypes.uint4])
@pytest.mark.parametrize(
    "axes, zeros", [((1, 0), True), ((0, 1), False), ((0, 0), True)]
)
def test_gather_blocks(dtype, axes, zeros):
    data = np.random.default_rng(0).integers(0, 7, (32, 20)).astype(dtype)
    at = np.array([1, 0, -1], np.int32)
    sizes = [32, 20]
    sizes[axes[1]] = 2
    inputs = [data, at, rand(*sizes, seed=1)]
    if zeros:
        inputs.append(np.random.default_rng(2).integers(0, 7, sizes).astype(dtype))
    attrs = {"block_size": 16, "gather_axis": axes[0], "quantize_axis": axes[1]}
    check_blocks(inputs, attrs)


def test_gather_defaults():
    inputs = [integers(10, 130), np.array([3, 1]), rand(10, 3, seed=1)]
    check_blocks(inputs, {})


@pytest.mark.parametrize(
    "dtype", [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float4_e2m1fn]
)
@pytest.mark.parametrize(
    "block, sizes", [(16, (10, 3)), (0, (10, 1)), (16, (1, 3)), (0, (1, 1))]
)
def test_gather_floats(dtype, block, sizes):
    """Scales may be shared along an axis; block 0 is all of one."""
    inputs = [rand(10, 48).astype(dtype), np.array([[1, -1, 9], [3, 5, 12]])]
    inputs.append(np.abs(rand(*sizes, seed=1)))
    check_blocks(inputs, {"block_size": block})


def test_gather_errors():
    inputs = [integers(10, 8), np.array([1]), rand(10, 1)]
    op, attrs = "GatherBlockQuantized", {"block_size": 16, "gather_axis": 1}
    fails(op, inputs, attrs, message="out of range")
    fails(op, inputs, {"block_size": 16, "bits": 3}, message="out of range")


# ---- 4 and 16 bits -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [ml_dtypes.int4, ml_dtypes.uint4])
def test_four_bits(dtype):
    x = rand(4, 6) * 4
    inputs = [x, f32(0.7), np.array(1, dtype)]
    info = ml_dtypes.iinfo(dtype)
    q = np.clip(np.rint(x / inputs[1]) + 1, info.min, info.max).astype(dtype)
    options = {"domain": DOMAIN, "x64": False, "dynamic": False}
    check_node("QuantizeLinear", inputs, expected=[q], **options)
    y = (q.astype(np.float32) - 1) * inputs[1]
    check_node("DequantizeLinear", [q, *inputs[1:]], expected=[y], **options)
