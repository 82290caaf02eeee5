"""Conv and ConvTranspose against onnxruntime and torch."""

import numpy as np
import onnx
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def conv_inputs(n, groups=1, kernel=3, bias=True):
    x = rand(2, 4, *[9, 8, 7][:n])
    w = rand(6 if groups < 4 else 8, 4 // groups, *[kernel] * n, seed=1)
    return [x, w, rand(w.shape[0], seed=2)][: 2 + bias]


CONV = [
    {},
    {"pads": 1, "strides": 2},
    {"pads": 2, "dilations": 2},
    {"auto_pad": "VALID", "strides": 2},
    {"auto_pad": "SAME_UPPER", "strides": 2},
    {"auto_pad": "SAME_LOWER", "strides": 2},
    {"auto_pad": "SAME_UPPER"},
    {"auto_pad": "SAME_LOWER", "strides": 3},
    {"group": 2, "strides": 2, "pads": 1},
    {"group": 4, "pads": 1},
]


def spread(attrs, n):
    """Sizes for n axes."""
    spread = dict(attrs)
    for name, count in (("strides", n), ("dilations", n), ("pads", 2 * n)):
        if name in attrs:
            spread[name] = [attrs[name]] * count
    return spread


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("attrs", CONV, ids=str)
def test_conv(n, attrs):
    inputs = conv_inputs(n, attrs.get("group", 1))
    ort.check("Conv", inputs, spread(attrs, n), opset=11)


@pytest.mark.parametrize("opset", [1, 11, 22])
def test_conv_versions(opset):
    attrs = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    ort.check("Conv", conv_inputs(2), attrs, opset=opset, dynamic="unique")


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("kernel, stride", [(1, 1), (1, 3), (2, 1), (4, 3), (5, 2)])
@pytest.mark.parametrize("size", [7, 8])
def test_conv_same(auto_pad, kernel, stride, size):
    inputs = [rand(1, 2, size), rand(3, 2, kernel, seed=1)]
    attrs = {"auto_pad": auto_pad, "strides": [stride]}
    ort.check("Conv", inputs, attrs, opset=11, dynamic="unique")


def test_conv_same_dilated():
    """onnxruntime refuses it; the text of the operator does not."""
    x, w = rand(1, 2, 8), rand(3, 2, 3, seed=1)
    attrs = {"auto_pad": "SAME_UPPER", "dilations": [2], "strides": [2]}
    padded = F.pad(torch.from_numpy(x), (1, 2))
    expected = F.conv1d(padded, torch.from_numpy(w), stride=2, dilation=2).numpy()
    check_node("Conv", [x, w], attrs, opset=11, expected=[expected], atol=1e-5)


@pytest.mark.parametrize(
    "attrs, text",
    [
        ({}, "conv(X, as_kernel(W), B)"),
        ({"pads": [1] * 4}, "conv(X, as_kernel(W), B, padding=1)"),
        ({"pads": [1, 0, 1, 0]}, "padding=((1, 1), (0, 0)))"),
        ({"pads": [0, 1, 2, 3]}, "padding=((0, 2), (1, 3)))"),
        ({"strides": [2, 2], "pads": [1] * 4}, "as_kernel(W), B, stride=2, padding=1)"),
        ({"strides": [2, 1]}, "conv(X, as_kernel(W), B, stride=(2, 1))"),
        ({"dilations": [1, 2]}, "conv(X, as_kernel(W), B, dilation=(1, 2))"),
        ({"auto_pad": "SAME_UPPER"}, "conv(X, as_kernel(W), B, padding=1)"),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, "padding=((1, 1), (1, 0)))"),
    ],
    ids=str,
)
def test_conv_code(attrs, text):
    ort.check("Conv", conv_inputs(2), attrs, opset=11, contains=text)


@pytest.mark.parametrize("attrs", [{"strides": [2, 2]}, {"pads": [1] * 4}], ids=str)
@pytest.mark.parametrize("outputs, helper", [(4, "depthwise_conv("), (8, " conv(")])
def test_depthwise_conv_code(attrs, outputs, helper):
    """Each channel has a kernel of its own, or several."""
    x, w, b = rand(2, 4, 8, 7), rand(outputs, 1, 3, 3, seed=1), rand(outputs, seed=2)
    ort.check("Conv", [x, w, b], attrs | {"group": 4}, opset=11, contains=helper)


@pytest.mark.parametrize("size, helper", [(7, "depthwise_conv("), (8, " conv(")])
def test_larger_depthwise_kernels_stay_one_convolution(size, helper):
    x, w = rand(1, 4, 9, 8), rand(4, 1, size, size, seed=1)
    attrs = {"group": 4, "pads": [3] * 4}
    ort.check("Conv", [x, w], attrs, opset=11, contains=helper)


