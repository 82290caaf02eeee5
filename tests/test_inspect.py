"""`inspect --format json` against ONNX's own view of the same models."""

import json
import os
import subprocess
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


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_schema(path):
    found = inspect(path)
    top = "schema_version model inputs outputs params constants nodes unsupported"
    keys(found, [*top.split(), "statistics"])
    assert found["schema_version"] == 1
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
            "name op domain opset output_shape dtype param_key param_keys inputs "
        )
        keys(
            node,
            {*required.split(), "outputs", "output_types"}
            | node.keys() & {"subgraphs"},
        )
        for entry in filter(None, node["output_types"]):
            check_type(entry)
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
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=10, functions=functions, **model_fields
    )
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


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


def test_ascii_shows_what_json_holds():
    path = ROOT / "tests" / "fixtures" / "two_layer_mlp.onnx"
    command = [PROGRAM, "inspect", str(path)]
    text = subprocess.run(
        command, capture_output=True, check=True, timeout=60
    ).stdout.decode()
    found = inspect(path)
    for node in found["nodes"]:
        assert node["op"] in text and node["name"] in text
    for param in found["params"]:
        assert param["name"] in text
    assert "Parameters (4): 67 elements, 268 B" in text
    assert all(line == line.rstrip() for line in text.splitlines())
