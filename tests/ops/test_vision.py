"""Sampling, regions of interest and boxes, against onnxruntime and torch."""

import numpy as np
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# ---- GridSample, AffineGrid ----------------------------------------------------------

X = draw(2, 3, 4, 5)
GRID = draw(2, 6, 7, 2, seed=1)
PADDINGS = ["zeros", "border", "reflection"]


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", PADDINGS)
def test_grid_sample_16(mode, padding):
    for align in (0, 1):
        attrs = {"mode": mode, "padding_mode": padding, "align_corners": align}
        ort.check(
            "GridSample", [X, GRID], attrs, opset=16, atol=1e-4, dynamic=bool(align)
        )


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("padding", PADDINGS)
def test_grid_sample_of_volumes(mode, padding):
    x, grid = draw(2, 2, 3, 4, 5), draw(2, 3, 2, 2, 3, seed=1)
    attrs = {"mode": mode, "padding_mode": padding}
    ort.check("GridSample", [x, grid], attrs, opset=20, atol=1e-4)


def test_grid_sample_errors():
    fails = compile_fails
    fails("GridSample", [X, GRID], {"mode": "area"}, message='mode "area"')
    fails("GridSample", [X, GRID[..., :1]], message="grid does not fit")


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 5, 1), (2, 3, 2, 3, 4)], ids=str)
def test_affine_grid(align, size):
    theta = draw(2, len(size) - 2, len(size) - 1)
    y = F.affine_grid(torch.from_numpy(theta), size, bool(align)).numpy()
    inputs, attrs = [theta, np.array(size)], {"align_corners": align}
    options = {"expected": [y], "atol": 1e-5}
    check_node("AffineGrid", inputs, attrs, constant=["size"], **options)


# ---- windows that move or are put back -----------------------------------------------


def test_deform_conv():
    x, w, b = draw(2, 4, 6, 5), draw(6, 2, 3, 2), draw(6)
    attrs = {"group": 2, "offset_group": 2, "strides": [2, 1], "dilations": [1, 2]}
    attrs["pads"] = [1, 0, 1, 1]
    offset, mask = draw(2, 24, 3, 4, seed=1), draw(2, 12, 3, 4, seed=2)
    inputs = [x, w, offset, b, mask]
    check_node("DeformConv", inputs, attrs, rtol=1e-4, atol=1e-4, x64=False)


def test_deform_conv_without_offsets_is_a_convolution():
    """Over one axis, where onnx.reference has nothing."""
    x, w = draw(2, 3, 8), draw(4, 3, 3)
    y = F.conv1d(torch.from_numpy(x), torch.from_numpy(w), padding=1).numpy()
    inputs, attrs = [x, w, np.zeros((2, 3, 8), np.float32)], {"pads": [1, 1]}
    check_node("DeformConv", inputs, attrs, expected=[y], rtol=1e-5, atol=1e-5)


def test_col2im():
    attrs = {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 2, 1, 2]}
    columns = draw(2, 3 * 6, 4 * 6)
    image, block = np.array([7, 6]), np.array([2, 3])
    options = {"dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
    y = F.fold(torch.from_numpy(columns), (7, 6), (2, 3), **options).numpy()
    inputs, fixed = [columns, image, block], ["image_shape", "block_shape"]
    check_node("Col2Im", inputs, attrs, constant=fixed, expected=[y], rtol=1e-5)


@pytest.mark.parametrize("opset", [9, 11, 22])
def test_max_unpool(opset):
    x = torch.from_numpy(draw(2, 3, 7, 8))
    y, places = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    expected = np.zeros((2, 3, 7 * 7), np.float32)
    y, places = y[..., :4], places[..., :4]
    rows, columns = places // 8, places % 8
    places = rows * 7 + columns.clip(max=6)
    np.put_along_axis(
        expected, places.reshape(2, 3, -1).numpy(), y.reshape(2, 3, -1).numpy(), -1
    )
    first = 49 * np.arange(6).reshape(2, 3, 1, 1)
    attrs = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    check_node(
        "MaxUnpool",
        [y.numpy(), places.numpy() + first],
        attrs,
        opset=opset,
        expected=[expected.reshape(2, 3, 7, 7)],
    )


# ---- regions of interest -------------------------------------------------------------

MAP = np.abs(draw(2, 3, 9, 11)) + 0.1
ROIS = np.array(
    [[0, 0, 7, 8], [-3, 1.3, 4, 4.2], [2.2, 2.7, 30, 20], [5, 5, 5.1, 5.2]], np.float32
)
IMAGES = np.array([0, 1, 1, 0])


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align(mode, samples):
    attrs = {"mode": mode, "sampling_ratio": samples, "spatial_scale": 0.7}
    attrs |= {"output_height": 3, "output_width": 2}
    inputs = [MAP, ROIS, IMAGES]
    opset = 16 if samples == 0 else 10
    ort.check("RoiAlign", inputs, attrs, opset=opset, atol=1e-4, dynamic=samples > 0)


def test_max_roi_pool():
    rois = np.concatenate([IMAGES[:, None].astype(np.float32), ROIS], -1)
    attrs = {"pooled_shape": [3, 2], "spatial_scale": 0.7}
    ort.check("MaxRoiPool", [draw(2, 3, 9, 11), rois], attrs, opset=1)


# ---- NonMaxSuppression ---------------------------------------------------------------

BOXES = np.random.default_rng(0).uniform(0, 1, (2, 20, 4)).astype(np.float32)
SCORES = np.random.default_rng(1).uniform(0, 1, (2, 3, 20)).astype(np.float32)


DYNAMIC = {"infer": False, "dynamic": False}


@pytest.mark.parametrize("opset, centered, count", [(10, 0, 4), (11, 1, 100)])
def test_non_max_suppression(opset, centered, count):
    limits = [np.array([count]), np.array([0.3], np.float32)]
    inputs = [BOXES, SCORES, *limits, np.array([0.4], np.float32)]
    options = {"opset": opset, **DYNAMIC}
    attrs = {"center_point_box": centered}
    ort.check("NonMaxSuppression", inputs, attrs, **options)
    fixed = ["max_output_boxes_per_class", "iou_threshold", "score_threshold"]
    text = "jnp.asarray(0.4, scores.dtype)"
    options |= {"constant": fixed, "contains": text}
    ort.check("NonMaxSuppression", inputs, attrs, **options)


def test_non_max_suppression_needs_a_count():
    expected = [np.zeros((0, 3), np.int64)]
    check_node("NonMaxSuppression", [BOXES, SCORES], expected=expected, **DYNAMIC)


def test_equal_scores_go_to_the_first_box():
    inputs = [BOXES, np.ones_like(SCORES), np.array([3]), np.array([0.5], np.float32)]
    ort.check("NonMaxSuppression", inputs, opset=11, **DYNAMIC)


# ---- what is refused -----------------------------------------------------------------

TEXT = np.array(["a", "b"], object)


@pytest.mark.parametrize(
    "op, inputs",
    [
        ("StringConcat", [TEXT, TEXT]),
        ("StringNormalizer", [TEXT]),
        ("StringSplit", [TEXT]),
        ("RegexFullMatch", [TEXT]),
    ],
)
def test_strings_are_refused(op, inputs):
    outputs = 2 if op == "StringSplit" else 1
    text = compile_fails(op, inputs, outputs=outputs, message="JAX has no strings")
    assert f"error[OX0302]: {op}: " in text


def test_image_files_are_refused():
    data = np.zeros(10, np.uint8)
    compile_fails("ImageDecoder", [data], message="decode the image before")
