"""`oxide_xla diff`: how two models differ, and exit codes as diff has them."""

import json
import os
import re
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_model

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("*.onnx"))
PARTS = ["opsets", "inputs", "outputs", "modules", "nodes", "params"]

TEXT = """<ir_version: 8, opset_import: ["" : 20]>
m (float[n,4] x) => (float[n,4] y) {
    a = MatMul(x, w)
    b = Add(a, bias)
    c = Relu(b)
    d = LeakyRelu <alpha = 0.1> (c)
    e = MatMul(d, v)
    y = Softmax(e)
}"""


def run(*arguments, status=None, **options):
    done = subprocess.run(
        [PROGRAM, "diff", *map(str, arguments)],
        capture_output=True,
        timeout=60,
        **options,
    )
    if status is not None:
        assert done.returncode == status, done.stderr.decode()
    return done


def save(path, text=TEXT, seed=0, change=lambda model: None):
    model = parse_model(text)
    rng = np.random.default_rng(seed)
    for name, shape in (("w", (4, 4)), ("bias", (4,)), ("v", (4, 4))):
        array = rng.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    change(model)
    onnx.save(model, path)
    return path


def differences(tmp_path, text=TEXT, change=lambda model: None):
    """What --format json lists by part, for the model and a changed one."""
    a = save(tmp_path / "a.onnx")
    b = save(tmp_path / "b.onnx", text, change=change)
    found = json.loads(run(a, b, "--format", "json", status=1).stdout)
    assert list(found) == ["version", "equal", "same_weights", *PARTS]
    assert found["equal"] is False
    listed = {part: found[part]["differences"] for part in PARTS}
    return found, {part: entries for part, entries in listed.items() if entries}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_model_is_equal_to_itself(path):
    done = run(path, path, status=0)
    assert done.stdout.startswith(b"no difference: ")
    found = json.loads(run(path, path, "-f", "json", status=0).stdout)
    assert found["equal"] and found["same_weights"]
    assert not any(found[part]["differences"] for part in PARTS)
    assert found["nodes"]["equal"] > 0


def test_names_of_values_do_not_matter(tmp_path):
    a = save(tmp_path / "a.onnx")
    renamed = re.sub(r"(?<=[(\s])([a-e])(?=( =|,|\)))", r"value_\1", TEXT)
    assert renamed.count("value_") > 5
    run(a, save(tmp_path / "b.onnx", renamed), status=0)


def test_defaults_written_out_do_not_matter(tmp_path):
    a = save(tmp_path / "a.onnx")
    b = save(tmp_path / "b.onnx", TEXT.replace("Softmax(", "Softmax <axis = -1> ("))
    run(a, b, status=0)


def test_an_attribute(tmp_path):
    _, found = differences(tmp_path, TEXT.replace("0.1", "0.2"))
    (entry,) = found.pop("nodes")
    assert not found
    assert (entry["change"], entry["what"], entry["a"], entry["b"]) == (
        "changed",
        "alpha",
        3,
        3,
    )


def test_a_node_that_is_new(tmp_path):
    text = TEXT.replace("d = Leaky", "c2 = Tanh(c)\n    d = Leaky").replace(
        "(c)\n    e", "(c2)\n    e"
    )
    counts, found = differences(tmp_path, text)
    new, reader = found.pop("nodes")
    assert not found
    assert new["change"] == "added" and new["after"] == "Tanh float32[n,4]"
    assert new["before"] is None and new["a"] is None and new["b"] == 3
    assert (reader["change"], reader["what"]) == ("changed", "inputs")
    assert counts["nodes"]["equal"] == 5
    assert counts["same_weights"]


def test_a_node_that_is_gone(tmp_path):
    text = TEXT.replace("    c = Relu(b)\n", "").replace("(c)", "(b)")
    _, found = differences(tmp_path, text)
    gone, reader = found.pop("nodes")
    assert not found
    assert (gone["change"], gone["a"], gone["b"]) == ("removed", 2, None)
    assert (reader["change"], reader["what"]) == ("changed", "inputs")


def test_wiring_alone(tmp_path):
    """The same operators in the same order, but one reads another value."""
    text = TEXT.replace("e = MatMul(d, v)", "e = MatMul(b, v)")
    _, found = differences(tmp_path, text)
    (entry,) = found.pop("nodes")
    assert not found
    assert (entry["what"], entry["a"]) == ("inputs", 4)


