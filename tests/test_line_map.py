"""`compile --map`: which lines of the module come from which nodes and parameters."""

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.parser import parse_model

from models import zoo

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("*.onnx"))
LAYERS = ["functions", "scan", "unrolled"]
MODELS = ["resnet18", "deit_small", "text_classifier"]

# What the code of an operator says; behind the bar what its fusions say.
CALLS = {
    "Conv": r"\b\w*conv\(",
    "MaxPool": r"max_pool\(",
    "AveragePool": r"pool\(|mean\(",
    "Relu": r"relu\(",
    "BatchNormalization": r"batch_norm\(",
    "LayerNormalization": r"layer_norm\(",
    "Softmax": r"softmax\(|dot_product_attention\(",
    "MatMul": r"@|inner\(|matmul\(|dot_product_attention\(",
    "Gemm": r"@|inner\(|linear\(",
    "Gelu": r"gelu\(",
    "Erf": r"erf\(|gelu\(",
    "Tanh": r"tanh\(|gelu\(",
    "Add": r"\+|gelu\(|dot_product_attention\(|layer_norm\(",
    "Concat": r"concatenate\(|lax\.scan\(",  # which a loop written out ends with
    "Gather": r"\[|take\(",
    "Reshape": r"reshape\(|dot_product_attention\(|global_mean\(",  # without its axes
    "GlobalAveragePool": r"mean\(|pool\(",
    "ReduceMean": r"mean\(|layer_norm\(",
}


# Statements that compute nothing.
NOBODYS = (
    r"for |\w+ = scope\(|return \w+(, \w+)*$|return Outputs\(|\w+ = \w+$"
    r"|.* = jax\.lax\.scan\("
)


def run(*command):
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def mapped(path, folder, layers="functions", *options):
    """The report, the map by node, the map, and the lines of the module."""
    module, lines = folder / "m.py", folder / "m.json"
    run(
        PROGRAM, "compile", str(path), "-q", "-o", str(module), "--map", str(lines),
        "--weights", "none", "--layers", layers, "--force", *options,
    )  # fmt: skip
    report = json.loads(run(PROGRAM, "inspect", str(path), "--format", "json"))
    found = json.loads(lines.read_text())
    by_node = {entry["node"]: entry["lines"] for entry in found["nodes"]}
    return report, by_node, found, module.read_text().splitlines()


def save(folder, text, **weights):
    model = parse_model(text)
    for name, array in weights.items():
        tensor = numpy_helper.from_array(np.asarray(array, np.float32), name)
        model.graph.initializer.append(tensor)
    path = folder / "m.onnx"
    onnx.save(model, path)
    return path


def text_of(source, ranges):
    return "\n".join("\n".join(source[a - 1 : b]) for a, b in ranges)


def check_form(report, found, source):
    assert list(found) == ["version", "nodes", "functions", "params"]
    assert found["version"] == 1
    nodes = [entry["node"] for entry in found["nodes"]]
    assert nodes == sorted(set(nodes))
    assert set(nodes) <= set(range(len(report["nodes"])))
    names = [entry["name"] for entry in found["params"]]
    assert len(names) == len(set(names))
    for entry in (*found["nodes"], *found["params"]):
        assert entry["lines"]
        before = 0
        for first, last in entry["lines"]:
            assert before + (before > 0) < first <= last <= len(source)
            before = last


def check_calls(report, by_node, source):
    """The line of a node holds the call of its operator."""
    checked = 0
    for index, node in enumerate(report["nodes"]):
        call = CALLS.get(node["op"])
        if call and index in by_node:
            text = text_of(source, by_node[index])
            assert re.search(call, text), (index, node["name"], node["op"], text)
            checked += 1
    return checked


def statements(function):
    """The spans of its statements, but docstrings and the heads of inner functions."""
    for node in ast.walk(function):
        if not isinstance(node, ast.stmt) or isinstance(node, ast.FunctionDef):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        end = node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno
        yield node.lineno, max(end, node.lineno)


