"""`inspect --format json` against ONNX's own view of the same models."""

import json
import os
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("*.onnx"))

DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
}


def run(*words):
    command = [PROGRAM, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def inspect(path, *options):
    command = [PROGRAM, "inspect", str(path), "--format", "json", *options]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.decode("utf-8"))


def declared(value):
    """(dtype, shape) of a ValueInfoProto as inspect writes them."""
    tensor = value.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = [d.dim_param or d.dim_value for d in tensor.shape.dim]
    return DTYPES[tensor.elem_type], shape


def keys(entry, expected):
    assert set(entry) == set(expected)


def all_nodes(nodes):
    for node in nodes:
        yield node
        for graph in node.get("subgraphs", []):
            yield from all_nodes(graph["nodes"])


# ---- the fields ----------------------------------------------------------------------


def check_type(entry):
    if entry["kind"] == "tensor":
        assert entry["dtype"] is None or isinstance(entry["dtype"], str)
        assert entry["shape"] is None or all(
            isinstance(d, int | str) for d in entry["shape"]
        )


# What nodes of the graph itself have, and those of subgraphs have not.
PLACE = ["module", "module_index", "macs", "activation_bytes"]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_schema(path):
    found = inspect(path)
    top = (
        "schema_version model inputs outputs params constants nodes modules unsupported"
    )
    keys(found, [*top.split(), "notes", "work", "statistics"])
    assert found["schema_version"] == 3
    assert all(isinstance(note, str) for note in found["notes"])
    keys(
        found["model"],
        "name graph producer producer_version domain model_version ir_version opsets "
        "functions metadata doc".split(),
    )
    for entry in found["inputs"] + found["outputs"]:
        keys(entry, ["name", "kind", "dtype", "shape"])
        check_type(entry)
    for entry in found["params"] + found["constants"]:
        keys(entry, ["name", "dtype", "shape", "bytes"])
    for node in all_nodes(found["nodes"]):
        required = (
            "name op domain opset output_shape dtype param_key param_keys attributes "
        )
        keys(
            node,
            {*required.split(), "inputs", "outputs", "output_types"}
            | node.keys() & {"subgraphs", *PLACE},
        )
        for entry in filter(None, node["output_types"]):
            check_type(entry)
    for module in found["modules"]:
        sizes = "kind nodes param_elements param_bytes macs activation_bytes"
        keys(module, ["path", "class", "parent", *sizes.split()])
    for node in found["nodes"]:
        assert set(PLACE) <= set(node)
        assert found["modules"][node["module_index"]]["path"] == node["module"]
    keys(
        found["work"],
        ["macs", "activation_bytes", "expression", "assumed", "uncounted"],
    )
    keys(
        found["statistics"],
        "nodes subgraphs ops constants params param_elements param_bytes".split(),
    )


