"""Write seeds of the fuzz targets: `make_corpus.py` adds to corpus/.

fuzz_compile starts from the test fixtures, an export and one node of each operator,
fuzz_parser from a model that holds every kind of message. Seeds named found_* once made
a target fail; they stay.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).resolve().parent / "corpus"
SIZE_LIMIT = 2048  # bytes; libFuzzer is best with small inputs


def with_constants(case) -> onnx.ModelProto:
    """The case's model with its small integer inputs, shapes and axes, as constants."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, _ = case.data_sets[0]
    for info, array in zip(case.model.graph.input, inputs, strict=False):
        small = isinstance(array, np.ndarray) and array.dtype.kind == "i"
        if small and array.size <= 8 and len(inputs) > 1:
            model.graph.initializer.append(numpy_helper.from_array(array, info.name))
    return model


def one_node_models() -> dict[str, bytes]:
    """For each operator, its shortest model among ONNX's own node tests."""
    found: dict[str, bytes] = {}
    for case in collect_testcases(None):
        if case.model is None or len(case.model.graph.node) != 1:
            continue
        op = case.model.graph.node[0].op_type
        data = with_constants(case).SerializeToString(deterministic=True)
        if len(data) < min(SIZE_LIMIT, len(found.get(op, b"x" * 9999))):
            found[op] = data
    return found


def tensors() -> list[TensorProto]:
    """One tensor for each way to store elements."""

    def tensor(name, dtype, dims, **fields):
        return TensorProto(name=name, data_type=dtype, dims=dims, **fields)

    t = TensorProto
    result = [
        tensor("raw", t.FLOAT, [2], raw_data=bytes(8)),
        tensor("floats", t.FLOAT, [2], float_data=[1, 2]),
        tensor("complex", t.COMPLEX64, [1], float_data=[1, 2]),
        tensor("ints", t.INT8, [2], int32_data=[1, -2]),
        tensor("halves", t.FLOAT16, [2], int32_data=[0x3C00, 0]),
        tensor("bfloats", t.BFLOAT16, [2], int32_data=[0x3F80, 0]),
        tensor("nibbles", t.INT4, [3], int32_data=[0x21, 0x3]),
        tensor("int64s", t.INT64, [2], int64_data=[1, -2]),
        tensor("doubles", t.DOUBLE, [2], double_data=[1, 2]),
        tensor("uint64s", t.UINT64, [2], uint64_data=[1, 2]),
        tensor("strings", t.STRING, [2], string_data=[b"a", b"bc"]),
        tensor("none", t.FLOAT, [0]),
    ]
    outside = tensor("outside", t.FLOAT, [2], data_location=t.EXTERNAL)
    for key, text in [("location", "w.data"), ("offset", "8"), ("length", "8")]:
        outside.external_data.add(key=key, value=text)
    return [*result, outside]


