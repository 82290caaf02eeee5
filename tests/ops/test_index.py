"""Operators that read and write elements by position."""

import numpy as np
import pytest
from graphs import compile_text
from harness import check_model, check_node, compile_fails
from onnx import TensorProto, helper, numpy_helper

import oxide_xla
from index import scatter_elements


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


X = rand(2, 3, 4)
END = 2**63 - 1

# ---- Slice ---------------------------------------------------------------------------

SLICES = [
    # starts, ends, axes, steps, generated for static shapes
    ([1], [END], [1], None, "data[:, 1:]"),
    ([0], [1], [0], None, "data[:1]"),
    ([0], [-1], [-1], None, "data[..., :-1]"),
    ([-1], [END], [2], None, "data[..., -1:]"),
    ([0], [END], [1], [2], "data[:, ::2]"),
    ([-1], [-END], [1], [-1], "data[:, ::-1]"),
    ([END], [-END], [1], [-2], "data[:, ::-2]"),
    ([0, 1], [1, 2], None, None, "data[:1, 1:2]"),
    ([0], [100], [1], None, "return data\n"),
    ([2], [0], [2], [-1], "data[..., 2:0:-1]"),
    ([-3], [-1], [1], None, "data[:, :-1]"),
    ([5], [9], [1], None, "data[:, 5:]"),
    ([2], [1], [1], None, "data[:, 2:1]"),
    ([-100], [2], [2], None, "data[..., :2]"),
    ([3, 0], [-4, 1], [-1, 0], [-1, 1], "data[:1, :, :-4:-1]"),
    ([1, 0], [3, 2], [2, 1], [1, 1], "data[:, :2, 1:3]"),
]


@pytest.mark.parametrize("starts, ends, axes, steps, code", SLICES, ids=str)
def test_slice(starts, ends, axes, steps, code):
    inputs = {"data": X, "starts": ints(*starts), "ends": ints(*ends)}
    inputs["axes"] = None if axes is None else ints(*axes)
    inputs["steps"] = None if steps is None else ints(*steps)
    known = ["starts", "ends", "axes", "steps"]
    check_node("Slice", inputs, constant=known, dynamic="unique", contains=code)


@pytest.mark.parametrize("opset", [10, 11, 13])
def test_slice_versions(opset):
    inputs = [X, ints(0, 1), ints(1, -1), ints(0, 2)]
    check_node("Slice", inputs, opset=opset, constant=["starts", "ends", "axes"])


@pytest.mark.parametrize("axes", [None, [0, 2]])
def test_slice_by_attributes(axes):
    attrs = {"starts": [0, 1], "ends": [1, -1]} | ({"axes": axes} if axes else {})
    check_node("Slice", [X], attrs, opset=1)


def test_slice_backwards_from_before_the_front():
    # numpy gives nothing here; ONNX clamps the start to the first element
    inputs = [X, ints(-9), ints(-END), ints(1), ints(-1)]
    known = ["starts", "ends", "axes", "steps"]
    options = {"opset": 13, "expected": [X[:, :1]], "dynamic": "unique"}
    check_node("Slice", inputs, constant=known, **options)
    inputs[2] = ints(-99)  # as an input it has 32 bits
    check_node("Slice", inputs, constant=["axes"], infer=False, **options)


@pytest.mark.parametrize("known", [["starts", "ends", "axes", "steps"], ["axes"], []])
def test_slice_by_scalars(known):
    """Where the specification asks for lists of one."""
    inputs = [X, *[np.array(v, np.int64) for v in (0, 3, 2, 2)]]
    options = {"opset": 13, "expected": [X[:, :, 0:3:2]], "infer": bool(known[1:])}
    check_node("Slice", inputs, constant=known, **options)


@pytest.mark.parametrize("steps", [None, ints(2)])
def test_slice_at_run_time(steps):
    inputs = [X, ints(0), ints(3), ints(-1), steps]
    check_node("Slice", inputs, opset=13, infer=False)


def test_a_declared_shape_does_not_prove_that_a_slice_is_whole():
    """Exporters give the axes of outputs the names that the user gave them."""
    names = ["x", "starts", "ends"]
    types = [(TensorProto.FLOAT, ["n"]), *[(TensorProto.INT64, [1])] * 2]
    inputs = [helper.make_tensor_value_info(n, *t) for n, t in zip(names, types)]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    node = helper.make_node("Slice", names, ["y"])
    graph = helper.make_graph([node], "g", inputs, [output])
    opsets = [helper.make_opsetid("", 17)]
    compiled = oxide_xla.compile(helper.make_model(graph, opset_imports=opsets))
    x = rand(5)
    y = compiled.forward(compiled.params, x, ints(1), ints(3))
    np.testing.assert_array_equal(y, x[1:3])


