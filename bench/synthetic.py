"""Write a synthetic ONNX graph of any size: `synthetic.py NODES FILE`.

The graph is a chain of blocks of ten nodes, each a small layer with a residual and the
shape arithmetic that exporters put before a Reshape. Nodes are serialized one by one,
so a million of them need no more memory than ten.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BLOCK = 10  # nodes
WEIGHTS = 16  # shared by the blocks in turn, so that the file is all graph
WIDTH = 8
MODEL_GRAPH, GRAPH_NODE = 7, 1  # field numbers of onnx.proto


def field(number: int, data: bytes) -> bytes:
    """One length-delimited field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number as protobuf writes it, seven bits a byte."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def block(i: int) -> list[onnx.NodeProto]:
    """Layer i: h{i} -> h{i+1}, both [batch, WIDTH]."""
    w = i % WEIGHTS
    steps = [
        ("MatMul", [f"h{i}", f"w{w}"], "m", {}),
        ("Add", [f"m{i}", f"b{w}"], "a", {}),
        ("Relu", [f"a{i}"], "r", {}),
        ("Shape", [f"r{i}"], "s", {}),
        ("Gather", [f"s{i}", "zero"], "g", {"axis": 0}),
        ("Unsqueeze", [f"g{i}", "axis"], "u", {}),
        ("Concat", [f"u{i}", "width"], "c", {"axis": 0}),
        ("Reshape", [f"r{i}", f"c{i}"], "v", {}),
        ("Mul", [f"v{i}", f"a{i}"], "x", {}),
    ]
    nodes = [
        helper.make_node(op, inputs, [f"{out}{i}"], f"/layers.{i}/{op}", **attributes)
        for op, inputs, out, attributes in steps
    ]
    last = helper.make_node(
        "Add", [f"x{i}", f"h{i}"], [f"h{i + 1}"], f"/layers.{i}/Add2"
    )
    return [*nodes, last]


def node_fields(blocks: int) -> Iterator[bytes]:
    """The nodes of the graph as fields of GraphProto, a block at a time."""
    for i in range(blocks):
        yield b"".join(field(GRAPH_NODE, n.SerializeToString()) for n in block(i))


def frame(blocks: int) -> tuple[onnx.ModelProto, onnx.GraphProto]:
    """The model without its graph, and the graph without its nodes."""
    rng = np.random.RandomState(0)
    tensors = {
        "zero": np.array(0, np.int64),
        "axis": np.array([0], np.int64),
        "width": np.array([WIDTH], np.int64),
    }
    for w in range(WEIGHTS):
        tensors[f"w{w}"] = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
        tensors[f"b{w}"] = rng.standard_normal(WIDTH).astype(np.float32)
    shape = ["batch", WIDTH]
    graph = helper.make_graph(
        [],
        "synthetic",
        [helper.make_tensor_value_info("h0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"h{blocks}", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(v, k) for k, v in tensors.items()],
    )
    model = helper.make_model(
        onnx.GraphProto(),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
        producer_name="synthetic",
    )
    model.ClearField("graph")
    return model, graph


def write(nodes: int, path: Path) -> None:
    """Write a graph of about `nodes` nodes, a multiple of BLOCK, to path."""
    blocks = max(1, nodes // BLOCK)
    model, graph = frame(blocks)
    head, tail = model.SerializeToString(), graph.SerializeToString()
    size = len(tail) + sum(len(data) for data in node_fields(blocks))
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(head)
        file.write(varint(MODEL_GRAPH << 3 | 2) + varint(size))
        for data in node_fields(blocks):
            file.write(data)
        file.write(tail)
    temporary.rename(path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[0])
    write(int(sys.argv[1]), Path(sys.argv[2]))