def check_functions(report, found, source):
    """They are where the map says, and every statement in them is somebody's."""
    tree = ast.parse("\n".join(source))
    defs = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    covered = set()
    spans = [span for entry in found["nodes"] for span in entry["lines"]]
    spans += [span for entry in found["functions"] for span in entry["calls"]]
    for first, last in spans:
        covered |= set(range(first, last + 1))
    paths = {module["path"] for module in report["modules"]}
    for entry in found["functions"]:
        node = defs[entry["name"]]
        assert entry["lines"] == [node.lineno, node.end_lineno]
        assert set(entry["modules"]) <= paths
        assert len(entry["modules"]) == len(set(entry["modules"]))
        for first, last in entry["calls"]:
            assert f"{entry['name']}(" in text_of(source, [(first, last)])
    for name in [*(entry["name"] for entry in found["functions"]), "forward"]:
        for first, last in statements(defs[name]):
            line = source[first - 1].strip()
            if not re.match(NOBODYS, line):
                assert set(range(first, last + 1)) <= covered, (name, line)


def check_params(found, source):
    """Their lines read a parameter whose name ends as theirs does."""
    for entry in found["params"]:
        text = text_of(source, entry["lines"])
        last = entry["name"].rsplit(".", 1)[-1]
        assert last in text or "params" in text, (entry, text)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("exporter", ["bridge", "dynamo", "torchscript"])
@pytest.mark.parametrize("name", MODELS)
def test_models(name, exporter, layers, tmp_path):
    path = zoo.exported(zoo.MODELS[name], exporter)
    report, by_node, found, source = mapped(path, tmp_path, layers)
    check_form(report, found, source)
    assert check_calls(report, by_node, source) > 20
    check_functions(report, found, source)
    check_params(found, source)
    assert {entry["name"] for entry in found["params"]} >= {
        entry["name"] for entry in report["params"] if "." in entry["name"]
    }
    assert bool(found["functions"]) == (layers != "unrolled")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixtures(path, tmp_path):
    report, by_node, found, source = mapped(path, tmp_path)
    check_form(report, found, source)
    check_calls(report, by_node, source)
    check_functions(report, found, source)


def test_instances_of_a_module_have_the_lines_of_its_function(tmp_path):
    path = zoo.exported(zoo.MODELS["resnet18"], "bridge")
    report, by_node, found, source = mapped(path, tmp_path)
    (block,) = [f for f in found["functions"] if "layer1.1" in f["modules"]]
    first, last = block["lines"]
    for module in block["modules"]:
        own = [
            index
            for index, node in enumerate(report["nodes"])
            if node["module"] == f"{module}.conv1" and node["op"] == "Conv"
        ]
        ((begin, end),) = by_node[own[0]]
        assert first < begin <= end < last
        assert "conv1.weight" in text_of(source, [(begin, end)])


def test_the_text_is_the_same(tmp_path):
    path = zoo.exported(zoo.MODELS["deit_small"], "bridge")
    plain = run(PROGRAM, "compile", str(path), "-o", "-", "--weights", "none")
    *_, source = mapped(path, tmp_path)
    assert plain.decode().splitlines() == source


HEADER = '<ir_version: 8, opset_import: ["" : 20]>'


def test_a_line_of_several_nodes_is_of_all_of_them(tmp_path):
    path = save(
        tmp_path,
        HEADER
        + """ m (float[n,4] x) => (float[n,4] y) {
            a = Relu(x)
            b = Neg(a)
            y = Exp(b)
        }""",
    )
    _, by_node, _, source = mapped(path, tmp_path)
    assert by_node[0] == by_node[1] == by_node[2]
    assert text_of(source, by_node[0]).strip() == "return jnp.exp(-jax.nn.relu(x))"


def test_fused_merged_and_folded_nodes(tmp_path):
    path = save(
        tmp_path,
        HEADER
        + """ m (float[n,4] x) => (float[n,4] y, float[n,4] z) {
            s = Sigmoid(x)
            swish = Mul(x, s)
            a = Cos(x)
            b = Cos(x)
            two = Constant <value_float = 2.0> ()
            shape = Shape(x)
            c = Expand(two, shape)
            d = Mul(a, c)
            y = Add(swish, d)
            z = Sin(b)
        }""",
    )
    report, by_node, _, source = mapped(path, tmp_path)
    at = {node["outputs"][0]: by_node.get(i) for i, node in enumerate(report["nodes"])}
    assert at["s"] == at["swish"]
    assert "jax.nn.silu(x)" in text_of(source, at["s"])
    assert at["a"] == at["b"]
    assert "jnp.cos(x)" in text_of(source, at["a"])
    assert at["shape"] is None
    assert at["c"] is None
    assert "jnp.sin(" in text_of(source, at["z"])