# ---- equal to ONNX's view ------------------------------------------------------------


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_model_equals_onnx(path):
    found, model = inspect(path), onnx.load(path)
    graph = model.graph
    assert found["model"]["producer"] == model.producer_name
    assert found["model"]["ir_version"] == model.ir_version
    assert found["model"]["graph"] == graph.name
    assert found["model"]["opsets"] == {
        o.domain or "ai.onnx": o.version for o in model.opset_import
    }
    params = {t.name for t in graph.initializer}
    inputs = [(v.name, *declared(v)) for v in graph.input if v.name not in params]
    assert [(v["name"], v["dtype"], v["shape"]) for v in found["inputs"]] == inputs
    assert [v["name"] for v in found["outputs"]] == [v.name for v in graph.output]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_nodes_equal_onnx(path):
    found, graph = inspect(path), onnx.load(path).graph
    got = [(n["name"], n["op"], n["inputs"], n["outputs"]) for n in found["nodes"]]
    want = [
        (n.name, n.op_type, list(n.input), list(n.output))
        for n in graph.node
        if n.op_type != "Constant"
    ]
    assert got == want
    assert found["statistics"]["nodes"] == len(want)
    ops = [n.op_type for n in graph.node if n.op_type != "Constant"]
    assert found["statistics"]["ops"] == {op: ops.count(op) for op in ops}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_tensors_equal_onnx(path):
    found, graph = inspect(path), onnx.load(path).graph
    got = {
        t["name"]: (t["dtype"], t["shape"], t["bytes"])
        for t in found["params"] + found["constants"]
    }
    want = {}
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        want[tensor.name] = (DTYPES[tensor.data_type], list(array.shape), array.nbytes)
    assert got == want
    floats = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    params = {t["name"] for t in found["params"]}
    assert params <= want.keys()
    assert {n for n in floats if np.prod(want[n][1]) > 1} <= params
    statistics = found["statistics"]
    assert statistics["params"] == len(found["params"])
    assert statistics["param_bytes"] == sum(t["bytes"] for t in found["params"])
    for node in found["nodes"]:
        expected = [name for name in node["inputs"] if name in params]
        assert node["param_keys"] == expected
        assert node["param_key"] == (expected[0] if expected else None)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_types_equal_onnx_inference(path):
    """Wherever ONNX's inference knows a dimension, ours agrees and knows it too."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    known = {v.name: declared(v) for v in model.graph.value_info}
    known |= {v.name: declared(v) for v in model.graph.output}
    for node in inspect(path)["nodes"]:
        first = node["output_types"][0]
        assert (node["dtype"], node["output_shape"]) == (first["dtype"], first["shape"])
        for out in node["output_types"]:
            dtype, shape = known.get(out["name"], (out["dtype"], None))
            assert out["dtype"] == dtype
            if shape is None:
                continue
            assert len(out["shape"]) == len(shape)
            for ours, theirs in zip(out["shape"], shape, strict=True):
                assert ours == theirs or isinstance(theirs, str) or theirs == 0


# ---- forms that the fixtures do not have ---------------------------------------------


def save(folder, nodes, inputs, outputs, initializers=(), **model_fields):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    functions = model_fields.pop("functions", ())
    opsets = [
        helper.make_opsetid("", model_fields.pop("opset", 20)),
        helper.make_opsetid("local", 1),
    ]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=10, functions=functions, **model_fields
    )
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_attributes_equal_onnx(path):
    nodes = [n for n in onnx.load(path).graph.node if n.op_type != "Constant"]
    for got, node in zip(inspect(path)["nodes"], nodes, strict=True):
        want = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        for name, x in want.items():
            if isinstance(x, bytes):
                assert got["attributes"][name] == x.decode()
            elif not isinstance(x, onnx.GraphProto | onnx.TensorProto):
                assert np.array_equal(
                    np.float32(got["attributes"][name]), np.float32(x)
                )
        graphs = {k for k, x in want.items() if isinstance(x, onnx.GraphProto)}
        assert set(got["attributes"]) == set(want) - graphs


def test_attributes_that_are_long_or_no_numbers(tmp_path):
    attributes = {
        "one": 1e-5,
        "whole": 2.0,
        "none": float("nan"),
        "far": float("-inf"),
        "text": 'a"\n',
        "bytes": b"\xff",
        "long": "x" * 2000,
        "floats": [0.1, 3.0],
        "words": ["a", "b"],
        "many": list(range(65)),
        "array": numpy_helper.from_array(np.ones((2, 3), np.float16)),
    }
    node = helper.make_node("Unheard", ["x"], ["y"], name="n", **attributes)
    found = inspect(save(tmp_path, [node], [value("x", [2])], [value("y", [2])]))
    assert found["nodes"][0]["attributes"] == {
        "one": 1e-5,
        "whole": 2.0,
        "none": "nan",
        "far": "-inf",
        "text": 'a"\n',
        "bytes": "\ufffd",
        "long": {"type": "string", "bytes": 2000},
        "floats": [0.1, 3.0],
        "words": ["a", "b"],
        "many": {"type": "ints", "count": 65},
        "array": {"type": "tensor", "dtype": "float16", "shape": [2, 3]},
    }


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_lines_are_those_of_compile(path, tmp_path):
    lines = tmp_path / "m.json"
    compiling = ["compile", path, "-q", "-o", tmp_path / "m.py", "--map", lines]
    assert run(*compiling).returncode == 0
    printed = run("inspect", path, "--format", "json", "--lines")
    assert printed.returncode == 0
    found = json.loads(printed.stdout)
    assert found.pop("lines") == json.loads(lines.read_text())
    assert found == inspect(path)


def test_lines_of_a_model_without_code_are_null(tmp_path):
    node = helper.make_node("Unheard", ["x"], ["y"], name="n")
    path = save(tmp_path, [node], [value("x", [2])], [value("y", [2])])
    printed = run("inspect", path, "--format", "json", "--lines")
    assert json.loads(printed.stdout)["lines"] is None
    assert run("inspect", path, "--lines").returncode == 2


def test_subgraphs_are_nested(tmp_path):
    then = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["t"], name="inner")],
        "then",
        [],
        [value("t", [2])],
        [numpy_helper.from_array(np.ones(2, np.float32), "w")],
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["e"])], "else", [], [value("e", [2])]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    inputs = [value("c", [], TensorProto.BOOL), value("x", [2])]
    found = inspect(save(tmp_path, [node], inputs, [value("y", [2])]))
    [branch, _] = sorted(
        found["nodes"][0]["subgraphs"], key=lambda g: g["attribute"], reverse=True
    )
    assert branch["attribute"] == "then_branch"
    assert branch["outputs"] == ["t"]
    assert branch["nodes"][0]["name"] == "inner"
    assert branch["nodes"][0]["param_key"] == "w"
    assert [p["name"] for p in found["params"]] == ["w"]
    assert found["statistics"]["nodes"] == 3
    assert found["statistics"]["subgraphs"] == 2


def test_functions_are_listed_and_inlined(tmp_path):
    function = helper.make_function(
        "local",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 20)],
    )
    node = helper.make_node("Twice", ["x"], ["y"], domain="local", name="call")
    path = save(
        tmp_path, [node], [value("x", [2])], [value("y", [2])], functions=[function]
    )
    found = inspect(path)
    assert found["model"]["functions"] == [
        {"domain": "local", "name": "Twice", "nodes": 1}
    ]
    assert [(n["op"], n["inputs"], n["outputs"]) for n in found["nodes"]] == [
        ("Add", ["x", "x"], ["y"])
    ]


def test_inputs_with_initializers_are_params(tmp_path):
    weight = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs = [value("x", [1, 2]), value("w", [2, 3])]
    found = inspect(save(tmp_path, [node], inputs, [value("y", [1, 3])], [weight]))
    assert [v["name"] for v in found["inputs"]] == ["x"]
    assert found["params"] == [
        {"name": "w", "dtype": "float32", "shape": [2, 3], "bytes": 24}
    ]


def test_absent_inputs_and_outputs_keep_their_place(tmp_path):
    ceiling = numpy_helper.from_array(np.array(1, np.float32), "ceiling")
    node = helper.make_node("Clip", ["x", "", "ceiling"], ["y"])
    found = inspect(
        save(tmp_path, [node], [value("x", [2])], [value("y", [2])], [ceiling])
    )
    assert found["nodes"][0]["inputs"] == ["x", "", "ceiling"]


def test_metadata_and_symbolic_dimensions(tmp_path):
    nodes = [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)]
    path = save(tmp_path, nodes, [value("x", ["n", 3])], [value("y", None)])
    model = onnx.load(path)
    helper.set_model_props(model, {"key": 'a "value"', "größe": "\n"})
    onnx.save(model, path)
    found = inspect(path)
    assert found["model"]["metadata"] == {"key": 'a "value"', "größe": "\n"}
    assert found["outputs"][0]["shape"] == ["2*n", 3]


def test_any_bytes_in_names_give_valid_json(tmp_path):
    """Names that are no UTF-8 cannot be made with protobuf: they are patched in."""
    nodes = [helper.make_node("Neg", ["x"], ["y"], name="NAME_")]
    path = save(tmp_path, nodes, [value("x", [2])], [value("y", [2])])
    original = path.read_bytes()
    for hostile, expected in [
        (b'"\\\n\x00\x1f', '"\\\n\x00\x1f'),
        (b"\xff\xfeab\x80", "��ab�"),
        (b"\xed\xa0\x80ab", "���ab"),
        ("é€".encode(), "é€"),
    ]:
        assert len(hostile) == 5
        path.write_bytes(original.replace(b"NAME_", hostile))
        assert inspect(path)["nodes"][0]["name"] == expected


def test_a_malformed_graph_is_an_error(tmp_path):
    nodes = [helper.make_node("Neg", ["nobody"], ["y"])]
    path = save(tmp_path, nodes, [value("x", [2])], [value("y", [2])])
    command = [PROGRAM, "inspect", str(path)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert not done.stdout
    assert b"error[OX0201]" in done.stderr


# ---- for people ----------------------------------------------------------------------


def screen(path, *options, columns="80"):
    command = [PROGRAM, "inspect", str(path), *options]
    done = subprocess.run(
        command,
        capture_output=True,
        check=True,
        timeout=60,
        env={**os.environ, "COLUMNS": columns},
    )
    return done.stdout.decode()


def test_layers_show_what_json_holds():
    path = ROOT / "tests" / "fixtures" / "two_layer_mlp.onnx"
    text = screen(path, "--layers")
    found = inspect(path)
    for node in found["nodes"]:
        assert node["op"] in text and node["name"] in text
    for param in found["params"]:
        assert param["name"] in text
    assert "Parameters (4): 67 elements, 268 B" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def cells(text):
    """Columns of a terminal."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def stack(tmp_path, names, depth=3):
    """A model of numbered layers, each a MatMul of its own by the names of modules."""
    nodes, weights, last = [], [], "x"
    for k in range(depth):
        for name in names:
            weight = f"{name}.{k}.weight"
            weights.append(numpy_helper.from_array(np.ones((8, 8), np.float32), weight))
            output = f"y{len(nodes)}"
            nodes.append(
                helper.make_node(
                    "MatMul", [last, weight], [output], name=f"/{name}.{k}/MatMul"
                )
            )
            last = output
    return save(
        tmp_path,
        nodes,
        [value("x", ["batch", 8])],
        [value(last, ["batch", 8])],
        weights,
    )


