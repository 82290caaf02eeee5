"""Inferred types against onnx.shape_inference and the outputs of ONNX's own cases.

Every case is stripped of the types that it declares past its inputs, so that inference
has to find them, and is tried with the sizes of its inputs as they are, as symbols, and
without, each with lists of numbers as inputs and as initializers.  For every value of
the graph and its subgraphs, what ONNX knows (strict mode, data propagation on) must be
known here and be the same; and no output may contradict the one that the case expects.
"""

import functools
import re

import numpy as np
import onnx
import pytest
from graphs import check_text, parse
from harness import _bind
from onnx import TensorProto, helper, numpy_helper

from conformance import suite
from oxide_xla import OxideError, inspect

# Where ONNX contradicts what the case expects: (case, value, why).
WRONG = [
    (r"test_attention_.*", r"Y|qk_matmul_output", "a size that it does not know is 0"),
    (r"test_stft.*", "output", "onesided, by default 1, is read as 0"),
    ("test_loop13_seq", "seq_res", "what an empty sequence is declared to hold stays"),
]
# Where ONNX claims too much, though the case does not show it.
UNSOUND = [
    (
        "test_loop16_seq_none",
        "seq_res",
        "without an iteration it is the optional, not the sequence that the body makes",
    ),
    (
        "test_loop16_seq_none",
        "sequence|seq_in|seq_out",
        "the body inserts arrays of rank 1 into a sequence of scalars",
    ),
]
# Where ONNX infers nothing at all, though all is declared.
FAILS = {"test_mvn": "the body of its function has a Constant with two values"}


# ---- cases ---------------------------------------------------------------------------


def strip(graph, inputs=()):
    """Drops the types that the graph and those inside it declare."""
    for value in [*graph.output, *inputs]:
        value.ClearField("type")
    del graph.value_info[:]
    for inner in subgraphs(graph.node):
        strip(inner, inner.input)


def subgraphs(nodes):
    for node in nodes:
        for attribute in node.attribute:
            yield from attribute.graphs
            if attribute.HasField("g"):
                yield attribute.g


@functools.cache
def cases():
    """[(name, stripped model, input arrays, expected arrays)]"""
    found = []
    for kind in suite.KINDS:
        for name in suite.names(kind):
            case = suite.load(kind, name)
            inputs, outputs = case.pairs[0] if case.pairs else ([], [])
            model = onnx.ModelProto()
            model.CopyFrom(case.model)
            strip(model.graph)
            found.append((name, model, inputs, outputs))
    return found


def with_lists(model, arrays):
    """The model with its lists of numbers as initializers; None when it has none."""
    known = onnx.ModelProto()
    known.CopyFrom(model)
    del known.graph.input[:]
    for value, array in zip(model.graph.input, arrays, strict=False):
        listed = isinstance(array, np.ndarray) and array.ndim <= 1 and array.size <= 64
        if listed and array.dtype.kind in "iub":
            known.graph.initializer.append(numpy_helper.from_array(array, value.name))
        else:
            known.graph.input.append(value)
    return known if len(known.graph.initializer) else None


def as_given(name, tensor, names):
    """The sizes of the case."""


def batch(name, tensor, names):
    """The first size is `batch` wherever it is that of the first input."""
    first = tensor.shape.dim[0].dim_value if len(tensor.shape.dim) else 0
    if first > 1 and names.setdefault("batch", first) == first:
        tensor.shape.dim[0].dim_param = "batch"


def by_size(name, tensor, names):
    """One symbol for each size."""
    for dim in tensor.shape.dim:
        if dim.dim_value > 1:
            names[f"size{dim.dim_value}"] = dim.dim_value
            dim.dim_param = f"size{dim.dim_value}"


def unique(name, tensor, names):
    """One symbol for each dimension."""
    for axis, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value"):
            symbol = re.sub(r"\W", "_", f"dim_{name}_{axis}")
            names[symbol] = dim.dim_value
            dim.dim_param = symbol


def unranked(name, tensor, names):
    """Nothing but types."""
    tensor.ClearField("shape")


def resized(model, change):
    """The model with changed input types, and {symbol: size}."""
    copy, names = onnx.ModelProto(), {}
    copy.CopyFrom(model)
    given = {tensor.name for tensor in copy.graph.initializer}
    for value in copy.graph.input:
        if value.type.HasField("tensor_type") and value.name not in given:
            change(value.name, value.type.tensor_type, names)
    return copy, names


# ---- types ---------------------------------------------------------------------------
# A tensor is (dtype, shape), a container (kind, type), and anything unknown None;
# a size is an int, or None where it is not known.


def their_type(proto, names):
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        tensor = proto.tensor_type
        shape = None
        if tensor.HasField("shape"):
            shape = [
                d.dim_value if d.HasField("dim_value") else names.get(d.dim_param)
                for d in tensor.shape.dim
            ]
        return ("tensor", dtype_name(tensor.elem_type), shape)
    if kind in ("sequence_type", "optional_type"):
        elem = getattr(proto, kind).elem_type
        return (kind.removesuffix("_type"), their_type(elem, names))
    return None


def dtype_name(elem):
    if elem in (TensorProto.UNDEFINED, TensorProto.STRING):
        return "string" if elem else None
    return helper.tensor_dtype_to_np_dtype(elem).name


def their_types(model, names):
    """{value: type}"""
    inferred = onnx.shape_inference.infer_shapes(
        model, strict_mode=True, data_prop=True
    )
    return graph_types(inferred.graph, names)


def graph_types(graph, names):
    values = [*graph.value_info, *graph.output]
    types = {value.name: their_type(value.type, names) for value in values}
    for inner in subgraphs(graph.node):
        types |= graph_types(inner, names)
    return types


