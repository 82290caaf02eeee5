"""Operators of com.microsoft against onnxruntime: products, convolutions, activations,
and small ones."""

import functools

import numpy as np
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails

DOMAIN = "com.microsoft"
check = functools.partial(ort.check, domain=DOMAIN)
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def i64(*values):
    return np.array(values, np.int64)


def test_unknown_operator():
    text = fails("NoSuchOperator", [rand(2)], message="NoSuchOperator")
    assert DOMAIN in text


# ---- activations ---------------------------------------------------------------------


def test_gelu():
    check("Gelu", [rand(3, 8) * 3])
    check("QuickGelu", [rand(3, 8) * 3])
    check("QuickGelu", [rand(3, 8) * 3], {"alpha": 1.0}, contains="jax.nn.silu")
    check("BiasGelu", [rand(2, 3, 8), rand(8, seed=1)])
    check("FastGelu", [rand(2, 3, 8)], contains="jax.nn.gelu(")
    check("FastGelu", [rand(2, 3, 8), rand(8, seed=1)])


def test_bias_split_gelu():
    """onnxruntime has it for CUDA only: torch instead."""
    x, bias = rand(2, 3, 8), rand(8, seed=1)
    left, right = np.split(x + bias, 2, axis=-1)
    expected = left * F.gelu(torch.from_numpy(right)).numpy()
    options = {"rtol": 1e-5, "atol": 1e-5, "x64": False}
    check_node(
        "BiasSplitGelu", [x, bias], domain=DOMAIN, expected=[expected], **options
    )
    fails("BiasSplitGelu", [rand(2, 3, 7), rand(7)], message="odd")


def gelu_of_tanh(x):
    return F.gelu(torch.from_numpy(x), approximate="tanh").numpy()


@pytest.mark.parametrize("bias", [False, True])
def test_gemm_fast_gelu(bias):
    """No CPU kernel: torch instead."""
    inputs = [rand(2, 3, 4), rand(4, 5, seed=1)] + ([rand(5, seed=2)] if bias else [])
    y = gelu_of_tanh(inputs[0] @ inputs[1] + (inputs[2] if bias else 0))
    options = {"rtol": 1e-5, "atol": 1e-5, "x64": False}
    check_node("GemmFastGelu", inputs, domain=DOMAIN, expected=[y], **options)


def test_bias_add():
    """No CPU kernel: the sum, and that alone outside of training."""
    x, bias, skip = rand(2, 3, 8), rand(8, seed=1), rand(2, 3, 8, seed=2)
    options = {"domain": DOMAIN, "x64": False}
    check_node("BiasAdd", [x, bias, skip], expected=[x + bias + skip], **options)
    dropped = [x + bias + skip, np.ones(x.shape, bool)]
    check_node("BiasDropout", [x, bias, skip], outputs=2, expected=dropped, **options)
    check_node("BiasDropout", [x, bias], expected=[x + bias], **options)
    training = [x, bias, None, np.float32(0.5), np.array(True)]
    fails("BiasDropout", training, message="training")


@pytest.mark.parametrize("size, step, dim", [(2, 1, -1), (3, 2, 1), (4, 3, 0)])
def test_unfold(size, step, dim):
    check("UnfoldTensor", [rand(5, 6, 7)], {"size": size, "step": step, "dim": dim})


def test_unfold_errors():
    fails("UnfoldTensor", [rand(2, 3)], {"size": 4}, message="slices of 4")


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(mode, padding):
    inputs = [rand(2, 3, 5, 6), rand(2, 4, 3, 2, seed=1)]
    attrs = {"mode": mode, "padding_mode": padding, "align_corners": 1}
    check("GridSample", inputs, attrs)


@pytest.mark.parametrize("axis, axes", [(1, (1, 2)), (2, (2,)), (-1, (2,))])
@pytest.mark.parametrize("shape, inner", [((1, 4, 5), 0), ((3, 1, 5), 1), ((5,), 0)])
def test_bias_softmax(axis, axes, shape, inner):
    """onnxruntime has it for CUDA only: softmax over all axes from `axis` on."""
    x, bias = rand(3, 4, 5), rand(*shape, seed=1)
    power = np.exp(x + bias)
    expected = power / power.sum(axes, keepdims=True)
    attrs = {"axis": axis, "is_inner_broadcast": inner}
    options = {"rtol": 1e-5, "x64": False, "domain": DOMAIN}
    check_node("BiasSoftmax", [x, bias], attrs, expected=[expected], **options)