def test_one_screen(tmp_path):
    text = screen(stack(tmp_path, ["layers"], depth=40))
    assert len(text.splitlines()) < 40
    (layers,) = (line.split() for line in text.splitlines() if "layers." in line)
    assert layers == ["layers.0-39", "40", "x", "2.56", "k", "2.56", "k", "100.0%"]
    assert "2.56 k multiply-accumulates at batch = 1" in text
    assert "2,560 in 40 tensors, float32 10.2 kB" in text


@pytest.mark.parametrize(
    "name", ["层" * 40, "e\u0301" * 60, "long" * 75, "\U0001f9ea" * 50]
)
@pytest.mark.parametrize("columns", ["60", "80", "132"])
def test_names_of_any_width_fit(name, columns, tmp_path):
    text = screen(stack(tmp_path, [name, "short"], depth=1), columns=columns)
    rows = text.split("Modules\n")[1].split("\n\n")[0].splitlines()
    assert len(rows) == 3
    assert all(cells(row) <= int(columns) for row in rows), rows
    # columns of numbers end at one place, whatever stands in front
    assert len({cells(row) for row in rows}) == 1
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_shape_is_inspected(tmp_path):
    path = stack(tmp_path, ["layers"], depth=2)
    found = inspect(path, "--shape", "x=32,8")
    assert found["inputs"][0]["shape"] == [32, 8]
    assert found["work"] == {
        "macs": 2 * 32 * 64,
        "activation_bytes": 4 * 2 * 32 * 8,  # of two products
        "expression": 2 * 32 * 64,
        "assumed": {},
        "uncounted": 0,
    }
    assert inspect(path)["work"]["expression"] == "128*batch"
    refused = subprocess.run(
        [PROGRAM, "inspect", str(path), "--shape", "y=1"], capture_output=True
    )
    assert refused.returncode == 2
    assert b"error[OX0003]" in refused.stderr


