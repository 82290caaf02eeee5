"""The smallest model that shows a mismatch: one node, its inputs, and ten lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from oxide_xla.verify import references
from oxide_xla.verify.candidate import Candidate, Compile
from oxide_xla.verify.comparing import compare, untracked
from oxide_xla.verify.locate import Search
from oxide_xla.verify.metrics import Row
from oxide_xla.verify.network import CONTROL, Arrays, Network

SCRIPT = '''\
"""{what}"""
import numpy as np
{imports}
import oxide_xla

model = oxide_xla.compile("{stem}.onnx")
inputs = dict(np.load("{stem}.npz"))
actual = model.forward(model.params, *inputs.values())
{expected}
print(np.abs(np.asarray(actual) - expected).max())
'''
RUNTIME = (
    "import onnxruntime",
    'session = onnxruntime.InferenceSession("{stem}.onnx")\n'
    "expected = session.run(None, inputs)[0]",
)
PYTHON = (
    "from onnx.reference import ReferenceEvaluator",
    'expected = ReferenceEvaluator("{stem}.onnx").run(None, inputs)[0]',
)


@dataclass(frozen=True)
class Reproduction:
    """A folder with the model of one node."""

    folder: Path
    row: Row  # of the node alone
    node: str

    @property
    def confirmed(self) -> bool:
        """Whether the node fails alone, too."""
        return not self.row.passed


def reproduce(
    search: Search, first: Row, parent: Path, compile: Compile
) -> Reproduction | None:
    """Write the folder NAME_repro; None where a node cannot stand alone."""
    node = search.makers[first.name]
    if node.op_type in CONTROL:  # reads values that are not among its inputs
        return None
    names = [name for name in dict.fromkeys(node.input) if name]
    given = search.values(names)
    model = one_node(search.network, node, first.name, given)
    row = check_alone(search, model, given, compile)
    folder = parent / f"{search.network.name}_repro"
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, model, given, first, search.reference.name)
    return Reproduction(folder, row, first.node)


def one_node(
    network: Network, node: onnx.NodeProto, output: str, given: dict[str, np.ndarray]
) -> onnx.ModelProto:
    """A model of this node with every input given at run time, except what must be
    known at compile time: integers that came from initializers and constants. Those
    are taken out of `given`."""
    fixed = constants(network, node)
    graph = helper.make_graph(
        [node],
        "reproduction",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in given.items()
            if name not in fixed
        ],
        [network.describe(output)],
        [onnx.numpy_helper.from_array(given[name], name) for name in fixed],
    )
    # The type as the model has it; its dimensions are those of this run.
    kind = graph.output[0].type.tensor_type
    kind.ClearField("shape")
    if not kind.elem_type:
        first = next(iter(given.values()))
        kind.elem_type = helper.np_dtype_to_tensor_dtype(first.dtype)
    for name in fixed:
        given.pop(name)
    model = helper.make_model(
        graph,
        opset_imports=list(network.proto.opset_import),
        ir_version=network.proto.ir_version,
    )
    return model


def constants(network: Network, node: onnx.NodeProto) -> list[str]:
    """The inputs of the node that the file itself gives."""
    made = {
        out for n in network.graph.node if n.op_type == "Constant" for out in n.output
    }
    names = dict.fromkeys(name for name in node.input if name)
    return [name for name in names if name in made or name in network.weights]


def check_alone(
    search: Search,
    model: onnx.ModelProto,
    given: Arrays,
    compile: Compile,
) -> Row:
    """Compare the node alone, as the whole model was compared."""
    network = Network(model)
    reference = references.make(search.reference.name, network)
    candidate = Candidate(network, compile, search.candidate.mode)
    rows = compare(candidate, reference, given, untracked)
    return rows[0]


def write(
    folder: Path, model: onnx.ModelProto, given: Arrays, first: Row, against: str
) -> None:
    """The three files."""
    stem = "node"
    onnx.save(model, folder / f"{stem}.onnx")
    arrays: dict[str, Any] = dict(given)
    np.savez(folder / f"{stem}.npz", **arrays)
    imports, expected = PYTHON if against == "reference" else RUNTIME
    what = f"{model.graph.node[0].op_type} alone: {first.reason}"
    text = SCRIPT.format(
        stem=stem, what=what, imports=imports, expected=expected.format(stem=stem)
    )
    (folder / "reproduce.py").write_text(text)