def test_a_parameter_that_is_read_in_another_place(tmp_path):
    text = TEXT.replace("(d, v)", "(d, w)")
    _, found = differences(tmp_path, text)
    assert [entry["what"] for entry in found["nodes"]] == ["inputs"]


@pytest.mark.parametrize("element", [0, 7, 15])
def test_one_weight(element, tmp_path):
    def change(model):
        array = numpy_helper.to_array(model.graph.initializer[0]).copy()
        array.flat[element] += 1
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "w"))

    counts, found = differences(tmp_path, change=change)
    (entry,) = found.pop("params")
    assert not found
    assert not counts["same_weights"]
    assert (entry["name"], entry["what"]) == ("w", "values")
    assert counts["params"]["equal"] == 2


def test_inputs_outputs_and_opsets(tmp_path):
    text = TEXT.replace("[n,4] x", "[8,4] x").replace("20]", "21]")
    _, found = differences(tmp_path, text)
    (opset,) = found["opsets"]
    assert (opset["name"], opset["before"], opset["after"]) == ("ai.onnx", "20", "21")
    (entry,) = found["inputs"]
    assert (entry["before"], entry["after"]) == ("float32[n,4]", "float32[8,4]")

    def rename(model):
        model.graph.output[0].name = model.graph.node[-1].output[0] = "z"

    _, found = differences(tmp_path, change=rename)
    assert [(e["change"], e["name"]) for e in found["outputs"]] == [
        ("removed", "y"),
        ("added", "z"),
    ]


def test_outputs_that_come_from_elsewhere(tmp_path):
    text = """<ir_version: 10, opset_import: ["" : 20]>
        g (float[n] x) => (float[n] y, float[n] z, float[2] c) {
            y = Relu(x) z = Sin(x) c = Constant <value_floats = [1.0, 2.0]> () }"""
    a = save(tmp_path / "a.onnx", text)
    swapped = text.replace("y = Relu(x) z = Sin(x)", "z = Relu(x) y = Sin(x)")
    b = save(tmp_path / "b.onnx", swapped.replace("2.0", "3.0"))
    found = json.loads(run(a, b, "--format", "json", status=1).stdout)["outputs"]
    assert [(entry["name"], entry["what"]) for entry in found["differences"]] == [
        ("y", "source"),
        ("z", "source"),
        ("c", "values"),
    ]


def test_modules(tmp_path):
    def in_module(path):
        def change(model):
            for node in model.graph.node[:3]:
                node.name = f"/{path}/{node.op_type}"

        return change

    a = save(tmp_path / "a.onnx", change=in_module("layer.0"))
    b = save(tmp_path / "b.onnx", change=in_module("layer.1"))
    found = json.loads(run(a, b, "-f", "json", status=1).stdout)
    listed = found["modules"]["differences"]
    assert [(e["change"], e["name"]) for e in listed] == [
        ("removed", "layer.0"),
        ("added", "layer.1"),
    ]
    text = run(a, b).stdout.decode()
    assert "Modules: 1 added, 1 removed, 0 equal" in text
    assert "\n  layer.0\n    - /layer.0/MatMul" in text


def test_weights_beside_the_model(tmp_path):
    """External data is compared where it lies."""
    paths = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        model = onnx.load(save(tmp_path / "m.onnx"))
        onnx.save(
            model,
            folder / "m.onnx",
            save_as_external_data=True,
            location="m.bin",
            size_threshold=0,
        )
        paths.append(folder / "m.onnx")
    run(*paths, status=0)
    data = paths[1].with_name("m.bin")
    content = bytearray(data.read_bytes())
    content[-1] ^= 0x40
    data.write_bytes(content)
    text = run(*paths, status=1).stdout.decode()
    assert "the weights are not all equal" in text


def long_chain(path, drop=()):
    kinds = ["Relu", "Tanh", "Sin", "Cos", "Neg"]
    lines, last = [], "x"
    for i in range(3000):
        if i not in drop:
            lines.append(f"v{i} = {kinds[i % 5]}({last})")
            last = f"v{i}"
    lines.append(f"y = Exp({last})")
    body = "\n".join(lines)
    text = '<ir_version: 8, opset_import: ["" : 20]>' + (
        f" m (float[n] x) => (float[n] y) {{ {body} }}"
    )
    onnx.save(parse_model(text), path)
    return path