def test_what_a_porter_should_know_is_noted(tmp_path):
    node = helper.make_node("Cast", ["ids"], ["y"], to=TensorProto.FLOAT)
    ids = value("ids", [1, 7], TensorProto.INT64)
    text = screen(save(tmp_path, [node], [ids], [value("y", [1, 7])]))
    assert "the batch of ids is fixed: --shape 'ids=batch,7' opens it" in text
    assert "64-bit inputs" in text


@pytest.mark.parametrize(("most", "rounds"), [(5, 5), (2**63 - 1, 1)])
def test_a_loop_counts_as_often_as_it_runs(most, rounds, tmp_path):
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "w"], ["next"]),
            helper.make_node("Identity", ["cond"], ["cond_out"]),
        ],
        "body",
        [
            value("i", [], TensorProto.INT64),
            value("cond", [], TensorProto.BOOL),
            value("state", [2, 4]),
        ],
        [value("cond_out", [], TensorProto.BOOL), value("next", [2, 4])],
    )
    trips = numpy_helper.from_array(np.array(most, np.int64), "trips")
    true = numpy_helper.from_array(np.array(True), "true")
    w = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    node = helper.make_node("Loop", ["trips", "true", "x"], ["y"], body=body)
    found = inspect(
        save(
            tmp_path,
            [node],
            [value("x", [2, 4])],
            [value("y", [2, 4])],
            [trips, true, w],
        )
    )
    assert found["work"]["macs"] == rounds * 2 * 4 * 4


