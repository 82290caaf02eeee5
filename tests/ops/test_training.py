"""Steps of optimizers: defaults, the first step, and the code that comes out."""

import numpy as np
import onnx
import pytest
from harness import check_model
from onnx import helper

DOMAIN = "ai.onnx.preview.training"


def model_of(op, inputs, outputs, attrs):
    """check_node numbers the outputs of a variadic one; these keep their names."""
    infos = [helper.make_tensor_value_info(k, 1, v.shape) for k, v in inputs.items()]
    infos[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    node = helper.make_node(op, list(inputs), outputs, "step", domain=DOMAIN, **attrs)
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "test", infos, results)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def step_inputs(step, *names):
    draw = np.random.default_rng(0).uniform
    inputs = {"R": np.float32(0.1), "T": np.int64(step)}
    return inputs | {k: draw(0.5, 1, (2, 3)).astype(np.float32) for k in names}


@pytest.mark.parametrize("step", [0, 3])
def test_adam(step):
    inputs = step_inputs(step, "X", "G", "V", "H")
    x, g, v, h = list(inputs.values())[2:]
    v, h = 0.9 * v + 0.1 * g, 0.999 * h + 0.001 * g * g
    rate = 0.1
    if step:
        rate *= np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    expected = [x - rate * v / (np.sqrt(h) + 1e-6), v, h]
    model = model_of("Adam", inputs, ["x", "v", "h"], {})
    expected = [e.astype(np.float32) for e in expected]
    source = check_model(model, list(inputs.values()), expected, rtol=2e-5)
    assert "x, v, h = adam_step(X, G, V, H, R, T)" in source


@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("mode", ["standard", "nesterov"])
def test_momentum(step, mode):
    inputs = step_inputs(step, "X1", "X2", "G1", "G2", "V1", "V2")
    attrs = {"alpha": 0.9, "beta": 0.5, "norm_coefficient": 0.01, "mode": mode}
    xs, vs = [], []
    for i in "12":
        x, g = inputs[f"X{i}"], inputs[f"G{i}"] + 0.01 * inputs[f"X{i}"]
        v = 0.9 * inputs[f"V{i}"] + (0.5 if step else 1) * g
        xs.append(x - 0.1 * (v if mode == "standard" else g + 0.9 * v))
        vs.append(v)
    expected = [e.astype(np.float32) for e in xs + vs]
    model = model_of("Momentum", inputs, ["x1", "x2", "v1", "v2"], attrs)
    source = check_model(model, list(inputs.values()), expected, rtol=1e-5)
    assert "(x1, x2), (v1, v2) = momentum_step(" in source


def test_adagrad():
    inputs = step_inputs(5, "X", "G", "H")
    x, g, h = list(inputs.values())[2:]
    h = h + g * g
    expected = [x - 0.1 / 1.5 * g / (np.sqrt(h) + 1e-6), h]
    model = model_of("Adagrad", inputs, ["x", "h"], {"decay_factor": 0.1})
    expected = [e.astype(np.float32) for e in expected]
    check_model(model, list(inputs.values()), expected, rtol=1e-5)