def test_subgraphs_count_as_the_node_around(tmp_path):
    path = save(
        tmp_path,
        HEADER
        + """ m (bool c, float[n,4] x) => (float[n,4] y) {
            before = Relu(x)
            y = If(c) <then_branch = yes () => (float[n,4] a) {
                t = Tanh(before)
                u = Exp(t)
                v = Sin(u)
                w = Cos(v)
                a = Neg(w)
            }, else_branch = no () => (float[n,4] b) { b = Neg(before) }>
        }""",
    )
    _, by_node, _, source = mapped(path, tmp_path)
    assert set(by_node) == {0, 1}
    text = text_of(source, by_node[1])
    assert "jnp.tanh" in text
    assert "jax.lax.cond" in text
    assert "relu" in text_of(source, by_node[0])


def test_parameters(tmp_path):
    path = save(
        tmp_path,
        HEADER
        + """ m (float[n,4] x) => (float[n,4] y) {
            a = MatMul(x, w)
            b = Add(a, bias)
            c = Softmax(b)
            y = MatMul(c, w)
        }""",
        w=np.eye(4),
        bias=np.ones(4),
    )
    _, _, found, source = mapped(path, tmp_path)
    lines = {entry["name"]: entry["lines"] for entry in found["params"]}
    assert set(lines) == {"w", "bias"}
    assert text_of(source, lines["w"]).count('params["w"]') == 2
    assert 'params["bias"]' in text_of(source, lines["bias"])


def test_padding_shifts_no_node(tmp_path):
    """--bound writes nodes that inspect does not list."""
    path = save(
        tmp_path,
        HEADER
        + """ m (float[n] x) => (float[] y, float[n] z) {
            i = NonZero(x)
            f = Cast <to = 1> (i)
            y = ReduceSum <keepdims = 0> (f)
            z = Sinh(x)
        }""",
    )
    report, by_node, _, source = mapped(path, tmp_path, "functions", "--bound", "i=8")
    assert report["nodes"][3]["op"] == "Sinh"
    assert "jnp.sinh(x)" in text_of(source, by_node[3])
    assert "sum(" in text_of(source, by_node[2])


def test_outputs_choose_lines(tmp_path):
    path = save(
        tmp_path,
        HEADER
        + """ m (float[n,4] x) => (float[n,4] y) {
            a = Relu(x)
            y = Exp(a)
        }""",
    )
    _, by_node, _, source = mapped(path, tmp_path, "functions", "--outputs", "a")
    assert set(by_node) == {0}
    assert text_of(source, by_node[0]).strip() == "return jax.nn.relu(x)"


def test_a_map_on_standard_output(tmp_path):
    path = FIXTURES[0]
    out = run(
        PROGRAM, "compile", path, "-q", "-o", tmp_path / "m.py", "--map", "-",
        "--weights", "none",
    )  # fmt: skip
    assert json.loads(out)["version"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "-", "--map", "-"], "both standard output"),
        (["-o", "m.py", "--map", "m.py"], "is written already"),
        (["-o", "m.py", "--map", "m.safetensors"], "is written already"),
        (["-o", "m.py", "--map", ""], "needs a file name"),
        (["-o", "m.py", "--map", "model.onnx"], "is the model itself"),
    ],
)
def test_maps_that_are_refused(options, message, tmp_path):
    (tmp_path / "model.onnx").write_bytes(FIXTURES[0].read_bytes())
    done = subprocess.run(
        [PROGRAM, "compile", "model.onnx", *options], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 2
    assert message in done.stderr.decode()


def test_a_map_that_cannot_be_written(tmp_path):
    done = subprocess.run(
        [PROGRAM, "compile", FIXTURES[0], "-o", "m.py", "--map", "no/where.json"],
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 3
    assert b"where.json" in done.stderr


def test_names_cannot_break_the_json(tmp_path):
    name = 'w"\\\n\x07</script>'
    node = helper.make_node("Mul", ["x", name], ["y"])
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", kind, [3])],
        [helper.make_tensor_value_info("y", kind, [3])],
        [numpy_helper.from_array(np.ones(3, np.float32), name)],
    )
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path
    )
    _, _, found, _ = mapped(path, tmp_path)
    assert [entry["name"] for entry in found["params"]] == [name]