def our_type(entry, names):
    if entry.get("kind", "tensor") != "tensor":
        elem = entry.get("elem")
        return (entry["kind"], our_type(elem, names) if elem else None)
    shape = entry["shape"]
    if shape is not None:
        shape = [size_of(dim, names) for dim in shape]
    return ("tensor", entry["dtype"], shape)


def size_of(dim, names):
    """A dimension as inspect prints it; one read from a value is not known."""
    return None if isinstance(dim, str) and "[" in dim else _bind(dim, names)


def our_types(found, names):
    """{value: type}, None for those of a branch that is never taken."""
    entries = [e for key in ("params", "constants", "outputs") for e in found[key]]
    types = {entry["name"]: our_type(entry, names) for entry in entries}
    return types | node_types(found["nodes"], names)


def node_types(nodes, names):
    types = {}
    for node in nodes:
        entries = [entry for entry in node["output_types"] if entry]
        types |= {entry["name"]: our_type(entry, names) for entry in entries}
        for inner in node.get("subgraphs", []):
            below = node_types(inner["nodes"], names)
            if node["op"] == "If" and not any(map(is_known, below.values())):
                below = dict.fromkeys(below)
            types |= below
    return types


def is_known(found):
    return found is not None and found != ("tensor", None, None)


# ---- comparing -----------------------------------------------------------------------


def agrees(known, found):
    """All that the first type knows is in the second."""
    if known is None:
        return True
    if found is None or known[0] != found[0]:
        return False
    if known[0] != "tensor":
        return agrees(known[1], found[1])
    _, dtype, shape = known
    if dtype is not None and dtype != found[1]:
        return False
    if shape is None:
        return True
    return found[2] is not None and same_sizes(shape, found[2])


def same_sizes(known, found):
    pairs = zip(known, found, strict=False)
    return len(known) == len(found) and all(a is None or a == b for a, b in pairs)


def contradicts(found, array):
    """An array of the case is not of this type."""
    if found is None or array is None:
        return False
    if found[0] == "optional":
        return contradicts(found[1], array)
    if isinstance(array, list):
        return found[0] != "sequence" or any(contradicts(found[1], a) for a in array)
    if found[0] != "tensor":
        return True
    _, dtype, shape = found
    array = np.asarray(array)
    if array.dtype.kind not in "OSU" and dtype not in (None, array.dtype.name):
        return True
    return shape is not None and not same_sizes(shape, array.shape)


def listed(table, case, value):
    return any(re.fullmatch(c, case) and re.fullmatch(v, value) for c, v, _ in table)


def faults(name, model, names, expected):
    """What is wrong with the types inferred for one model."""
    try:
        theirs = their_types(model, names)
    except onnx.shape_inference.InferenceError:
        theirs = None  # the operator does not allow what was done to its inputs
    try:
        found = inspect(model)
    except OxideError as error:
        return [f"{name}: {error}"] if theirs is not None else []
    if found["unsupported"]:
        return [f"{name}: {found['unsupported']} is not supported"]
    ours = our_types(found, names)
    outputs = dict(zip((v.name for v in model.graph.output), expected, strict=False))
    bad = [
        f"{name}: {value} is {ours[value]}, not as expected"
        for value, array in outputs.items()
        if contradicts(ours[value], array)
    ]
    for value, known in (theirs or {}).items():
        if value in ours and ours[value] is None:
            continue
        if agrees(known, ours.get(value)) or listed(UNSOUND, name, value):
            continue
        wrong = contradicts(known, outputs.get(value))
        if not (wrong and listed(WRONG, name, value)):
            bad.append(f"{name}: {value} is {ours.get(value)}, ONNX knows {known}")
    return bad


@pytest.mark.parametrize("lists", ["inputs", "initializers"])
@pytest.mark.parametrize("sizes", [as_given, batch, by_size, unique, unranked])
def test_all_that_onnx_knows(sizes, lists):
    bad = []
    for name, model, inputs, expected in cases():
        if lists == "initializers":
            model = with_lists(model, inputs)
        if model is not None:
            bad += faults(name, *resized(model, sizes), expected)
    assert bad == []


# A list of which only a part is known: n is a number at run time.
LISTS = """m (float[6, 4] x, float[1, 4] r, int64[1] n) => (y, z, v, w) {
  rest = Constant <value = int64[1] {-1}> ()
  one = Constant <value = int64[1] {1}> ()
  four = Constant <value = int64[1] {4}> ()
  a = Concat <axis = 0> (n, rest, four)
  y = Reshape (x, a)
  b = Concat <axis = 0> (n, four)
  z = Expand (r, b)
  c = Concat <axis = 0> (n, one, one)
  v = Expand (x, c)
  w = ConstantOfShape (b)
}"""


def test_lists_that_are_known_in_part():
    found = our_types(inspect(parse(LISTS)), {})
    shapes = {name: found[name][2] for name in "yzvw"}
    expected = {"y": [None, None, 4], "z": [None, 4], "v": [None, 6, 4], "w": [None, 4]}
    assert shapes == expected


def test_values_of_lists_that_are_known_in_part():
    rng = np.random.default_rng(0)
    x, r = rng.random((6, 4), np.float32), rng.random((1, 4), np.float32)
    typed = LISTS.replace(
        "(y, z, v, w)", "(float[a,b,4] y, float[c,4] z, float[d,6,4] v, float[e,4] w)"
    )
    check_text(typed, [x, r, np.array([3])], jitted=False, infer=False)


def test_onnx_infers_the_cases():
    """So that none of them is left out above without a reason."""
    failed = []
    for name, model, _, _ in cases():
        try:
            their_types(model, {})
        except onnx.shape_inference.InferenceError:
            failed.append(name)
    assert failed == list(FAILS)
