"""Arrays without elements, from a file or from a caller; onnxruntime is the judge."""

import numpy as np
import onnx.parser
import ort
import pytest
from harness import check_model


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def ones(*shape):
    return np.ones(shape, np.float32)


AXIS = [np.array(0, np.int64), np.array(1, np.int64)]
SIZES = np.array([4, 4], np.int64)
CASES = [
    ("MaxPool", [zeros(0, 2, 5, 5)], {"kernel_shape": [2, 2]}, {"outputs": 2}),
    ("MaxPool", [zeros(0, 2, 5, 5)], {"kernel_shape": [2, 2], "dilations": [2, 2]}, {}),
    ("InstanceNormalization", [zeros(0, 2, 5, 5), ones(2), ones(2)], {}, {}),
    ("CumSum", [zeros(0, 3), AXIS[0]], {"exclusive": 1}, {"constant": ["axis"]}),
    (
        "CumSum",
        [zeros(3, 0), AXIS[1]],
        {"exclusive": 1, "reverse": 1},
        {"constant": ["axis"]},
    ),
    ("Hardmax", [zeros(3, 0)], {}, {}),
    ("Hardmax", [zeros(0, 3)], {}, {}),
    ("DynamicQuantizeLinear", [zeros(0, 3)], {}, {"outputs": 3}),
    (
        "Col2Im",
        [zeros(0, 8, 9), SIZES, SIZES // 2],
        {},
        {"constant": ["image_shape", "block_shape"]},
    ),
    (
        "Resize",
        [zeros(0, 2, 4, 4), None, None, np.array([0, 2, 3, 3])],
        {"mode": "linear"},
        {"constant": ["sizes"]},
    ),
]


@pytest.mark.parametrize("op, inputs, attrs, options", CASES)
def test_empty(op, inputs, attrs, options):
    ort.check(op, inputs, attrs, opset=20, dynamic="unique", **options)


EXTREMES = [("ReduceMax", np.float32), ("ReduceMin", np.float32)]
EXTREMES += [("ReduceMax", np.int32), ("ReduceMin", np.uint8), ("ReduceMin", np.int64)]


@pytest.mark.parametrize("op, dtype", EXTREMES)
@pytest.mark.parametrize("axes", [[0], None])
def test_extremes_of_nothing(op, dtype, axes):
    """Infinities or the ends of the type; in JAX's default mode those of int32."""
    inputs = [zeros(0, 3, dtype=dtype), axes and np.array(axes, np.int64)]
    options = {"opset": 18, "dynamic": "unique", "x64": True}
    ort.check(op, inputs, {}, constant=["axes"] if axes else (), **options)


def test_extremes_of_something_need_no_start():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    source = ort.check("ReduceMax", [x], opset=18, dynamic=False)
    assert "initial" not in source


@pytest.mark.parametrize("rest", ["3", "-1"])
def test_reshape_to_a_size_that_is_computed(rest):
    """A size of 0 stands for that of the input, also when it is not written down."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 20]>'
        "g (float[2, 3] x, float[k] z) => (float[a, b] y) {"
        f"k = Shape(z) n = Constant<value_ints = [{rest}]>()"
        "s = Concat<axis = 0>(k, n) y = Reshape(x, s) }"
    )
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for count in (0, 2):
        inputs = {"x": x, "z": ones(count)}
        expected = ort.run(model, inputs)
        assert expected[0].shape == (2, 3)
        check_model(model, list(inputs.values()), expected, infer=False)