# ---- products ------------------------------------------------------------------------


@pytest.mark.parametrize("a", [{}, {"transA": 1}, {"transBatchA": 1}])
@pytest.mark.parametrize("b", [{}, {"transB": 1}, {"transBatchB": 1}])
def test_fused_matmul_of_batches(a, b):
    """The sizes differ where they can."""
    shape = {(): (2, 3, 4, 5), ("transA",): (2, 3, 5, 4)}
    shape[("transBatchA",)] = (4, 2, 3, 5)
    other = {(): (2, 3, 5, 6), ("transB",): (2, 3, 6, 5)}
    other[("transBatchB",)] = (5, 2, 3, 6)
    inputs = [rand(*shape[tuple(a)]), rand(*other[tuple(b)], seed=1)]
    check("FusedMatMul", inputs, a | b)


def test_fused_matmul():
    a, b = rand(4, 5), rand(6, 5, seed=1)
    attrs = {"transB": 1, "alpha": 0.25}
    check("FusedMatMul", [a, b], attrs)
    check("FusedMatMul", [rand(5), rand(5, 3, seed=1)], {"transA": 1})
    both = {"transA": 1, "transBatchA": 1}
    check("FusedMatMul", [rand(5, 2, 4), rand(2, 5, 3, seed=1)], both)
    fails("FusedMatMul", [a, rand(6, 4)], {"transB": 1}, message="do not match")


def test_older_and_activated_matmul():
    a, b = rand(4, 5), rand(6, 5, seed=1)
    attrs = {"transB": 1, "alpha": 0.25}
    check("TransposeMatMul", [a, b], attrs)
    y = np.maximum(0.25 * a @ b.T, 0)
    attrs |= {"activation": "Relu"}
    options = {"domain": DOMAIN, "expected": [y], "x64": False, "rtol": 1e-5}
    check_node("FusedMatMulActivation", [a, b], attrs, **options)


PARAMETERS = {
    "Relu": {},
    "Sigmoid": {},
    "Tanh": {},
    "Softplus": {},
    "Softsign": {},
    "LeakyRelu": {"activation_alpha": 0.2},
    "Elu": {"activation_alpha": 1.5},
    "HardSigmoid": {"activation_alpha": 0.3, "activation_beta": 0.4},
}


@pytest.mark.parametrize("activation", PARAMETERS)
def test_fused_gemm(activation):
    inputs = [rand(4, 5), rand(6, 5, seed=1), rand(6, seed=2)]
    attrs = {"activation": activation, **PARAMETERS[activation]}
    attrs |= {"transB": 1, "alpha": 0.5, "beta": 2.0}
    check("FusedGemm", inputs, attrs)


def test_fused_gemm_errors():
    inputs = [rand(4, 5), rand(5, 6, seed=1)]
    fails("FusedGemm", inputs, {"activation": "LeakyRelu"}, message="missing")
    fails("FusedGemm", inputs, {"activation": "Gronk"}, message='"Gronk"')


@pytest.mark.parametrize(
    "activation, values",
    [
        (None, None),
        ("Relu", None),
        ("Tanh", None),
        ("Sigmoid", None),
        ("LeakyRelu", [0.1]),
        ("Clip", [-0.5, 0.75]),
        ("HardSigmoid", [0.2, 0.5]),
    ],
)
@pytest.mark.parametrize("added", [False, True])
def test_fused_conv(activation, values, added):
    inputs = [rand(2, 4, 7, 6), rand(6, 2, 3, 3, seed=1), rand(6, seed=2)]
    if added:
        inputs.append(rand(2, 6, 4, 3, seed=3))
    attrs = {"group": 2, "pads": [1, 1, 1, 1], "strides": [2, 2]}
    if activation:
        attrs["activation"] = activation
    if values:
        attrs["activation_params"] = values
    check("FusedConv", inputs, attrs, dynamic=False)


def test_fused_conv_errors():
    inputs = [rand(2, 4, 7, 6), rand(6, 4, 3, 3, seed=1)]
    fails("FusedConv", inputs, {"activation": "Clip"}, message="missing")
    inputs += [None, rand(2, 6, 4, 3)]
    fails("FusedConv", inputs, {"activation": "Relu"}, message="broadcast")