def test_many_nodes(tmp_path):
    """Beyond the table of the common subsequence matches are looked for nearby."""
    a = long_chain(tmp_path / "a.onnx")
    b = long_chain(tmp_path / "b.onnx", drop=(100, 1500, 2900))
    found = json.loads(run(a, b, "-f", "json", status=1).stdout)
    removed = [e for e in found["nodes"]["differences"] if e["change"] == "removed"]
    assert [e["a"] for e in removed] == [100, 1500, 2900]
    assert found["nodes"]["equal"] == 2995


def cells(text):
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def test_it_fits_a_terminal(tmp_path):
    def rename(model):
        model.graph.node[3].name = "层" * 60 + "\x1b[31m\n"
        model.graph.node[3].attribute[0].f = 0.5

    a, b = save(tmp_path / "a.onnx"), save(tmp_path / "b.onnx", change=rename)
    wide = run(a, b, status=1).stdout
    assert b"\x1b" not in wide
    a, b = b, a
    narrow = run(a, b, env={**os.environ, "COLUMNS": "60"}, status=1).stdout.decode()
    assert "\x1b" not in narrow
    assert "层..." in narrow
    assert all(cells(line) <= 60 for line in narrow.splitlines())


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["a.onnx"], 2),
        (["a.onnx", "a.onnx", "a.onnx"], 2),
        (["a.onnx", "a.onnx", "--format", "html"], 2),
        (["-", "-"], 2),
        (["a.onnx", "no.onnx"], 3),
        (["no.onnx", "a.onnx"], 3),
        (["a.onnx", "bad.onnx"], 3),
    ],
)
def test_exit_codes_of_failures(arguments, status, tmp_path):
    save(tmp_path / "a.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model at all")
    done = run(*arguments, status=status, cwd=tmp_path)
    assert done.stderr and not done.stdout


def test_operators_without_code_are_compared(tmp_path):
    text = TEXT.replace("Relu(b)", "Unheard(b)")
    _, found = differences(tmp_path, text)
    assert found["nodes"]


def test_types_strings_and_sparse_tensors_equal_themselves(tmp_path):
    """What the passes take as different: here it would be a difference that is none."""
    values = numpy_helper.from_array(np.float32([1, 2]), "v")
    indices = numpy_helper.from_array(np.int64([0, 3]), "i")

    def build(path, words=("a", "b"), place=3, dtype=TensorProto.FLOAT):
        indices.raw_data = np.int64([0, place]).tobytes()
        sparse = helper.make_sparse_tensor(values, indices, [4])
        kind = helper.make_tensor_type_proto(dtype, [3])
        text = helper.make_tensor("t", TensorProto.STRING, [len(words)], words)
        nodes = [
            helper.make_node("Constant", [], ["s"], sparse_value=sparse),
            helper.make_node("Constant", [], ["w"], value=text),
            helper.make_node("Optional", [], ["o"], type=kind),
            helper.make_node("OptionalHasElement", ["o"], ["h"]),
        ]
        outputs = [
            helper.make_tensor_value_info("s", TensorProto.FLOAT, [4]),
            helper.make_tensor_value_info("w", TensorProto.STRING, [None]),
            helper.make_tensor_value_info("h", TensorProto.BOOL, []),
        ]
        opset = [helper.make_opsetid("", 18)]
        graph = helper.make_graph(nodes, "g", [], outputs)
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
        return path

    a = build(tmp_path / "a.onnx")
    run(a, build(tmp_path / "b.onnx"), status=0)
    run(a, build(tmp_path / "c.onnx", words=("a", "c")), status=1)
    run(a, build(tmp_path / "d.onnx", place=2), status=1)
    run(a, build(tmp_path / "e.onnx", dtype=TensorProto.INT64), status=1)


def test_an_opset_that_is_declared_twice(tmp_path):
    """The first one of a domain counts."""
    a = save(tmp_path / "a.onnx")
    model = onnx.load(a)
    model.opset_import.append(helper.make_opsetid("ai.onnx", 17))
    onnx.save(model, tmp_path / "b.onnx")
    run(a, tmp_path / "b.onnx", status=0)
    run(tmp_path / "b.onnx", a, status=0)