def every_message() -> onnx.ModelProto:
    """A model, not a meaningful one, with every field that the parser knows."""
    branch = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["t"])],
        "branch",
        [],
        [helper.make_tensor_value_info("t", TensorProto.FLOAT, ["n"])],
    )
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32), "sparse"),
        numpy_helper.from_array(np.zeros(1, np.int64)),
        [4],
    )
    kind = helper.make_sequence_type_proto(
        helper.make_optional_type_proto(
            helper.make_tensor_type_proto(TensorProto.FLOAT, [1, None, "n"])
        )
    )
    attributes = {
        "f": 1.5,
        "i": -1,
        "s": "text",
        "t": tensors()[0],
        "g": branch,
        "tp": kind,
        "floats": [1.0, 2.0],
        "ints": [1, 2],
        "strings": ["a", "b"],
        "tensors": tensors()[:2],
        "graphs": [branch],
        "sparse": sparse,
        "sparses": [sparse],
        "type_protos": [kind],
    }
    node = helper.make_node(
        "Everything", ["x", "", "raw"], ["y"], "name", "doc", "local", **attributes
    )
    node.metadata_props.add(key="key", value="value")
    inner = helper.make_node("Elu", ["a"], ["b"])
    reference = inner.attribute.add(name="alpha", ref_attr_name="alpha")
    reference.type = onnx.AttributeProto.FLOAT
    function = helper.make_function(
        "local",
        "Everything",
        ["a"],
        ["b"],
        [inner],
        [helper.make_opsetid("", 20)],
        attribute_protos=[helper.make_attribute("alpha", 1.0)],
        overload="v2",
    )
    graph = helper.make_graph(
        [node],
        "graph",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4], "doc"),
            helper.make_value_info("sequence", kind),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        tensors(),
        "doc",
        [helper.make_tensor_value_info("b", TensorProto.INT64, [2])],
        [sparse],
    )
    annotation = graph.quantization_annotation.add(tensor_name="raw")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="floats")
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("local", 1)],
        functions=[function],
        producer_name="producer",
        producer_version="1",
        domain="org",
        model_version=2,
        doc_string="doc",
    )
    helper.set_model_props(model, {"key": "value"})
    return model


def exported() -> onnx.ModelProto:
    """Two layers as the dynamo exporter writes them: scopes, a signature, weights that
    have lost their names, and a table of which one row is read."""
    nodes, tensors, signature = [], {}, ["p_s: PARAMETER target='layers.0.s'"]

    def add(scope, kind, *args, **attributes):
        node = helper.make_node(*args, **attributes)
        for key, texts in [("name_scopes", [scope]), ("class_hierarchy", [kind])]:
            text = str(["", *texts, "x"])
            node.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=text)
        nodes.append(node)

    for i in range(2):
        norm = [f"layers.{i}.n.{k}" for k in ("w", "b", "m", "v")]
        tensors |= {name: np.ones(2, np.float32) for name in norm}
        tensors[f"val_{i}"] = np.eye(2, dtype=np.float32) + i
        signature += [f"p_{i}: PARAMETER target='{norm[0]}'"]
        norm_type = "torch.nn.modules.batchnorm.BatchNorm1d"
        inputs = [f"x{i}", *norm]
        add(f"layers.{i}.n", norm_type, "BatchNormalization", inputs, [f"n{i}"])
        linear = "torch.nn.modules.linear.Linear"
        product = [f"n{i}", f"val_{i}"]
        add(f"layers.{i}.fc", linear, "MatMul", product, [f"x{i + 1}"])
    tensors["table"] = np.ones((3, 2), np.float32)
    add("", "M", "Shape", ["x0"], ["s"], end=1)
    zero = helper.make_tensor("", TensorProto.INT64, [1], [0])
    add("", "M", "ConstantOfShape", ["s"], ["zeros"], value=zero)
    add("t", "torch.nn.modules.sparse.Embedding", "Gather", ["table", "zeros"], ["r"])
    add("", "M", "Add", ["x2", "r"], ["y"])
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, k) for k, a in tensors.items()],
    )
    graph.metadata_props.add(
        key="pkg.torch.export.ExportedProgram.graph_signature",
        value="\n".join(signature),
    )
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opsets, producer_name="pytorch")


def write(target: str, seeds: dict[str, bytes]) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / f"{name}.onnx").write_bytes(data)
    print(f"{target}: {len(seeds)} seeds, {sum(map(len, seeds.values()))} bytes")


def main() -> int:
    fixtures = sorted((ROOT / "tests" / "fixtures").glob("*.onnx"))
    seeds = {f"fixture_{path.stem}": path.read_bytes() for path in fixtures}
    write("fuzz_parser", {"every_message": every_message().SerializeToString()})
    seeds["exported"] = exported().SerializeToString()
    write("fuzz_compile", seeds | one_node_models())
    return 0 if seeds else 1


if __name__ == "__main__":
    sys.exit(main())
