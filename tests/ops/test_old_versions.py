"""Every version of every operator of ONNX is run at least once.

ONNX's own cases are of the newest versions.  An older one is checked in three ways: by
a row of ROWS, TEXTS or DRAWS below where its inputs or attributes differ; by a newer
case, stamped with the older version, against onnxruntime at that version; or, where
onnxruntime has no such version, against its next one, if SAME says that it may.
test_every_version_has_a_case tells which version lacks a case.
"""

import collections
import functools
import tempfile

import jax
import numpy as np
import onnx
import ort
import pytest
from graphs import check_text, parse
from harness import (
    check_model,
    check_node,
    compile_model,
    load_module,
    make_model,
    run_module,
)

from conformance import suite
from oxide_xla import backend

OLD = ("", "ai.onnx")  # names of the default domain
F32 = np.float32


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(F32)


X = rand(2, 3, 4)
Y = rand(2, 3, 4, seed=1)
ROW = rand(3, seed=2)
IMAGE = rand(1, 3, 4, 6)
A, B, C = rand(2, 3), rand(3, 4, seed=1), rand(4, seed=2)
BOOLS = X > 0
POSITIVE = np.abs(X) + F32(0.5)
COLUMN = ROW[:, None]
AT_AXIS = {"axis": 1, "broadcast": 1}

# ---- what the versions say -----------------------------------------------------------


def channels(x):
    """One number for each channel, beside (N, C, H, W)."""
    return x[:, None, None]


def batch_norm(x, scale, bias, mean, var):
    scale, bias, mean, var = map(channels, (scale, bias, mean, var))
    return (x - mean) / np.sqrt(var + F32(1e-5)) * scale + bias


def lp(x, p, axes):
    return (np.abs(x) ** p).sum(axes, keepdims=True) ** (1 / p)


def reductions(x, axes, keepdims):
    options = {"axis": axes, "keepdims": keepdims}
    return {
        "ReduceL1": np.abs(x).sum(**options),
        "ReduceL2": np.sqrt((x * x).sum(**options)),
        "ReduceLogSum": np.log(x.sum(**options)),
        "ReduceLogSumExp": np.log(np.exp(x).sum(**options)),
        "ReduceMean": x.mean(**options),
        "ReduceSum": x.sum(**options),
        "ReduceSumSquare": (x * x).sum(**options),
    }


def reduce_rows():
    """Axes are an attribute before versions 13 and 18."""
    last = {"ReduceMean": (1, 11), "ReduceSum": (1, 11)}
    for op, y in reductions(POSITIVE, (0, 2), True).items():
        yield op, last.get(op, (1, 11, 13)), [POSITIVE], {"axes": [0, 2]}, [y]


STATISTICS = [ROW, rand(3, seed=3), rand(3, seed=4), np.abs(rand(3, seed=5)) + F32(1)]
TABLE = np.array([[3, 0, 2], [1, 1, 0]], F32)
BOXES = np.array([[0, 0, 3, 3], [1, 1, 5, 2]], F32)
BOX = np.array([[0, 0, 0, 3, 3]], F32)
QUARTERS = IMAGE[..., :4].reshape(1, 3, 2, 2, 2, 2).max((3, 5))
POOLED = {"kernel_shape": [2, 2], "strides": [2, 2]}
WINDOWS = IMAGE.reshape(1, 3, 2, 2, 3, 2)  # 2 by 2 in the axes 3 and 5