def test_slices_of_slices_are_one_subscript():
    nodes = [
        helper.make_node("Slice", ["x", "one", "end", "axis_1"], ["y"]),
        helper.make_node("Slice", ["y", "one", "end", "axis_2"], ["z"]),
        helper.make_node("Slice", ["z", "one", "end", "axis_2"], ["out"]),
    ]
    names = {"one": 1, "end": END, "axis_1": 1, "axis_2": 2}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["a", "b", "c"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(ints(v), k) for k, v in names.items()],
    )
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    expected = [X[:, 1:, 2:]]
    source = check_model(model, [X], expected, names={"a": 2, "b": 3, "c": 4})
    assert "x[:, 1:, 1:][..., 1:]" in source


# ---- Gather --------------------------------------------------------------------------

GATHERS = [
    # indices, axis, generated for static shapes
    (np.int64(0), 1, "data[:, 0]"),
    (np.int64(-1), -1, "data[..., -1]"),
    (ints(0), 1, "data[:, :1]"),
    (ints(-1), 1, "data[:, -1:]"),
    (ints(1, 2), 1, "data[:, 1:]"),
    (ints(-3, -2), 2, "data[..., -3:-1]"),
    (ints(2, 0), 2, "data[..., jnp.array([2, 0], int)]"),
    (ints(-1, 0), 2, "data[..., jnp.array([-1, 0], int)]"),
    (np.array([[1, -1], [0, 2]], np.int32), 1, "data[:, "),
    (np.zeros((0,), np.int64), 0, "data["),
]


@pytest.mark.parametrize("indices, axis, code", GATHERS, ids=str)
def test_gather(indices, axis, code):
    known = ["indices"]
    attrs = {"axis": axis}
    check_node("Gather", [X, indices], attrs, opset=13, constant=known, contains=code)


@pytest.mark.parametrize("opset", [1, 11, 13])
@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_gather_at_run_time(opset, axis):
    indices = np.array([[1, 0], [0, 1]])
    check_node("Gather", [X, indices], {"axis": axis}, opset=opset)


def test_gather_by_a_scalar():
    check_node("Gather", [X, np.int64(-1)], {"axis": 1}, contains="data[:, indices]")


