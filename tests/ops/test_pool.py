"""Pooling against onnxruntime, torch and onnx.reference."""

import ml_dtypes
import numpy as np
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails

BF16 = ml_dtypes.bfloat16


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def image(n, dtype=np.float32):
    return rand(2, 3, *[9, 8, 7][:n], dtype=dtype)


def spread(attrs, n):
    """Sizes for n axes."""
    spread = dict(attrs)
    counts = {"kernel_shape": n, "strides": n, "dilations": n, "pads": 2 * n}
    for name, count in counts.items():
        if name in attrs:
            spread[name] = [attrs[name]] * count
    return spread


WINDOWS = [
    {"kernel_shape": 2, "strides": 2},
    {"kernel_shape": 3},
    {"kernel_shape": 3, "strides": 2, "pads": 1},
    {"kernel_shape": 3, "strides": 2, "auto_pad": "SAME_UPPER"},
    {"kernel_shape": 3, "strides": 2, "auto_pad": "SAME_LOWER"},
    {"kernel_shape": 2, "auto_pad": "SAME_LOWER"},
    {"kernel_shape": 3, "strides": 2, "auto_pad": "VALID"},
]
CEIL = [
    {"kernel_shape": 2, "strides": 2, "ceil_mode": 1},
    {"kernel_shape": 3, "strides": 2, "pads": 1, "ceil_mode": 1},
    {"kernel_shape": 2, "strides": 3, "pads": 1, "ceil_mode": 1},
    {"kernel_shape": 3, "strides": 3, "pads": 1, "ceil_mode": 1},
]


def over_axes(cases):
    """(n, attrs): all cases over two axes, some over one and three."""
    return [(2, c) for c in cases] + [(n, c) for n in (1, 3) for c in cases[2:4]]


# ---- MaxPool -------------------------------------------------------------------------


@pytest.mark.parametrize("n, attrs", over_axes(WINDOWS) + over_axes(CEIL), ids=str)
def test_max_pool(n, attrs):
    ort.check("MaxPool", [image(n)], spread(attrs, n), opset=12)


@pytest.mark.parametrize("opset", [1, 8, 10, 11, 12, 22])
def test_max_pool_versions(opset):
    attrs = {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [1, 0, 0, 1]}
    ort.check("MaxPool", [image(2)], attrs, opset=opset, dynamic="unique")


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("extra", [{}, {"pads": 1}, {"ceil_mode": 1, "strides": 2}])
def test_max_pool_dilated(n, extra):
    attrs = spread({"kernel_shape": 2, "dilations": 3, **extra}, n)
    ort.check("MaxPool", [image(n)], attrs, opset=12)


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("pads", [[0, 0], [1, 0], [0, 1], [1, 1]])
def test_max_pool_ceil_sizes(size, stride, pads):
    """Against torch's rule, also where the last window would begin in the padding."""
    x = rand(1, 1, size)
    attrs = {"kernel_shape": [3], "strides": [stride], "pads": pads, "ceil_mode": 1}
    ort.check("MaxPool", [x], attrs, opset=12)


@pytest.mark.parametrize("n, storage_order", [(1, 1), (2, 0), (2, 1), (3, 1)])
@pytest.mark.parametrize(
    "attrs",
    [
        {"kernel_shape": 2, "strides": 2},
        {"kernel_shape": 3, "strides": 2, "pads": 1},
        {"kernel_shape": 2, "dilations": 2, "pads": 1},
    ],
    ids=str,
)
def test_max_pool_indices(n, storage_order, attrs):
    attrs = {**spread(attrs, n), "storage_order": storage_order}
    ort.check("MaxPool", [image(n)], attrs, opset=12, outputs=2)