@pytest.mark.parametrize(
    "attrs",
    [{}, {"group": 2, "pads": [1, 0, 2, 1]}, {"auto_pad": "SAME_UPPER"}],
)
def test_nhwc_conv(attrs):
    """No CPU kernel: ONNX's Conv between transposes, as onnxruntime's fusion has it."""
    x, w = rand(2, 7, 6, 4), rand(6, 3, 2, 4 // attrs.get("group", 1), seed=1)
    bias = rand(6, seed=2)
    first = [np.moveaxis(x, -1, 1), np.moveaxis(w, -1, 1), bias]
    names = dict(zip("XWB", first, strict=True))
    model = ort.harness.make_model("Conv", names, attrs, opset=17)
    expected = np.moveaxis(ort.run(model, names)[0], 1, -1)
    options = {"expected": [expected], "rtol": 2e-5, "atol": 2e-5, "x64": False}
    check_node("NhwcConv", [x, w, bias], attrs, domain=DOMAIN, **options)


@pytest.mark.parametrize("activation, added", [("", False), ("Relu", True)])
def test_nhwc_fused_conv(activation, added):
    """No CPU kernel: ONNX's Conv between transposes; W has channels second here."""
    x, w = rand(2, 7, 6, 4), rand(6, 2, 3, 2, seed=1)
    inputs = [x, w, rand(6, seed=2)] + ([rand(2, 7, 6, 6, seed=3)] if added else [])
    attrs = {"pads": [1, 1, 1, 0], "group": 2}
    names = {"X": np.moveaxis(x, -1, 1), "W": w, "B": inputs[2]}
    model = ort.harness.make_model("Conv", names, attrs, opset=17)
    y = np.moveaxis(ort.run(model, names)[0], 1, -1)
    y = np.maximum(y + inputs[3], 0) if added else y
    attrs |= {"activation": activation} if activation else {}
    options = {"expected": [y], "rtol": 2e-5, "atol": 2e-5, "x64": False}
    check_node("NhwcFusedConv", inputs, attrs, domain=DOMAIN, **options)


# ---- operators that ONNX has, too ----------------------------------------------------


def test_trilu():
    x = rand(2, 4, 5)
    check("Trilu", [x])
    check("Trilu", [x, np.array(1)], {"upper": 0}, dynamic=False)
    check("Trilu", [x, np.array(-1)], constant=["arg_1"])


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.float64])
@pytest.mark.parametrize("delta", [True, False])
def test_range(dtype, delta):
    inputs = [np.array(v, dtype) for v in ([2, 11, 3] if delta else [2, 6])]
    names = dict(zip(["start", "limit", "delta"], inputs))
    x64 = dtype in (np.int64, np.float64)
    check("Range", names, constant=list(names), x64=x64, dynamic=False)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad(mode):
    inputs = {"data": rand(3, 4), "pads": i64(0, 1, 2, 1)}
    check("Pad", inputs, {"mode": mode}, constant=["pads"])
    if mode == "constant":
        inputs["value"] = np.array(1.5, np.float32)
        check("Pad", inputs, {"mode": mode}, constant=["pads", "value"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_inverse(dtype):
    x = (rand(3, 4, 4) + 4 * np.eye(4)).astype(dtype)
    tolerance = 2e-2 if dtype == np.float16 else 1e-4
    x64 = dtype == np.float64
    check("Inverse", [x], rtol=tolerance, atol=tolerance, x64=x64)
    fails("Inverse", [rand(3, 4)], message="square")


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_cdist(metric):
    check("CDist", [rand(4, 5), rand(6, 5, seed=1)], {"metric": metric})
    check("CDist", [rand(4, 5), rand(6, 5, seed=1)])
    fails("CDist", [rand(4, 5), rand(6, 5)], {"metric": "cosine"}, message="cosine")


# ---- quantization that is ONNX's, too ------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_quantize(dtype, axis):
    x = rand(4, 6) * 20
    size = () if axis is None else (x.shape[axis],)
    scale = np.abs(rand(*size, seed=1)).astype(np.float32) + 0.1
    zero = np.asarray(np.random.default_rng(2).integers(0, 9, size), dtype)
    attrs = {} if axis is None else {"axis": axis}
    check("QuantizeLinear", [x, np.asarray(scale), zero], attrs, rtol=0, atol=0)
    q = np.random.default_rng(3).integers(0, 100, x.shape).astype(dtype)
    check("DequantizeLinear", [q, np.asarray(scale), zero], attrs, rtol=0, atol=0)