# ---- work of single operators --------------------------------------------------------

WORK = {
    "Conv": (
        "Conv",
        {"group": 2, "pads": [1, 1, 1, 1]},
        [(2, 4, 8, 8), (6, 2, 3, 3)],
        6912 * 2,
    ),
    "ConvTranspose": (
        "ConvTranspose",
        {"strides": [2, 2]},
        [(1, 4, 5, 5), (4, 3, 2, 2)],
        1200,
    ),
    "MatMul": ("MatMul", {}, [(3, 5, 7), (7, 11)], 3 * 5 * 7 * 11),
    "vector": ("MatMul", {}, [(7,), (7,)], 7),
    "Gemm": ("Gemm", {"transA": 1}, [(7, 5), (7, 11)], 5 * 7 * 11),
    "Einsum": (
        "Einsum",
        {"equation": "bij,bjk->bik"},
        [(2, 3, 4), (2, 4, 5)],
        2 * 3 * 4 * 5,
    ),
    "LSTM": (
        "LSTM",
        {"hidden_size": 4},
        [(6, 2, 3), (1, 16, 3), (1, 16, 4)],
        6 * 2 * 16 * 7,
    ),
    "Attention": (
        "Attention",
        {},
        [(2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4)],
        6 * 5 * 7 * 12,
    ),
    "Relu": ("Relu", {}, [(2, 3)], 0),
}


@pytest.mark.parametrize("case", WORK)
def test_work(case, tmp_path):
    op, attrs, shapes, expected = WORK[case]
    inputs = [value(f"x{i}", shape) for i, shape in enumerate(shapes)]
    node = helper.make_node(op, [i.name for i in inputs], ["y"], **attrs)
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    found = inspect(save(tmp_path, [node], inputs, outputs, opset=23))
    assert found["work"]["macs"] == expected


# ---- kinds and activations -----------------------------------------------------------


def test_alike_modules_are_of_one_kind(tmp_path):
    found = inspect(stack(tmp_path, ["a", "b"], depth=3))
    kinds = {module["path"]: module["kind"] for module in found["modules"]}
    assert len({kinds[f"{name}.{k}"] for name in "ab" for k in range(3)}) == 1
    assert kinds[""] != kinds["a.0"]
    assert sorted(set(kinds.values())) == list(range(len(set(kinds.values()))))


def test_another_shape_is_another_kind(tmp_path):
    nodes, weights = [], []
    sizes = [4, 4, 4, 8]
    for k, (rows, columns) in enumerate(zip(sizes, sizes[1:], strict=False)):
        array = np.ones((rows, columns), np.float32)
        weights.append(numpy_helper.from_array(array, f"layer.{k}.weight"))
        ends = [f"y{k}", f"layer.{k}.weight"], [f"y{k + 1}"]
        nodes.append(helper.make_node("MatMul", *ends, name=f"/layer.{k}/MatMul"))
    inputs, outputs = [value("y0", [2, 4])], [value("y3", [2, 8])]
    found = inspect(save(tmp_path, nodes, inputs, outputs, weights))
    kinds = {module["path"]: module["kind"] for module in found["modules"]}
    assert kinds["layer.0"] == kinds["layer.1"] != kinds["layer.2"]


