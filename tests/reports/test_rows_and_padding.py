"""Batches that an exporter baked in as 1, and sizes that data decide: the smallest
inputs of what was reported."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper, parser

import oxide_xla


def parse(text, opset=18):
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {text}')


def run(model, *inputs):
    names = [value.name for value in model.graph.input]
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


# onnx/onnx#2182: the batch of a file is changed by writing another size into its
# shapes; pytorch/glow#2247: nodes that only work for one row then give "random results"
# where there should be an error. Here the axes that mix rows are implicit.
MIXING = {
    "reversed": "s = Constant<value_ints = [-1]>() y = Slice(x, s, e, zero, s)",
    "the usual axes": "y = MeanVarianceNormalization(x)",
    "fixed indices": "y = ScatterElements<axis = 1>(x, i, u)",
    "statistics of the batch": """
      y, a, b = BatchNormalization<training_mode = 1>(x, c, c, c, c)""",
    "divided by their number": """n = Size(x) f = Cast<to = 1>(n)
      y = Div(x, f)""",
}


@pytest.mark.parametrize("name", MIXING)
def test_rows_that_a_default_mixes(name):
    text = f"""g (float[1, 2, 2, 2] x) => (float[1, 2, 2, 2] y)
      <int64[1] zero = {{0}}, int64[1] e = {{-9}}, int64[1, 1, 1, 1] i = {{1}},
       float[1, 1, 1, 1] u = {{5}}, float[2] c = {{1, 2}}> {{ {MIXING[name]} }}"""
    oxide_xla.compile(parse(text))
    with pytest.raises(oxide_xla.OxideError, match="OX0405"):
        oxide_xla.compile(parse(text), shapes={"x": ["batch", 2, 2, 2]})


# jax-ml/jax#7129: what `size=` pads nonzero with looks like a result, so that "there's
# no way to tell between these two cases"; here a mean that counted the padding.
def test_mean_of_what_is_selected():
    text = """g (float[5] x, bool[5] c) => (float[1] y) {
      z = Compress<axis = 0>(x, c)
      y = ReduceMean(z)
    }"""
    x = np.float32([3, 1, 4, 2, 5])
    c = np.array([True, False, True, True, False])
    compiled = oxide_xla.compile(parse(text), bounds={"z": 5})
    np.testing.assert_allclose(compiled.forward({}, x, c), run(parse(text), x, c))
    np.testing.assert_allclose(compiled.forward({}, x, c), [3.0])


# patriotyk/styletts2-inference#4: `torch.arange(pred_dur.sum())` in the alignment of a
# text-to-speech model, whose length no compiler of static shapes could know.
def test_alignment_by_predicted_durations():
    nodes = [
        helper.make_node("CumSum", ["d", "zero"], ["ends"]),
        helper.make_node("ReduceSum", ["d"], ["total"], keepdims=0),
        helper.make_node("Range", ["zero", "total", "one"], ["frames"]),
        helper.make_node("Unsqueeze", ["ends", "a1"], ["e2"]),
        helper.make_node("Unsqueeze", ["frames", "a0"], ["f2"]),
        helper.make_node("LessOrEqual", ["e2", "f2"], ["past"]),
        helper.make_node("Cast", ["past"], ["p"], to=onnx.TensorProto.INT64),
        helper.make_node("ReduceSum", ["p", "a0"], ["unit"], keepdims=0),
        helper.make_node("Gather", ["h", "unit"], ["frames_of_h"]),
        helper.make_node("ReduceMean", ["frames_of_h", "a0"], ["y"], keepdims=0),
    ]
    constants = {"zero": 0, "one": 1, "a0": [0], "a1": [1]}
    graph = helper.make_graph(
        nodes,
        "alignment",
        [
            helper.make_tensor_value_info("d", onnx.TensorProto.INT64, [4]),
            helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, [4, 3]),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3])],
        [numpy_helper.from_array(np.array(v), k) for k, v in constants.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    compiled = oxide_xla.compile(model, bounds={"frames": 12})
    assert "@jax.jit" in compiled.source
    h = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    for durations in ([1, 2, 0, 3], [4, 4, 2, 2]):
        d = np.array(durations)
        np.testing.assert_allclose(
            compiled.forward({}, d, h), run(model, d, h), rtol=1e-5, atol=1e-6
        )
