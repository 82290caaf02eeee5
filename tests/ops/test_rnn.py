"""RNN, GRU and LSTM against onnxruntime and torch."""

import numpy as np
import ort
import pytest
import torch
from harness import check_node, compile_fails

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
OPS = sorted(GATES)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5, "x64": False}


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype) * 0.5


def layer(op, directions=1, full=False):
    """X, W, R and, when full, all of B, sequence_lens, states and peepholes."""
    steps, batch, size, hidden = 5, 3, 4, 6
    rows = GATES[op] * hidden
    inputs = [
        rand(steps, batch, size),
        rand(directions, rows, size, seed=1),
        rand(directions, rows, hidden, seed=2),
    ]
    if not full:
        return inputs
    inputs += [
        rand(directions, 2 * rows, seed=3),
        np.array([5, 2, 4], np.int32),
        rand(directions, batch, hidden, seed=4),
    ]
    if op == "LSTM":
        inputs += [
            rand(directions, batch, hidden, seed=5),
            rand(directions, 3 * hidden, seed=6),
        ]
    return inputs


def check(op, inputs, attrs=None, opset=14, **options):
    attrs = {"hidden_size": 6, **(attrs or {})}
    outputs = 3 if op == "LSTM" else 2
    return ort.check(
        op, inputs, attrs, opset=opset, outputs=outputs, **TOLERANCE, **options
    )


@pytest.mark.parametrize("op", OPS)
def test_code(op):
    """What torch.onnx writes becomes one short call."""
    inputs = layer(op, full=True)
    inputs = [*inputs[:4], None, *inputs[5:7]]
    states = {"LSTM": "h=initial_h, c=initial_c"}.get(op, "h=initial_h")
    check(op, inputs, contains=f"{op.lower()}(X, W, R, B, {states})")


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_directions(op, direction):
    inputs = layer(op, 1 + (direction == "bidirectional"), full=True)
    check(op, inputs, {"direction": direction}, opset=7, dynamic=False)


@pytest.mark.parametrize("op", OPS)
def test_clip(op):
    check(op, layer(op, full=True), {"clip": 0.2}, dynamic=False)


def test_linear_before_reset():
    inputs = layer("GRU", 2, full=True)
    attrs = {"direction": "bidirectional", "linear_before_reset": 1}
    check("GRU", inputs, attrs, dynamic=False)


def test_input_forget():
    check("LSTM", layer("LSTM", full=True), {"input_forget": 1}, dynamic=False)


ACTIVATIONS = [
    (["Relu", "Softsign"], {}),
    (["Softplus", "LeakyRelu"], {}),
    (["LeakyRelu", "HardSigmoid"], {"activation_alpha": [0.25]}),
    (["Affine", "Elu"], {"activation_alpha": [0.5, 0.6], "activation_beta": [0.1]}),
    (
        ["ThresholdedRelu", "ScaledTanh"],
        {"activation_alpha": [0.3, 0.7], "activation_beta": [1.2]},
    ),
]


@pytest.mark.parametrize("names, lists", ACTIVATIONS)
def test_activations(names, lists):
    attrs = {"activations": names, "direction": "bidirectional", **lists}
    check("RNN", layer("RNN", 2, full=True), attrs, dynamic=False)


def test_lists_go_to_those_that_take_them():
    attrs = {
        "activations": ["Sigmoid", "LeakyRelu", "Tanh", "HardSigmoid", "Tanh", "Elu"],
        "activation_alpha": [0.3, 0.25, 0.8],
        "activation_beta": [0.4],
        "direction": "bidirectional",
    }
    check("LSTM", layer("LSTM", 2, full=True), attrs, dynamic=False)


@pytest.mark.parametrize("op", OPS)
def test_batch_first(op):
    """onnxruntime lacks layout: the same numbers with the axes swapped."""
    module = {"RNN": torch.nn.RNN, "GRU": torch.nn.GRU, "LSTM": torch.nn.LSTM}[op]
    with torch.no_grad():
        module = module(4, 6, batch_first=True, bidirectional=True)
        order = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}[op]

        def gates(name):
            parts = [getattr(module, name + end) for end in ("", "_reverse")]
            chunks = [np.split(p.numpy(), GATES[op]) for p in parts]
            return np.stack([np.concatenate([c[i] for i in order]) for c in chunks])

        w, r = gates("weight_ih_l0"), gates("weight_hh_l0")
        b = np.concatenate([gates("bias_ih_l0"), gates("bias_hh_l0")], axis=1)
        x = rand(3, 5, 4)
        y, last = module(torch.from_numpy(x))
    y = y.numpy().reshape(3, 5, 2, 6)
    last = last if op == "LSTM" else [last]
    expected = [y, *[s.numpy().swapaxes(0, 1) for s in last]]
    attrs = {"hidden_size": 6, "layout": 1, "direction": "bidirectional"}
    if op == "GRU":
        attrs["linear_before_reset"] = 1
    inputs, count = [x, w, r, b], len(expected)
    check_node(
        op,
        inputs,
        attrs,
        opset=14,
        outputs=count,
        expected=expected,
        dynamic=False,
        **TOLERANCE,
    )


@pytest.mark.parametrize("op, opset", [("RNN", 1), ("GRU", 1), ("GRU", 3), ("LSTM", 1)])
def test_first_versions(op, opset):
    """output_sequence only says whether Y is wanted."""
    inputs, attrs = layer(op), {"hidden_size": 6}
    outputs = 3 if op == "LSTM" else 2
    named = dict(zip(("X", "W", "R"), inputs, strict=True))
    model = ort.harness.make_model(op, named, attrs, opset=7, outputs=outputs)
    expected = ort.run(model, named)
    attrs["output_sequence"] = 1
    check_node(
        op,
        inputs,
        attrs,
        opset=opset,
        outputs=outputs,
        expected=expected,
        dynamic=False,
        **TOLERANCE,
    )


def test_errors():
    x, w, r = layer("LSTM")
    attrs = {"direction": "sideways"}
    compile_fails("LSTM", [x, w, r], attrs, opset=14, message="sideways")
    compile_fails("LSTM", [x, w, r[:, :, :5]], opset=14, message="does not fit")
    compile_fails("RNN", [x[0], w, r], opset=14, message="has rank 2")
    attrs = {"activations": ["Gelu", "Tanh", "Tanh"]}
    compile_fails("LSTM", [x, w, r], attrs, opset=14, message="Gelu")
