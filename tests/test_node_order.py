"""Files whose nodes stand in another order than ONNX asks for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

sys.path.append(str(Path(__file__).resolve().parent / "ops"))

import ort  # noqa: E402
from harness import PROGRAM, check_model, compile_model  # noqa: E402

ROOT = Path(__file__).resolve().parent
HEADER = '<ir_version: 8, opset_import: ["" : 20, "local" : 1]>'


def shuffled(graph, seed):
    """Puts the nodes of a graph, and of those inside it, in another order."""
    nodes = [
        graph.node[i] for i in np.random.default_rng(seed).permutation(len(graph.node))
    ]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                shuffled(attribute.g, seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["attention", "repeated_layers"])
def test_shuffled_fixtures(name, seed):
    model = onnx.load(ROOT / "fixtures" / f"{name}.onnx")
    shapes = {
        value.name: [dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = {
        key: np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        for key, shape in shapes.items()
        if key not in known
    }
    expected = ort.run(model, inputs)
    shuffled(model.graph, seed)
    check_model(
        model, list(inputs.values()), expected, rtol=1e-4, atol=1e-5, infer=False
    )


def test_subgraphs_and_functions(tmp_path):
    model = onnx.parser.parse_model(
        f"""{HEADER}
        g (float[3] x, bool c) => (float[3] y) {{
            y = If (c) <
                then_branch = t () => (float[3] p) {{ p = Neg(q) q = Abs(late) }},
                else_branch = e () => (float[3] p) {{ p = Neg(late) }}>
            late = local.twice(x)
        }}
        <domain: "local", opset_import: ["" : 20]>
        twice (a) => (b) {{ b = Add(h, h) h = Identity(a) }}"""
    )
    x = np.array([-1, 2, 3], np.float32)
    for c in (True, False):
        expected = -abs(2 * x) if c else -2 * x
        check_model(model, [x, np.array(c)], [expected], infer=False)


def messages(model, folder):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    command = [PROGRAM, "compile", "-q", str(path), "--output", str(folder / "m.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_one_warning_names_the_first_node(tmp_path):
    model = onnx.parser.parse_model(
        f"{HEADER} g (float[3] x) => (float[3] y) {{"
        "a = Abs(x) y = Add(a, c) c = Neg(d) d = Exp(x) }"
    )
    done = messages(model, tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("warning[OX0407]") == 1
    assert '"y" (Add' in done.stderr or "(Add)" in done.stderr


def test_sorted_files_keep_their_order(tmp_path):
    """Also where another order would do."""
    model = onnx.parser.parse_model(
        f"{HEADER} g (float[3, 3] x) => (float[3, 3] y, float[3, 3] z) {{"
        "a = Softmax(x) b = MatMul(x, x) z = MatMul(b, b) y = MatMul(a, a) }"
    )
    source = compile_model(model, tmp_path).read_text()
    assert not messages(model, tmp_path).stderr
    assert (
        source.index("softmax(x)") < source.index("b = x @ x") < source.index("a @ a")
    )


def test_circles_are_errors(tmp_path):
    model = onnx.parser.parse_model(
        f"{HEADER} g (float[3] x) => (float[3] y) {{"
        "y = Add(x, b) a = Neg(y) b = Exp(a) }"
    )
    done = messages(model, tmp_path)
    assert done.returncode == 1
    assert "read each other's values in a circle" in done.stderr
    for name in "yab":
        assert f'"{name}"' in done.stderr