# Operator, versions, inputs, attributes, and outputs; None: those of onnxruntime.
ROWS = [
    ("Add", (1, 6), [X, ROW], AT_AXIS, [X + COLUMN]),
    ("Sub", (1, 6), [X, ROW], AT_AXIS, [X - COLUMN]),
    ("Mul", (1, 6), [X, ROW], AT_AXIS, [X * COLUMN]),
    ("Div", (1, 6), [X, ROW], AT_AXIS, [X / COLUMN]),
    ("Pow", (1,), [POSITIVE, ROW], AT_AXIS, [POSITIVE**COLUMN]),
    ("And", (1,), [BOOLS, ROW > 0], AT_AXIS, [BOOLS & (COLUMN > 0)]),
    ("Or", (1,), [BOOLS, ROW > 0], AT_AXIS, [BOOLS | (COLUMN > 0)]),
    ("Xor", (1,), [BOOLS, ROW > 0], AT_AXIS, [BOOLS ^ (COLUMN > 0)]),
    ("Greater", (1,), [X, ROW], AT_AXIS, [X > COLUMN]),
    ("Less", (1,), [X, ROW], AT_AXIS, [X < COLUMN]),
    (
        "Equal",
        (1,),
        [np.arange(6).reshape(2, 3), np.array([0, 4])],
        {"axis": 0, "broadcast": 1},
        [np.array([[True, False, False], [False, True, False]])],
    ),
    ("PRelu", (1, 6), [X, ROW], {}, [np.where(X < 0, X * COLUMN, X)]),
    ("Clip", (1, 6), [X], {"min": -0.5, "max": 0.25}, [np.clip(X, -0.5, 0.25)]),
    ("Cast", (1,), [X * 9], {"to": "INT32"}, [(X * 9).astype(np.int32)]),
    ("Concat", (1,), [X, Y], {}, [np.concatenate([X, Y], 1)]),
    ("CumSum", (11,), [X, np.array(1)], {"exclusive": 1, "reverse": 1}, None),
    ("DepthToSpace", (1,), [rand(1, 8, 2, 3)], {"blocksize": 2}, None),
    ("Dropout", (1, 6), [X], {"is_test": 1, "ratio": 0.75}, [X]),
    ("Gemm", (1, 6), [A, B, C], {"broadcast": 1, "alpha": 0.5}, [A @ B / 2 + C]),
    ("GlobalLpPool", (1,), [IMAGE], {"p": 3.0}, [lp(IMAGE, 3, (2, 3))]),
    ("GlobalLpPool", (2, 22), [IMAGE], {"p": 3}, [lp(IMAGE, 3, (2, 3))]),
    (
        "LpPool",
        (1,),
        [IMAGE],
        {**POOLED, "p": 3.0},
        [lp(WINDOWS, 3, (3, 5))[..., 0, :, 0]],
    ),
    ("AveragePool", (1,), [IMAGE], POOLED, [WINDOWS.mean((3, 5))]),
    ("MaxRoiPool", (1, 22), [IMAGE, BOX], {"pooled_shape": [2, 2]}, [QUARTERS]),
    (
        "BatchNormalization",
        (1, 6),
        [IMAGE, *STATISTICS],
        {"is_test": 1},
        [batch_norm(IMAGE, *STATISTICS)],
    ),
    ("OneHot", (9, 11), [np.array([0, 7, 2]), np.array(4), np.array([2, 5])], {}, None),
    (
        "Pad",
        (1,),
        [X],
        {"paddings": [0, 1, 0, 0, 0, 2], "value": 1.5},
        [np.pad(X, [(0, 0), (1, 0), (0, 2)], constant_values=1.5)],
    ),
    ("Pad", (2,), [X], {"pads": [0, 1, 0, 0, -1, 2], "mode": "constant"}, None),
    *reduce_rows(),
    ("Softmax", (1, 11), [X], {}, None),
    ("LogSoftmax", (1, 11), [X], {}, None),
    ("Hardmax", (1, 11), [X], {}, None),
    ("Reshape", (1,), [X], {"shape": [0, -1]}, [X.reshape(2, 12)]),
    ("Resize", (10,), [IMAGE, np.array([1, 1, 2, 1.5], F32)], {}, None),
    (
        "Resize",
        (11,),
        [IMAGE, np.zeros(0, F32), np.array([1, 1, 2, 0.5], F32)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        None,
    ),
    (
        "RoiAlign",
        (10,),
        [IMAGE, BOXES, np.zeros(2, np.int64)],
        {"output_height": 2, "output_width": 3, "sampling_ratio": 2},
        None,
    ),
    ("Slice", (1,), [X], {"starts": [1, -3], "ends": [9, -1], "axes": [1, 2]}, None),
    ("Split", (1,), [X], {"axis": 2, "split": [1, 3]}, [X[..., :1], X[..., 1:]]),
    ("Squeeze", (1, 11), [X[:, :1]], {"axes": [1]}, None),
    ("Unsqueeze", (1,), [X], {"axes": [0, 3]}, None),
    (
        "Tile",
        (1,),
        [TABLE, np.array(2.0, F32), np.array(1.0, F32)],
        {},
        [np.tile(TABLE, 2)],
    ),
    ("TopK", (1,), [X], {"k": 2, "axis": 1}, None),
    (
        "Upsample",
        (1,),
        [IMAGE],
        {"height_scale": 2.0, "width_scale": 3.0},
        [IMAGE.repeat(2, 2).repeat(3, 3)],
    ),
    ("Upsample", (7,), [IMAGE], {"scales": [1.0, 1.0, 2.0, 1.5]}, None),
]
# Inputs that are lists of numbers: literals, as in the models that exporters write.
LITERALS = {"CumSum": ["axis"], "Resize": ["roi", "scales"], "Tile": ["tiles", "axis"]}
LITERALS["OneHot"] = ["depth"]

# Models of several nodes: opsets, graph, inputs, and outputs; None as above.
TEXTS = [
    (
        (7, 19, 21, 23, 24),  # Loop 1 and on
        """m (float[2] x) => (float[2] y, float[n, 2] ys) {
             count = Constant <value = int64 {3}> ()
             y, ys = Loop (count, , x) <body = b (int64 i, bool keep, float[2] a)
               => (bool k, float[2] c, float[2] row) {
                 k = Identity (keep)
                 c = Add (a, a)
                 row = Identity (c)
               }>
           }""",
        [C[:2]],
        None,
    ),
    (
        (11,),  # SequenceErase, ConcatFromSequence
        """m (float[2, 3, 4] x, float[2, 3, 4] y) => (float[4, 3, 4] z) {
             at = Constant <value = int64 {1}> ()
             all = SequenceConstruct (x, y, x)
             two = SequenceErase (all, at)
             z = ConcatFromSequence <axis = 0> (two)
           }""",
        [X, Y],
        None,
    ),
    (
        (11,),  # SplitToSequence
        """m (float[2, 3, 4] x) => (float[2, 3, 2] z) {
             at = Constant <value = int64 {1}> ()
             size = Constant <value = int64 {2}> ()
             all = SplitToSequence <axis = 2> (x, size)
             z = SequenceAt (all, at)
           }""",
        [X],
        None,
    ),
    (
        (28,),  # Optional
        """m (float[2, 3, 4] x) => (float[2, 3, 4] z) {
             some = Optional (x)
             z = OptionalGetElement (some)
           }""",
        [X],
        [X],
    ),
]

# Random operators draw other numbers than anybody else: operator, versions, inputs,
# attributes, and the type and shape of the output.
SIZED = {"shape": [2, 5]}
DRAWS = [
    ("RandomNormal", (1, 22), [], SIZED, np.zeros((2, 5), F32)),
    ("RandomUniform", (1, 22), [], SIZED, np.zeros((2, 5), F32)),
    ("RandomNormalLike", (1, 22), [X], {}, X),
    ("RandomUniformLike", (1,), [X], {}, X),
    ("Multinomial", (7, 22), [A], {"sample_size": 5}, np.zeros((2, 5), np.int32)),
]

# Version 1 where all that version 6 or 7 changed is said here.
SAME = {
    "consumed_inputs went away, and types were added": """
        Abs Ceil Elu Exp Floor HardSigmoid InstanceNormalization LeakyRelu Log Max Mean
        Min Neg Reciprocal Relu Selu Sigmoid Sqrt Sum Tanh""",
    "output_sequence went away; Y is always there": "LSTM RNN GRU",
}

# ---- versions ------------------------------------------------------------------------


def schema_version(op, opset):
    """The version of an operator that governs at an opset; None when there is none."""
    try:
        return onnx.defs.get_schema(op, opset, "").since_version
    except onnx.defs.SchemaError:
        return None


def opset_of(model):
    return next((o.version for o in model.opset_import if o.domain in OLD), None)


def versions_in(graph, opset):
    """{(operator, version)} of a graph and those inside it."""
    found = set()
    for node in graph.node:
        if node.domain in OLD:
            found.add((node.op_type, schema_version(node.op_type, opset)))
        for attribute in node.attribute:
            for inner in [*attribute.graphs, attribute.g]:
                found |= versions_in(inner, opset)
    return found


def all_versions():
    """Of the operators that ONNX still defines."""
    return {
        (schema.name, schema.since_version)
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain == "" and not schema.deprecated
    }


@functools.cache
def node_cases():
    return [suite.load("node", name) for name in suite.names("node")]


@functools.cache
def in_cases():
    """Those that ONNX's own cases run: see tests/conformance."""
    found = set()
    for case in node_cases():
        if opset := opset_of(case.model):
            found |= versions_in(case.model.graph, opset)
    return found


def in_tables():
    found = {(op, version) for op, versions, *_ in ROWS + DRAWS for version in versions}
    for opsets, text, *_ in TEXTS:
        for opset in opsets:
            found |= versions_in(parse(text, opset).graph, opset)
    return found


def same_versions():
    """The versions before 7 of the operators in SAME."""
    ops = " ".join(SAME.values()).split()
    return {(op, v) for op, v in all_versions() if op in ops and v < 6}


# ---- newer cases at older versions ---------------------------------------------------


@functools.cache
def simple_cases():
    """{operator: its cases of one node}"""
    found = collections.defaultdict(list)
    for case in node_cases():
        nodes = case.model.graph.node
        if len(nodes) == 1 and "_expanded" not in case.name:
            found[nodes[0].op_type].append(case)
    return found


def stamped(model, version):
    """The model with another opset; None where the operator does not allow it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for opset in copy.opset_import:
        if opset.domain in OLD:
            opset.version = version
    try:
        onnx.checker.check_model(copy)
    except onnx.checker.ValidationError:
        return None
    return copy


def answers(model, inputs, outputs):
    """What onnxruntime gives; None where it has not this version, or these types."""
    names = [value.name for value in model.graph.input]
    try:
        found = ort.run(model, dict(zip(names, inputs, strict=True)))
    except Exception:  # noqa: BLE001 - it has many classes of errors
        return None
    same = all(a.dtype == b.dtype for a, b in zip(found, outputs, strict=True))
    return found if same else None


def is_array(value):
    return isinstance(value, np.ndarray)


def is_misread(case, inputs, outputs):
    """onnxruntime does not give what ONNX expects at the version of the case."""
    found = answers(case.model, inputs, outputs)
    if found is None or suite.draws(case.model):
        return False
    try:
        suite.compare(found, outputs, case.rtol, case.atol)
    except AssertionError:
        return True
    return False


def next_version(op, version):
    return min(v for name, v in all_versions() if name == op and v > version)


@functools.cache
def newer_case(op, version):
    """(case, model, inputs, outputs) of a newer case that the version allows."""
    for case in simple_cases()[op]:
        inputs, outputs = (
            [np.asarray(v) if np.isscalar(v) else v for v in part]
            for part in case.pairs[0]
        )
        model = stamped(case.model, version)
        if model is None or not all(map(is_array, inputs + outputs)):
            continue
        judge, at = model, version
        while (op, version) in same_versions() and at < 7:
            at = max(next_version(op, at), 7)
            judge = stamped(case.model, at)
        expected = answers(judge, inputs, outputs) if judge else None
        if expected and not is_misread(case, inputs, outputs):
            return case, model, inputs, expected
    return None


@functools.cache
def older_versions():
    """Those that neither ONNX's cases nor the tables have."""
    return all_versions() - in_cases() - in_tables()


# ---- tests ---------------------------------------------------------------------------


def row_ids(rows):
    return [f"{op}-{version}" for op, version, *_ in rows]


def one_version_each(rows):
    return [(op, v, *rest) for op, versions, *rest in rows for v in versions]


EACH = one_version_each(ROWS)
EACH_DRAW = one_version_each(DRAWS)


@pytest.mark.parametrize(
    "op, version, inputs, attrs, expected", EACH, ids=row_ids(EACH)
)
def test_row(op, version, inputs, attrs, expected):
    options = {"opset": version, "constant": LITERALS.get(op, ()), "rtol": 1e-5}
    if expected is not None:
        check_node(
            op, inputs, attrs, expected=expected, outputs=len(expected), **options
        )
        return
    outputs = 2 if op == "TopK" else 1
    ort.check(op, inputs, attrs, outputs=outputs, **options)


@pytest.mark.parametrize(
    "opset, text, inputs, expected",
    [(opset, *rest) for opsets, *rest in TEXTS for opset in opsets],
)
def test_text(opset, text, inputs, expected):
    check_text(text, inputs, expected, opset=opset)


@pytest.mark.parametrize(
    "op, version, inputs, attrs, like", EACH_DRAW, ids=row_ids(EACH_DRAW)
)
def test_draw(op, version, inputs, attrs, like):
    named = {f"x{i}": x for i, x in enumerate(inputs)}
    model = make_model(op, named, attrs, opset=version)
    with tempfile.TemporaryDirectory() as folder:
        module = load_module(compile_model(model, folder))
        (drawn,) = run_module(module, inputs)
    assert (drawn.shape, drawn.dtype) == (like.shape, like.dtype)


@pytest.mark.parametrize("op", sorted({op for op, _ in all_versions()}))
def test_newer_case_at_older_version(op):
    for name, version in sorted(older_versions()):
        if name == op:
            case, model, inputs, expected = newer_case(op, version)
            if suite.draws(model):
                with jax.enable_x64(True):
                    suite.check_draw(backend.prepare(model).run(inputs), expected)
                continue
            tolerance = {"rtol": max(case.rtol, 1e-5), "atol": 1e-5}
            options = {"x64": (True,), "infer": False, **tolerance}
            check_model(model, inputs, expected, **options)


def test_every_version_has_a_case():
    lacking = {pair for pair in older_versions() if newer_case(*pair) is None}
    assert lacking == set(), "no case of ONNX fits: add a row"


def test_rows_are_needed():
    """What ONNX's own cases run needs no row."""
    rows = {(op, version) for op, version, *_ in EACH + EACH_DRAW}
    assert rows & in_cases() == set()