def test_activations(tmp_path):
    """Bytes of what is computed: not of views, nor of what is known before."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Reshape", ["a", "s"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT16),
    ]
    outputs = [value("y", ["n", 6], TensorProto.FLOAT16)]
    found = inspect(save(tmp_path, nodes, [value("x", ["n", 6])], outputs))
    assert [node["activation_bytes"] for node in found["nodes"]] == [0, 24, 0, 12]
    assert found["work"]["activation_bytes"] == 36
    assert found["modules"][0]["activation_bytes"] == 36


# ---- drawings ------------------------------------------------------------------------

DRAWN = {
    "dot": (
        r'    n(\d+) \[label="((?:[^"\\]|\\.)*)"(?:, shape=oval)?\];',
        r"    n(\d+) -> n(\d+) \[",
    ),
    "mermaid": (
        r'    n(\d+)(?:\(\[|\[)"([^"<]*(?:<br>[^"<]*)*)"(?:\]\)|\])',
        r'    n(\d+) -- "[^"]*" --> n(\d+)',
    ),
}


def drawing(path, syntax):
    """Labels by number, and pairs of numbers; every line must be one or the other."""
    lines = screen(path, "--format", syntax).splitlines()
    box, edge = DRAWN[syntax]
    body = lines[3:-1] if syntax == "dot" else lines[1:]
    boxes, edges = {}, []
    for line in body:
        if found := re.fullmatch(box, line):
            boxes[found[1]] = found[2]
        else:
            found = re.match(edge, line)
            assert found, line
            edges.append(found.groups())
    assert all(end in boxes for pair in edges for end in pair)
    return boxes, edges


@pytest.mark.parametrize("syntax", DRAWN)
def test_alike_modules_are_one_box(syntax, tmp_path):
    boxes, edges = drawing(stack(tmp_path, ["layers"], depth=40), syntax)
    line = "\\n" if syntax == "dot" else "<br>"
    assert list(boxes.values()) == [
        f"x{line}float32[batch,8]",
        f"40 x layers.0{line}2.56 k params",
        f"y39{line}float32[batch,8]",
    ]
    assert edges == [("0", "1"), ("1", "2")]


@pytest.mark.parametrize("syntax", DRAWN)
def test_names_are_no_syntax(syntax, tmp_path):
    hostile = 'a"]; x -> y <script>&#\\'
    node = helper.make_node("Neg", [hostile], ["y"])
    path = save(tmp_path, [node], [value(hostile, [2])], [value("y", [2])])
    boxes, edges = drawing(path, syntax)
    assert len(boxes) == 3 and len(edges) == 2
    assert "script" in boxes["0"]


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")
@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_graphviz_draws_it(path):
    text = screen(path, "--format", "dot")
    done = subprocess.run(
        ["dot", "-Tsvg"], input=text.encode(), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    drawn = done.stdout.decode()
    boxes, edges = drawing(path, "dot")
    assert drawn.count('class="node"') == len(boxes)
    assert drawn.count('class="edge"') == len(edges)


@pytest.mark.parametrize("syntax", DRAWN)
@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_every_model_can_be_drawn(path, syntax):
    boxes, edges = drawing(path, syntax)
    found = inspect(path)
    assert len(boxes) >= len(found["inputs"]) + len(found["outputs"])
    assert edges


# ---- modules -------------------------------------------------------------------------


def test_nodes_of_exporter_passes_are_in_no_module(tmp_path):
    path = stack(tmp_path, ["layers"], depth=2)
    model = onnx.load(path)
    for key, place in (
        ("name_scopes", "['_empty_nn_module_stack_from_metadata_hook', 'sym_size']"),
        ("class_hierarchy", "['_empty_nn_module_stack_from_metadata_hook', 'aten']"),
    ):
        entry = model.graph.node[1].metadata_props.add()
        entry.key, entry.value = f"pkg.torch.onnx.{key}", place
    onnx.save(model, path)
    found = inspect(path)
    assert [node["module"] for node in found["nodes"]] == ["layers.0", ""]
    assert not any("_empty" in module["path"] for module in found["modules"])
