"""Which rows of the operator registry were checked by value, and not by text alone.

`harness.check_model` notes a model once what it gives has been compared.  A row counts
when a node of it takes part: its results reach an output, and depend on an input of the
graph or on none at all, for a node with constant inputs is evaluated while compiling.
Workers of xdist hand over what they have noted; tests/conftest.py fails a session that
has run all of tests/ops and has left a row out.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import onnx

OPS = Path(__file__).resolve().parent / "ops"

Row = tuple[str, str, int]  # domain, operator, since

# Rows without values to compare, and why.
DRAWN = "tests/ops/test_random.py judges what it draws"
EXEMPT: dict[Row, str] = {
    ("ai.onnx", "Bernoulli", 15): DRAWN,
    ("ai.onnx", "Multinomial", 7): DRAWN,
    ("ai.onnx", "RandomNormal", 1): DRAWN,
    ("ai.onnx", "RandomNormalLike", 1): DRAWN,
    ("ai.onnx", "RandomUniform", 1): DRAWN,
    ("ai.onnx", "RandomUniformLike", 1): DRAWN,
}

noted: set[Row] = set()


@functools.cache
def registry(program: str) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """The ranges of opsets of each operator, but those that are always refused."""
    command = [program, "ops", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        (op["domain"], op["name"]): [
            (version["since"], version["until"] or version["since"] + 10**6)
            for version in op["versions"]
            if not version["refused"]
        ]
        for op in json.loads(done.stdout)
    }


def subgraphs(node: onnx.NodeProto) -> Iterable[onnx.GraphProto]:
    """The graphs among the attributes of a node."""
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else attribute.graphs


def reads(node: onnx.NodeProto) -> set[str]:
    """The values that a node reads, in its subgraphs, too."""
    names = {name for name in node.input if name}
    for graph in subgraphs(node):
        for inner in graph.node:
            names |= reads(inner)
        names |= {v.name for v in graph.output}
    return names


def live_nodes(graph: onnx.GraphProto, outer: set[str]) -> Iterable[onnx.NodeProto]:
    """The nodes that take part, where the values of `outer` are known at run time only.
    In a graph that is sorted, as ONNX has it."""
    stored = {t.name for t in graph.initializer}
    varying = outer | {v.name for v in graph.input if v.name not in stored}
    for node in graph.node:
        if not reads(node) or reads(node) & varying:
            varying |= set(node.output)
    needed = {v.name for v in graph.output}
    for node in reversed(graph.node):
        if not needed & set(node.output):
            continue
        needed |= reads(node)
        if varying & set(node.output):
            yield node
            for inner in subgraphs(node):
                yield from live_nodes(inner, varying)


def note(model: onnx.ModelProto, program: str) -> None:
    """The outputs of the model were compared."""
    opsets = {o.domain: o.version for o in model.opset_import}
    rows = registry(program)
    bodies = [onnx.GraphProto(node=f.node) for f in model.functions]
    for body, function in zip(bodies, model.functions, strict=True):
        body.input.extend(onnx.ValueInfoProto(name=name) for name in function.input)
        body.output.extend(onnx.ValueInfoProto(name=name) for name in function.output)
    for graph in [model.graph, *bodies]:
        for node in live_nodes(graph, set()):
            domain, opset = node.domain or "ai.onnx", opsets.get(node.domain, 1)
            for since, until in rows.get((domain, node.op_type), []):
                if since <= opset <= until:
                    noted.add((domain, node.op_type, since))


def missing(program: str, rows: set[Row]) -> list[str]:
    """The rows that are not among these, and exempt ones that are."""
    known = {
        (domain, name, since)
        for (domain, name), versions in registry(program).items()
        for since, _ in versions
    }
    faults = [f"{r[0]} {r[1]}-{r[2]}" for r in sorted(known - rows - EXEMPT.keys())]
    return faults + [
        f"{row} need not be exempt" for row in sorted(rows & EXEMPT.keys())
    ]


def is_whole(config, items) -> bool:
    """All tests of tests/ops are among the items: none was left out by an option."""
    chosen = ("keyword", "markexpr", "lf", "last_failed", "deselect", "collectonly")
    if any(config.getoption(name, None) for name in chosen):
        return False
    if any("::" in argument for argument in config.args):
        return False
    return set(OPS.glob("test_*.py")) <= {Path(item.path) for item in items}
