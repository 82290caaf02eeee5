"""Resize and Upsample: old versions, symbolic sizes, and the code that comes out.

onnxruntime and torch are the judges where onnx.reference lacks a version or a mode.
"""

import numpy as np
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails, make_model

from resize import resize


def image(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


X = image(2, 3, 5, 6)
NONE = np.zeros(0, np.float32)


def scales(*values):
    return np.array([1, 1, *values], np.float32)


def sizes(*values):
    return np.array([2, 3, *values], np.int64)


# ---- versions ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scale", [(2, 3), (1.5, 2.25), (0.6, 0.5), (1, 0.7)], ids=str)
def test_resize_10(mode, scale):
    inputs = [X, scales(*scale)]
    ort.check("Resize", inputs, {"mode": mode}, opset=10, constant=["scales"])


@pytest.mark.parametrize("opset", [7, 9])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(opset, mode):
    scale = scales(2, 1.5)
    if opset == 7:
        ort.check("Upsample", [X], {"mode": mode, "scales": list(scale)}, opset=7)
    else:
        inputs = [X, scale]
        ort.check("Upsample", inputs, {"mode": mode}, opset=9, params=["scales"])


def test_upsample_1():
    attrs = {"height_scale": 2.0, "width_scale": 3.0}
    y = X.repeat(2, 2).repeat(3, 3)
    check_node("Upsample", [X], attrs, opset=1, expected=[y])
    attrs = {"height_scale": 1.0, "width_scale": 2.0, "mode": "bilinear"}
    y = np.repeat(X, 2, 3)
    y[..., 1:-1:2] = (X[..., :-1] + X[..., 1:]) / 2
    check_node("Upsample", [X], attrs, opset=1, expected=[y])


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_sizes_over_versions(opset):
    empty = NONE if opset == 11 else None
    inputs = [X, empty, empty, sizes(7, 4)]
    ort.check("Resize", inputs, {"mode": "linear"}, opset=opset, constant=["sizes"])


# ---- modes ---------------------------------------------------------------------------

COORDINATES = [
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "half_pixel_symmetric",
]


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
def test_coordinates(coordinates, mode):
    attrs = {"coordinate_transformation_mode": coordinates, "mode": mode}
    inputs = [X, None, None, sizes(7, 3)]
    ort.check("Resize", inputs, attrs, opset=19, constant=["sizes"])


@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_ceil"])
@pytest.mark.parametrize("coordinates", ["tf_half_pixel_for_nn", "align_corners"])
def test_nearest(rounding, coordinates):
    attrs = {"nearest_mode": rounding, "coordinate_transformation_mode": coordinates}
    inputs = [X, NONE, NONE, sizes(7, 3)]
    ort.check("Resize", inputs, attrs, opset=11, constant=["sizes"])


def test_crop():
    attrs = {
        "coordinate_transformation_mode": "tf_crop_and_resize",
        "mode": "linear",
        "extrapolation_value": 3.5,
    }
    roi = np.array([0, 0, 0.4, -0.2, 1, 1, 1.2, 0.7], np.float32)
    inputs = [X, roi, NONE, sizes(4, 5)]
    options = {"opset": 11, "x64": False, "atol": 1e-4}
    ort.check("Resize", inputs, attrs, constant=["sizes"], **options)
    source = ort.check("Resize", inputs, attrs, constant=["roi", "sizes"], **options)
    text = "box=(0.0, 0.0, 0.4, -0.2, 1.0, 1.0, 1.2, 0.7)"
    assert text in source and "jnp.asarray(3.5, z.dtype)" in source


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_against_torch(mode):
    """Bilinear and bicubic, as the exporter of PyTorch writes them."""
    torch_mode = {"linear": "bilinear", "cubic": "bicubic"}[mode]
    attrs = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
    y = F.interpolate(torch.from_numpy(X), (11, 4), mode=torch_mode).numpy()
    inputs = [X, None, None, sizes(11, 4)]
    check_node(
        "Resize", inputs, attrs, expected=[y], constant=["sizes"], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
@pytest.mark.parametrize("constant", [["sizes"], []])
def test_aspect(policy, constant):
    attrs = {"keep_aspect_ratio_policy": policy, "axes": [3, 2], "mode": "linear"}
    inputs = [X, None, None, np.array([9, 4], np.int64)]
    check_node("Resize", inputs, attrs, constant=constant, infer=bool(constant))


def test_integers_are_rounded():
    x = np.arange(24, dtype=np.uint8).reshape(1, 1, 4, 6) * 10
    attrs = {"mode": "cubic"}
    inputs = [x, None, np.array([1, 1, 1.5, 2], np.float32)]
    check_node("Resize", inputs, attrs, constant=["scales"])


def test_antialias_and_other_axes():
    attrs = {"mode": "linear", "antialias": 1, "axes": [1, 2]}
    inputs = [image(1, 9, 8, 2), None, None, np.array([4, 3], np.int64)]
    text = 'sizes=(4, 3), axes=(1, 2), mode="linear", antialias=True'
    check_node("Resize", inputs, attrs, constant=["sizes"], contains=text)


def test_scales_round_in_float32():
    """10 * 0.7 is 7 in float32, but less with the float32 of 0.7 in float64."""
    x = image(1, 1, 10, 10)
    inputs = [x, None, scales(0.7, 0.7)]
    ort.check("Resize", inputs, {"mode": "linear"}, opset=19, constant=["scales"])


# ---- positions -----------------------------------------------------------------------


def nearest_indices(n, rounding="floor", coordinates="asymmetric", **to):
    """Which elements of an axis of n resize() takes."""
    z = resize(np.arange(n), coordinates=coordinates, rounding=rounding, **to)
    return np.asarray(z).tolist()


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("scale", [1.3, 0.6, 2.7])
@pytest.mark.parametrize("dynamic", [True, "unique"])
def test_corners_are_aligned_at_whole_lengths(mode, scale, dynamic):
    """The length is 1.3 * 5 rounded down, not 6.5."""
    attrs = {"mode": mode, "coordinate_transformation_mode": "align_corners"}
    y = F.interpolate(
        torch.from_numpy(X),
        scale_factor=scale,
        mode={"linear": "bilinear", "cubic": "bicubic"}[mode],
        align_corners=True,
    ).numpy()
    inputs = [X, None, scales(scale, scale)]
    options = {"constant": ["scales"], "dynamic": dynamic}
    ort.check("Resize", inputs, attrs, opset=18, **options)
    check_node("Resize", inputs, attrs, expected=[y], rtol=2e-5, atol=2e-5, **options)


def test_corners_of_scales_that_a_caller_gives():
    """As in onnx.reference and ONNX's own cases; the runtimes differ."""
    attrs = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    text = 'coordinates="align_unrounded_corners"'
    inputs = [X, None, scales(1.3, 0.6)]
    check_node("Resize", inputs, attrs, infer=False, dynamic=False, contains=text)


def torch_indices(n, **to):
    x = torch.arange(n, dtype=torch.float32)[None, None]
    return F.interpolate(x, mode="nearest", **to)[0, 0].tolist()


@pytest.mark.parametrize(
    "n, scale", [(7, 0.6), (14, 0.3), (6, 1.2), (31, 2.3), (11, 2.9), (11, 3.7)]
)
def test_nearest_of_scales_is_that_of_torch(n, scale):
    assert nearest_indices(n, scales=(scale,)) == torch_indices(n, scale_factor=scale)


@pytest.mark.parametrize(
    "n, size", [(14, 18), (21, 54), (28, 18), (36, 42), (50, 34), (62, 18)]
)
def test_nearest_of_sizes_is_that_of_torch(n, size):
    assert nearest_indices(n, sizes=(size,)) == torch_indices(n, size=size)


@pytest.mark.parametrize(
    "coordinates", [*COORDINATES, "tf_half_pixel_for_nn", "align_corners"]
)
def test_nearest_is_that_of_onnxruntime(coordinates):
    """Positions that are ties in exact arithmetic, or close to an element."""
    roundings = ["ceil", "round_prefer_floor", "round_prefer_ceil"]
    roundings += ["floor"] * (coordinates != "asymmetric")  # see above
    for rounding in roundings:
        attrs = {
            "coordinate_transformation_mode": coordinates,
            "nearest_mode": rounding,
        }
        for n, size in [
            (14, 19),
            (14, 39),
            (11, 26),
            (20, 6),
            (5, 3),
            (14, 4),
            (64, 5),
        ]:
            inputs = {"X": np.arange(n, dtype=np.float32), "sizes": np.array([size])}
            full = {"X": inputs["X"], "roi": None, "scales": None, **inputs}
            model = make_model("Resize", full, attrs, opset=19)
            (y,) = ort.run(model, inputs)
            z = nearest_indices(n, rounding, coordinates, sizes=(size,))
            assert z == y.tolist(), (rounding, n, size)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_lengths_that_a_scale_leaves(mode):
    """Both runtimes copy; by the formula the last elements would move."""
    attrs = {
        "mode": mode,
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    inputs = [X, None, scales(1.1, 1.1)]
    y = F.interpolate(
        torch.from_numpy(X),
        scale_factor=1.1,
        mode={"linear": "bilinear"}.get(mode, mode),
    ).numpy()
    np.testing.assert_array_equal(y, X)
    ort.check("Resize", inputs, attrs, opset=18, constant=["scales"])


# ---- code ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scale, attrs, text",
    [
        ((2, 2), {}, "upsample_nearest(X, 2)"),
        ((2, 3), {}, "upsample_nearest(X, (2, 3))"),
        ((2, 2), {"mode": "linear"}, 'resize(X, scales=(2.0, 2.0), mode="linear")'),
        ((1, 1), {"mode": "cubic"}, "return X"),
    ],
)
def test_code(scale, attrs, text):
    inputs = [X, None, scales(*scale)]
    check_node(
        "Resize",
        inputs,
        attrs,
        constant=["scales"],
        contains=text,
        rtol=1e-5,
        atol=1e-5,
    )


def test_repeated_only_where_that_is_nearest():
    attrs = {
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "round_prefer_floor",
    }
    inputs = [X, None, scales(3, 3)]
    source = ort.check("Resize", inputs, attrs, opset=19, constant=["scales"])
    assert "upsample_nearest" not in source


def test_errors():
    fails = compile_fails
    fails("Resize", [X], message="neither scales nor sizes is given")
    bad = [X, None, np.array([1, 2], np.float32)]
    fails("Resize", bad, constant=["scales"], message="scales has 2 entries")
    bad = [X, None, scales(2, -1)]
    fails("Resize", bad, constant=["scales"], message="a scale is -1")
    good = [X, None, scales(2, 2)]
    fails("Resize", good, {"mode": "area"}, constant=["scales"], message='mode "area"')
    crop = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    fails("Resize", good, crop, constant=["scales"], message="needs roi and sizes")
