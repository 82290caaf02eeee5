"""Files that onnxruntime's own tools write: their operators, and what is said of those
that are not known."""

import subprocess
import tempfile
from pathlib import Path

import harness
import numpy as np
import onnxruntime
import ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

DOMAIN = "com.microsoft"


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def messages(model):
    """What the program says about a model, warnings included."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        source.write_bytes(model.SerializeToString())
        command = [
            harness.PROGRAM,
            "compile",
            source,
            "--output",
            source.with_suffix(".py"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stderr


# The quantizer writes DynamicQuantizeLSTM for every LSTM; readers do not know it.
# gizatechxyz/orion#310, robertknight/rten#1495
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantized_lstm(per_channel):
    weights = {
        "W": rand(2, 32, 5),
        "R": rand(2, 32, 8, seed=1),
        "B": rand(2, 64, seed=2),
    }
    weights = {k: 0.3 * v for k, v in weights.items()}
    node = helper.make_node(
        "LSTM", ["X", *weights], ["Y"], hidden_size=8, direction="bidirectional"
    )
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "lstm",
        [make("X", TensorProto.FLOAT, ["T", "N", 5])],
        [make("Y", TensorProto.FLOAT, ["T", 2, "N", 8])],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    plain = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    x = rand(4, 3, 5, seed=3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        # 7 bits, for products that every CPU computes: see ort.without_overflow
        quantize_dynamic(plain, path, per_channel=per_channel, reduce_range=True)
        model = harness.onnx.load(path)
    assert [n.op_type for n in model.graph.node] == ["DynamicQuantizeLSTM"]
    expected = ort.run(model, {"X": x})
    source = harness.check_model(
        model, [x], expected, names={"T": 4, "N": 3}, rtol=2e-5, atol=2e-5
    )
    assert 'params["W_quantized"]' in source


# A mixture of experts as GPT-OSS and Gemma 4 have it; what readers took for granted in
# it (alpha, limit, interleaved) are attributes.  microsoft/onnxruntime#28738
def test_mixture_of_experts():
    inputs = [rand(5, 8), rand(5, 4, seed=1)]
    inputs += [rand(4, 12, 8, seed=2), None, rand(4, 8, 6, seed=3)]
    attrs = {"activation_type": "swiglu", "swiglu_fusion": 1, "k": 2}
    attrs |= {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 7.0}
    ort.check("MoE", inputs, attrs, domain=DOMAIN, rtol=1e-4, atol=1e-4)


# A file that was saved with all optimizations holds the layout of one processor.
# microsoft/onnxruntime#27236 runs into its ReorderOutput, without having asked for it.
def test_file_of_one_processor():
    make = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "conv",
        [make("x", TensorProto.FLOAT, [1, 16, 8, 8])],
        [make("y", TensorProto.FLOAT, [1, 16, 8, 8])],
        [numpy_helper.from_array(rand(16, 16, 3, 3), "w")],
    )
    opsets = [helper.make_opsetid("", 17)]
    plain = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(Path(folder) / "saved.onnx")
        onnxruntime.InferenceSession(
            plain.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        model = harness.onnx.load(options.optimized_model_filepath)
    if all(n.domain != "com.microsoft.nchwc" for n in model.graph.node):
        pytest.skip("onnxruntime has no such layout for this processor")
    status, text = messages(model)
    assert status == 1
    assert "ORT_ENABLE_EXTENDED" in text and "opset" not in text.split("help:")[1]


# In words: for operators of com.microsoft the advice was to re-export at another opset,
# which no exporter can follow.
@pytest.mark.parametrize(
    "domain, hint",
    [
        ("", "another opset"),
        (DOMAIN, "from before its optimizer or quantizer"),
        ("com.microsoft.nchwc", "ORT_ENABLE_EXTENDED"),
        ("com.ms.internal.nhwc", "ORT_ENABLE_EXTENDED"),
        ("ai.onnx.contrib", "onnxruntime-extensions"),
        ("org.pytorch.aten", "dynamo=True"),
        ("my.own", "of no standard"),
    ],
)
def test_hints(domain, hint):
    model = harness.make_model("NoSuch", {"x": rand(2)}, opset=1, domain=domain)
    status, text = messages(model)
    assert status == 1 and hint in text
    assert ("another opset" in text) == (domain == "")


# What onnxruntime's providers do not agree about is said, not decided in silence.  No
# report of it was found: its CPU kernel of QMoE normalizes weights of the router that
# its CUDA kernel leaves as they are, and reads the default layout in another way.
def test_providers_disagree():
    inputs = {"x": rand(3, 16), "router": rand(3, 2, seed=1)}
    inputs["w1"] = np.full((2, 16, 8), 136, np.uint8)
    inputs |= {"s1": np.ones((2, 16), np.float32), "b1": None}
    inputs |= {"w2": np.full((2, 16, 8), 136, np.uint8), "s2": inputs["s1"]}
    build = harness.make_model
    status, text = messages(build("QMoE", inputs, {"k": 1}, opset=1, domain=DOMAIN))
    assert status == 0
    assert "warning[OX0310]" in text and "weights_prepacked=0" in text
    assert "normalize_routing_weights=1" in text
    settled = {"k": 1, "weights_prepacked": 0, "normalize_routing_weights": 1}
    status, text = messages(build("QMoE", inputs, settled, opset=1, domain=DOMAIN))
    assert status == 0 and "OX0310" not in text