def test_max_pool_indices_with_equal_elements():
    x = np.zeros((1, 2, 4, 4), np.float32)
    attrs = {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}
    ort.check("MaxPool", [x], attrs, opset=12, outputs=2)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_max_pool_integers(dtype, outputs):
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 6)).astype(dtype)
    attrs = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    ort.check("MaxPool", [x], attrs, opset=12, outputs=outputs)


def test_max_pool_integers_dilated():
    x = np.random.default_rng(0).integers(-128, 0, (2, 3, 6)).astype(np.int8)
    attrs = {"kernel_shape": [2], "dilations": [3], "pads": [2, 2]}
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2)), constant_values=-128)
    expected = np.maximum(padded[..., :-3], padded[..., 3:])
    check_node("MaxPool", [x], attrs, opset=12, expected=[expected])


def test_max_pool_float64():
    x = image(2, np.float64)
    expected = [F.max_pool2d(torch.from_numpy(x), 3, 2, 1).numpy()]
    attrs = spread({"kernel_shape": 3, "strides": 2, "pads": 1}, 2)
    check_node("MaxPool", [x], attrs, opset=12, expected=expected, x64=True)


@pytest.mark.parametrize(
    "attrs, text",
    [
        (
            {"kernel_shape": [2, 2], "strides": [2, 2]},
            "max_pool(X, window=2, stride=2)",
        ),
        (
            {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4},
            "max_pool(X, window=3, stride=2, padding=1)",
        ),
        ({"kernel_shape": [2, 1]}, "max_pool(X, window=(2, 1))"),
    ],
)
def test_max_pool_code(attrs, text):
    source = ort.check("MaxPool", [image(2)], attrs, opset=12, contains=text)
    assert "extract_windows" not in source


def test_unused_indices_cost_nothing():
    attrs = {"kernel_shape": [2, 2]}
    expected = [F.max_pool2d(torch.from_numpy(image(2)), 2, 1).numpy()]
    source = check_node(
        "MaxPool", [image(2)], attrs, opset=12, outputs=1, expected=expected
    )
    assert "indices" not in source


# ---- AveragePool ---------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("n, attrs", over_axes(WINDOWS), ids=str)
def test_average_pool(n, count, attrs):
    attrs = {**spread(attrs, n), "count_include_pad": count}
    ort.check("AveragePool", [image(n)], attrs, opset=11)


@pytest.mark.parametrize("opset", [1, 7, 10, 11, 19, 22])
def test_average_pool_versions(opset):
    """onnx.reference counts the padding in version 1, against its text."""
    x, attrs = image(2), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    y = F.avg_pool2d(torch.from_numpy(x), 3, 1, 1, count_include_pad=False).numpy()
    check_node(
        "AveragePool",
        [x],
        attrs,
        opset=opset,
        expected=[y],
        dynamic="unique",
        rtol=1e-5,
    )