def test_gather_out_of_bounds():
    inputs = [X, ints(3)]
    compile_fails(
        "Gather", inputs, {"axis": 1}, constant=["indices"], message="out of bounds"
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("opset", [11, 13])
def test_gather_elements(axis, opset):
    indices = np.random.default_rng(0).integers(-2, 2, (2, 3, 4))
    check_node("GatherElements", [X, indices], {"axis": axis}, opset=opset)


@pytest.mark.parametrize("shape", [(2, 2, 1), (1, 3, 4), (1, 5, 1)])
def test_gather_elements_reads_the_leading_part(shape):
    indices = np.random.default_rng(0).integers(-3, 3, shape)
    part = X[: shape[0], :, : shape[2]]
    expected = [np.take_along_axis(part, indices, 1)]
    check_node(
        "GatherElements",
        [X, indices],
        {"axis": 1},
        expected=expected,
        dynamic="unique",
    )


GATHER_ND = [
    ([[0, 1], [1, -1]], 0),
    ([[0], [1]], 0),
    ([[0], [1]], 1),
    ([1, 2, 3], 0),
    ([[[0, 1, 2]], [[1, 0, -1]]], 0),
    ([[[0, 1]], [[1, 0]]], 1),
]


@pytest.mark.parametrize("indices, batch", GATHER_ND, ids=str)
def test_gather_nd(indices, batch):
    inputs = [X, np.array(indices)]
    check_node("GatherND", inputs, {"batch_dims": batch}, opset=13, infer=batch == 0)


def test_gather_nd_11():
    check_node("GatherND", [X, np.array([[0, 1]])], opset=11)


# ---- Scatter -------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("op, opset", [("Scatter", 9), ("ScatterElements", 11)])
def test_scatter_elements(axis, op, opset):
    indices = np.array([[1, 0, -1]]) if axis else np.array([[1, 0, 2]])
    inputs = [rand(3, 3), indices, rand(1, 3, seed=1)]
    expected = inputs[0].copy()
    np.put_along_axis(expected[:1] if axis else expected, indices, inputs[2], axis)
    check_node(op, inputs, {"axis": axis}, opset=opset, expected=[expected])


def test_scatter_needs_an_update_for_each_index():
    """JAX would broadcast what is missing."""
    data, indices, updates = rand(3, 3), np.array([[0, 2], [1, 1]]), rand(2, 1)
    message = "updates do not have the shape that indices ask for"
    compile_fails("ScatterElements", [data, indices, updates], message=message)
    compile_fails("ScatterND", [data, indices[:1], rand(3)], message=message)
    bad = [data, indices[0], rand(2)]
    compile_fails("ScatterElements", bad, message="indices have rank 1, data has 2")
    with pytest.raises(ValueError, match="updates"):
        scatter_elements(data, indices, updates)


REDUCTIONS = ["none", "add", "mul", "max", "min"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_scatter_elements_reductions(reduction):
    indices = np.array([[1, 1, 0]]) if reduction != "none" else np.array([[1, 2, 0]])
    inputs = [rand(3, 3), indices, rand(1, 3, seed=1)]
    attrs = {"axis": 1, "reduction": reduction}
    check_node("ScatterElements", inputs, attrs, opset=18)


SCATTER_ND = [
    ([[0, 1], [1, 2]], (2, 4)),
    ([[1]], (1, 3, 4)),
    ([[0, 1, 2], [1, 0, -1]], (2,)),
    ([[[0, 0]], [[1, 2]]], (2, 1, 4)),
]


@pytest.mark.parametrize("indices, shape", SCATTER_ND, ids=str)
@pytest.mark.parametrize("opset", [11, 16])
def test_scatter_nd(indices, shape, opset):
    inputs = [X, np.array(indices), rand(*shape, seed=1)]
    check_node("ScatterND", inputs, opset=opset)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_scatter_nd_reductions(reduction):
    indices = np.array([[0], [0]]) if reduction != "none" else np.array([[1], [0]])
    inputs = [X, indices, rand(2, 3, 4, seed=1)]
    check_node("ScatterND", inputs, {"reduction": reduction}, opset=18)


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [1, -2])
def test_tensor_scatter(mode, axis):
    shapes = ((2, 6, 3), (2, 2, 3)) if axis == 1 else ((2, 3, 6, 2), (2, 3, 2, 2))
    start = ints(1, 5) if mode == "circular" else ints(1, 4)
    inputs = [rand(*shapes[0]), rand(*shapes[1], seed=1), start]
    check_node("TensorScatter", inputs, {"mode": mode, "axis": axis}, opset=24)


def test_tensor_scatter_from_the_front():
    inputs = [rand(2, 6, 3), rand(2, 4, 3, seed=1)]
    check_node("TensorScatter", inputs, opset=24)


# ---- by data -------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("known", [True, False])
def test_compress(axis, known):
    condition = np.array([True, False, True, False, True][: 5 if axis is None else 2])
    attrs = {} if axis is None else {"axis": axis}
    source = check_node(
        "Compress",
        [X, condition],
        attrs,
        opset=11,
        constant=["condition"] if known else [],
        infer=known,
    )
    assert ("@jax.jit" in source) == known


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_non_zero(shape):
    x = np.asarray(rand(*shape) > 0).astype(np.float32)
    expected = [np.array(np.nonzero(x), np.int64)] if shape else None
    if expected is None:
        expected = [np.zeros((0, int(x != 0)), np.int64)]
    check_node("NonZero", [x], expected=expected, infer=False)


UNIQUES = [
    (ints(3, 1, 1, 5, 3), {}),
    (ints(3, 1, 1, 5, 3), {"sorted": 0}),
    (np.array([[1, 0, 0], [1, 0, 0], [2, 3, 4]], np.float32), {"axis": 0}),
    (np.array([[2, 1, 2], [0, 1, 0]], np.float32), {"axis": -1}),
    (np.array([[2, 1], [1, 2]], np.float32), {}),
]


@pytest.mark.parametrize("x, attrs", UNIQUES, ids=str)
def test_unique(x, attrs):
    check_node("Unique", [x], attrs, opset=11, outputs=4, infer=False)


def test_unique_alone():
    check_node("Unique", [ints(3, 1, 1, 5, 3)], opset=11, infer=False)


@pytest.mark.parametrize("size", [3, 1500])
def test_all_rows_in_their_order_are_the_table(size):
    """Positions of a fixed length; long lists of them are known by where they begin."""
    rows = numpy_helper.from_array(np.arange(size), "rows")
    node = helper.make_node("Gather", ["x", "rows"], ["y"])
    x, y = (helper.make_tensor_value_info(n, 1, [size, 2]) for n in "xy")
    graph = helper.make_graph([node], "g", [x], [y], [rows])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    value = np.arange(2 * size, dtype=np.float32).reshape(size, 2)
    assert "\n    return x\n" in check_model(model, [value], [value])


@pytest.mark.parametrize("rows", ["float {1}", "float[3] {0, 1, 2}"])
def test_rows_that_are_no_integers(rows):
    """No file that ONNX allows; the compiler looks at types before values."""
    body = f"i = Constant<value = {rows}>() y = Gather(x, i)"
    text = f"g (float[3,2] x) => (y) {{ {body} }}"
    assert "def forward" in compile_text(text)