@pytest.mark.parametrize(
    "attrs, helper",
    [
        ({}, "pointwise_conv(X, W, B)"),
        ({"strides": [2, 2]}, "pointwise_conv(X, W, B, stride=2)"),
        ({"strides": [2, 1]}, "pointwise_conv(X, W, B, stride=(2, 1))"),
        (
            {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
            "pointwise_conv(X, W, B, stride=2)",
        ),
        ({"auto_pad": "SAME_LOWER"}, "pointwise_conv(X, W, B)"),
        ({"auto_pad": "VALID"}, "pointwise_conv(X, W, B)"),
        ({"pads": [1] * 4}, " conv("),
        ({"group": 2}, " conv("),
    ],
    ids=str,
)
def test_pointwise_conv_code(attrs, helper):
    x, w, b = conv_inputs(2, kernel=1)
    w = w[:, : 4 // attrs.get("group", 1)]
    ort.check("Conv", [x, w, b], attrs, opset=11, contains=helper)


def test_conv_float64():
    inputs = [a.astype(np.float64) for a in conv_inputs(2)]
    tensors = [torch.from_numpy(a) for a in inputs]
    expected = [F.conv2d(*tensors, padding=1).numpy()]
    attrs = {"pads": [1, 1, 1, 1]}
    check_node("Conv", inputs, attrs, opset=11, expected=expected, x64=True)


def test_conv_one_by_one():
    ort.check("Conv", conv_inputs(2, kernel=1), {"strides": [2, 2]}, opset=11)


def test_conv_errors():
    x, w, b = conv_inputs(2)
    compile_fails("Conv", [x, w[:, :3]], message="X has 4 channels, but W is for 3")
    compile_fails("Conv", [x, w, b[:4]], message="B does not have one element")
    compile_fails("Conv", [x, w], {"group": 0}, message="group is 0")
    compile_fails("Conv", [x, w[:5, :2]], {"group": 2}, message="group 2")
    compile_fails("Conv", [x, w[..., 0]], message="W has rank 3")
    compile_fails("Conv", [x, w], {"kernel_shape": [3, 2]}, message="kernel_shape[1]")
    compile_fails("Conv", [x, w], {"strides": [0, 1]}, message="strides[0] is 0")
    compile_fails("Conv", [x, w], {"strides": [1]}, message="strides has 1 entries")
    compile_fails("Conv", [x, w], {"pads": [-1, 0, 0, 0]}, message="pads[0] is -1")
    compile_fails("Conv", [x, w], {"auto_pad": "SAME"}, message='auto_pad is "SAME"')
    compile_fails("Conv", [x, w], {"dilations": [9, 1]}, message="larger than")
    compile_fails("Conv", [x[0, 0], w], message="rank 2")


# ---- ConvTranspose -------------------------------------------------------------------


def transpose_inputs(n, groups=1, kernel=3):
    x = rand(2, 4, *[5, 4, 3][:n])
    w = rand(4, 8 // groups, *[kernel] * n, seed=1)
    return [x, w, rand(8, seed=2)]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"strides": 2, "pads": 1},
        {"strides": 2, "pads": 1, "output_padding": 1},
        {"strides": 3, "output_padding": 2, "dilations": 2, "pads": 2},
        {"group": 2, "strides": 2},
        {"group": 4, "strides": 2, "pads": 1},
        {"auto_pad": "SAME_UPPER", "strides": 2},
        {"auto_pad": "SAME_LOWER", "strides": 2},
        {"auto_pad": "VALID", "strides": 2},
        {"auto_pad": "SAME_UPPER", "strides": 2, "output_padding": 1},
    ],
    ids=str,
)
def test_conv_transpose(n, attrs):
    sizes = spread(attrs, n)
    if "output_padding" in attrs:
        sizes["output_padding"] = [attrs["output_padding"]] * n
    inputs = transpose_inputs(n, attrs.get("group", 1))
    ort.check("ConvTranspose", inputs, sizes, opset=11)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("size", [9, 10, 11, 12])
def test_conv_transpose_output_shape(auto_pad, size):
    """5 elements with stride 2 and kernel 3 give 11 when none is cut off."""
    x, w, b = transpose_inputs(1)
    attrs = {"output_shape": [size], "strides": [2], "auto_pad": auto_pad}
    ort.check("ConvTranspose", [x, w, b], attrs, opset=11, dynamic="unique")


@pytest.mark.parametrize("opset", [1, 11, 22])
def test_conv_transpose_versions(opset):
    attrs = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 0, 1]}
    inputs = transpose_inputs(2)
    ort.check("ConvTranspose", inputs, attrs, opset=opset, dynamic="unique")


def test_conv_transpose_code():
    attrs = {"strides": [2, 2], "pads": [1] * 4, "output_padding": [1, 1]}
    text = "conv_transpose(X, W, B, stride=2, padding=((1, 0), (1, 0)))"
    ort.check("ConvTranspose", transpose_inputs(2), attrs, opset=11, contains=text)
    text = "conv_transpose(X, W, B, stride=2, padding=1)"
    attrs.pop("output_padding")
    ort.check("ConvTranspose", transpose_inputs(2), attrs, opset=11, contains=text)


def test_conv_transpose_errors():
    x, w, b = transpose_inputs(1)
    fails = compile_fails
    fails("ConvTranspose", [x, w[:3]], message="X has 4 channels, but W is for 3")
    fails("ConvTranspose", [x, w, b[:7]], message="B does not have one element")
    fails("ConvTranspose", [x, w], {"pads": [9, 9]}, message="larger than the output")
    attrs = {"output_shape": [1, 2]}
    fails("ConvTranspose", [x, w], attrs, message="output_shape has 2 entries")
    attrs = {"output_shape": [13]}
    fails("ConvTranspose", [x, w], attrs, message="output_shape is too large")
    attrs = {"output_padding": [-1]}
    fails("ConvTranspose", [x, w], attrs, message="out of range")


def test_schemas_are_known():
    """No newer version of the operators than these tests are about."""
    assert onnx.defs.get_schema("Conv").since_version == 22
    assert onnx.defs.get_schema("ConvTranspose").since_version == 22