TORCH_AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@pytest.mark.parametrize("count", [False, True])
@pytest.mark.parametrize("n, attrs", over_axes(CEIL), ids=str)
def test_average_pool_ceil(n, count, attrs):
    x = image(n)
    pad, (k, s) = attrs.get("pads", 0), (attrs["kernel_shape"], attrs["strides"])
    y = TORCH_AVG[n](torch.from_numpy(x), k, s, pad, True, count)
    attrs = {**spread(attrs, n), "count_include_pad": int(count)}
    check_node(
        "AveragePool", [x], attrs, opset=19, expected=[y.numpy()], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("extra", [{}, {"pads": 1}, {"ceil_mode": 1, "strides": 2}])
def test_average_pool_dilated(n, count, extra):
    attrs = spread({"kernel_shape": 2, "dilations": 3, **extra}, n)
    attrs["count_include_pad"] = count
    ort.check("AveragePool", [image(n)], attrs, opset=19)


def test_average_pool_code():
    attrs = {"kernel_shape": [2, 2], "strides": [2, 2]}
    text = "avg_pool(X, window=2, stride=2)"
    ort.check("AveragePool", [image(2)], attrs, opset=11, contains=text)
    attrs = {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}
    text = "avg_pool(X, window=3, padding=1)"
    ort.check("AveragePool", [image(2)], attrs, opset=11, contains=text)
    text = "avg_pool_inside(X, window=3, padding=1)"
    attrs.pop("count_include_pad")
    ort.check("AveragePool", [image(2)], attrs, opset=11, contains=text)


# ---- LpPool --------------------------------------------------------------------------


@pytest.mark.parametrize("n, attrs", over_axes(WINDOWS), ids=str)
def test_lp_pool(n, attrs):
    ort.check("LpPool", [image(n)], spread(attrs, n), opset=11)


@pytest.mark.parametrize("p", [1, 3])
def test_lp_pool_order(p):
    attrs = {"kernel_shape": [3, 3], "pads": [1] * 4, "p": p}
    ort.check("LpPool", [image(2)], attrs, opset=11)


@pytest.mark.parametrize("opset", [2, 11, 18])
def test_lp_pool_versions(opset):
    attrs = {"kernel_shape": [3, 2], "strides": [1, 2]}
    ort.check("LpPool", [image(2)], attrs, opset=opset, dynamic="unique")


def test_lp_pool_1():
    x = image(2)
    expected = [F.lp_pool2d(torch.from_numpy(np.abs(x)), 3.0, 2, 1).numpy()]
    attrs = {"kernel_shape": [2, 2], "p": 3.0}
    check_node("LpPool", [x], attrs, opset=1, expected=expected, rtol=1e-5)


def test_lp_pool_dilated():
    attrs = {"kernel_shape": [2, 2], "dilations": [2, 3], "p": 3}
    ort.check("LpPool", [image(2)], attrs, opset=18)


# ---- global pools --------------------------------------------------------------------


@pytest.mark.parametrize("n, opset", [(1, 1), (2, 22), (3, 22)])
@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pool(n, opset, op):
    x, reduce = image(n), np.max if op == "GlobalMaxPool" else np.mean
    y = reduce(x, tuple(range(2, n + 2)), keepdims=True)
    check_node(op, [x], opset=opset, expected=[y], dynamic="unique", rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, BF16])
def test_the_type_of_a_global_mean(dtype):
    x = image(2).astype(dtype)
    y = np.mean(x.astype(np.float64), (2, 3), keepdims=True).astype(dtype)
    rtol = {np.float16: 1e-3, BF16: 8e-3}.get(dtype, 1e-5)
    options = {"contains": "global_mean(X, keepdims=True)", "rtol": rtol}
    check_node("GlobalAveragePool", [x], opset=22, expected=[y], **options)


@pytest.mark.parametrize("n, p", [(1, 1), (2, 2), (3, 3)])
def test_global_lp_pool(n, p):
    ort.check("GlobalLpPool", [image(n)], {"p": p}, opset=2, dynamic="unique")


def test_global_lp_pool_1():
    x = image(2)
    expected = [(np.abs(x) ** 2.5).sum((2, 3), keepdims=True) ** 0.4]
    check_node("GlobalLpPool", [x], {"p": 2.5}, opset=1, expected=expected, rtol=1e-5)


def test_pool_errors():
    x = image(2)
    fails = compile_fails
    fails("MaxPool", [x], message="kernel_shape is missing")
    fails("MaxPool", [x], {"kernel_shape": [2]}, message="kernel_shape has 1 entries")
    fails("MaxPool", [x], {"kernel_shape": [12, 2]}, message="larger than the padded")
    fails("MaxPool", [x], {"kernel_shape": [0, 2]}, message="kernel_shape[0] is 0")
    fails("MaxPool", [x[0, 0]], {"kernel_shape": [2]}, message="rank 2")
    fails("LpPool", [x], {"kernel_shape": [2, 2], "p": 0}, message="p is 0")
    fails("GlobalMaxPool", [x[0, 0, 0]], message="rank 1")
