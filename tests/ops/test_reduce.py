"""Reductions, ArgMax, ArgMin and TopK at every version of the operators."""

import ml_dtypes
import numpy as np
import ort
import pytest
from graphs import check_text
from harness import check_node

F32, BF16 = np.float32, ml_dtypes.bfloat16


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(F32)


def log_sum_exp(x, **over):
    return np.log(np.sum(np.exp(x), **over))


REDUCE = {
    "ReduceSum": np.sum,
    "ReduceProd": np.prod,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceMean": np.mean,
    "ReduceL1": lambda x, **over: np.sum(np.abs(x), **over),
    "ReduceL2": lambda x, **over: np.sqrt(np.sum(np.square(x), **over)),
    "ReduceSumSquare": lambda x, **over: np.sum(np.square(x), **over),
    "ReduceLogSum": lambda x, **over: np.log(np.sum(x, **over)),
    "ReduceLogSumExp": log_sum_exp,
}
AXES = [None, (1,), (-1,), (0, 2), (0, 1, 2)]


def reduced(op, x, axes, keepdims=True):
    """In double precision, rounded toward zero for integers."""
    axis = None if axes is None else tuple(axes)
    y = np.asarray(REDUCE[op](x.astype(np.float64), axis=axis, keepdims=keepdims))
    return np.trunc(y).astype(x.dtype) if x.dtype.kind in "iu" else y.astype(x.dtype)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("op", REDUCE)
def test_axes_as_an_attribute(op, axes, keepdims):
    x = np.abs(rand(2, 3, 4)) + F32(0.1)
    attrs = {"keepdims": keepdims} | ({} if axes is None else {"axes": list(axes)})
    expected = [reduced(op, x, axes, bool(keepdims))]
    options = {"opset": 11, "expected": expected, "rtol": 1e-5}
    check_node(op, [x], attrs, dynamic="unique", **options)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("op", REDUCE)
def test_axes_as_an_input(op, axes):
    x = np.abs(rand(2, 3, 4)) + F32(0.1)
    inputs = [x] if axes is None else [x, np.array(axes)]
    options = {"constant": ["axes"], "rtol": 1e-5}
    check_node(op, inputs, expected=[reduced(op, x, axes)], **options)


@pytest.mark.parametrize("op", REDUCE)
def test_no_axes_may_mean_none(op):
    x = np.abs(rand(2, 3)) + F32(0.1)
    attrs = {"noop_with_empty_axes": 1}
    check_node(op, [x], attrs, expected=[reduced(op, x, ())], rtol=1e-5)
    inputs = [x, np.array([], np.int64)]
    options = {"constant": ["axes"], "rtol": 1e-5}
    check_node(op, inputs, attrs, expected=[reduced(op, x, ())], **options)
    check_node(op, inputs, expected=[reduced(op, x, None)], **options)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceL2"])
def test_axes_at_run_time(op):
    x = np.abs(rand(2, 3, 4))
    inputs = [x, np.array([0, -1])]
    options = {"dynamic": False, "infer": False, "rtol": 1e-5}
    check_node(op, inputs, expected=[reduced(op, x, (0, 2))], **options)
    attrs = {"keepdims": 0}
    check_node(op, inputs, attrs, expected=[reduced(op, x, (0, 2), False)], **options)


def test_no_axes_at_run_time():
    x = rand(2, 3)
    inputs = [x, np.array([], np.int64)]
    check_node("ReduceSum", inputs, expected=[reduced("ReduceSum", x, None)])
    attrs = {"noop_with_empty_axes": 1}
    check_node("ReduceSum", inputs, attrs, expected=[x])


TYPES = [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.float16, BF16, np.float64]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("op", REDUCE)
def test_the_type_is_kept(op, dtype):
    signed = np.issubdtype(dtype, np.signedinteger)
    x = np.array([[1, 2, 3], [2, 0, 2]]) - (2 if signed and "Log" not in op else 0)
    x = x.astype(dtype)
    options = {"constant": ["axes"], "rtol": 2e-2 if dtype == BF16 else 2e-3}
    expected = [reduced(op, x, (1,))]
    check_node(op, [x, np.array([1])], expected=expected, **options)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_extremes_of_bool(op):
    x = rand(2, 3) > 0
    check_node(op, [x, np.array([1])], opset=20, constant=["axes"])


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_extremes_propagate_nan(op):
    x = np.array([[1, np.nan], [2, 3]], F32)
    check_node(op, [x, np.array([1])], constant=["axes"])


EMPTY = {
    "ReduceSum": 0,
    "ReduceProd": 1,
    "ReduceMax": -np.inf,
    "ReduceMin": np.inf,
    "ReduceL1": 0,
    "ReduceL2": 0,
    "ReduceSumSquare": 0,
    "ReduceLogSum": -np.inf,
    "ReduceLogSumExp": -np.inf,
}


@pytest.mark.parametrize("op", EMPTY)
def test_over_no_elements(op):
    x, expected = np.zeros((2, 0, 3), F32), [np.full((2, 1, 3), EMPTY[op], F32)]
    options = {"expected": expected, "constant": ["axes"], "dynamic": False}
    check_node(op, [x, np.array([1])], **options)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceMax"])
def test_of_a_scalar(op):
    x = np.array(3, F32)
    check_node(op, [x], expected=[x])


def test_without_ranks():
    x, options = rand(2, 3, 4), {"dynamic": "unranked", "constant": ["axes", "K"]}
    check_node("ReduceSum", [x, np.array([1])], **options)
    check_node("ReduceMean", [x], {"keepdims": 0}, **options)
    check_node("ArgMax", [x], {"axis": 1}, **options)
    check_node("TopK", [x, np.array([2])], {"axis": 1}, outputs=2, **options)


def test_code_is_short():
    x = rand(2, 3)
    axis = {"constant": ["axes"], "dynamic": False}
    attrs = {"keepdims": 0}

    def code(op, *axes, **options):
        inputs = [x, np.array(axes)] if axes else [x]
        return check_node(op, inputs, attrs, **axis, **options)

    assert "return jnp.sum(data)" in code("ReduceSum")
    assert "return jnp.mean(data, axis=-1)" in code("ReduceMean", -1)
    assert "return jnp.linalg.norm(data, axis=1)" in code("ReduceL2", 1)
    assert "return jnp.max(data)" in code("ReduceMax", 0, 1)


@pytest.mark.parametrize(
    ("shape", "axes", "over_space"),
    [
        ((2, 3, 4, 5), (2, 3), True),
        ((2, 3, 4, 5), (-1, -2), True),
        ((2, 3, 4, 5, 2), (2, 4, 3), True),
        ((2, 3, 4, 5), (1, 2, 3), False),
        ((2, 3, 4, 5), (1, 2), False),
        ((2, 3, 4, 5), (3,), False),
        ((2, 3, 4), (2,), False),
    ],
)
@pytest.mark.parametrize("keepdims", [0, 1])
def test_mean_over_space(shape, axes, over_space, keepdims):
    x = rand(*shape)
    attrs = {"keepdims": keepdims}
    expected = [reduced("ReduceMean", x, axes, bool(keepdims))]
    options = {"constant": ["axes"], "rtol": 1e-5, "dynamic": "unique"}
    code = check_node(
        "ReduceMean", [x, np.array(axes)], attrs, expected=expected, **options
    )
    assert ("return global_mean(" in code) == over_space


def test_mean_of_integers_over_space():
    x = np.arange(-60, 60, dtype=np.int32).reshape(2, 3, 4, 5)
    inputs, constant = [x, np.array([2, 3])], ["axes"]
    expected = [reduced("ReduceMean", x, (2, 3))]
    code = check_node("ReduceMean", inputs, expected=expected, constant=constant)
    assert "global_mean" not in code


# ---- ArgMax, ArgMin ----------------------------------------------------------------

TIES = np.array([[1, 3, 3, 2], [4, 4, 0, 4]], F32)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_arg(op, axis, keepdims, last):
    attrs = {"axis": axis, "keepdims": keepdims, "select_last_index": last}
    check_node(op, [TIES], attrs, dynamic="unique")
    if not last:
        attrs = {"axis": axis, "keepdims": keepdims}
        check_node(op, [TIES], attrs, opset=11)


# ---- TopK --------------------------------------------------------------------------


def topk(x, k, axis=-1, largest=True):
    order = np.argsort(-x if largest else x, axis, kind="stable")
    indices = np.take(order, range(k), axis)
    return [np.take_along_axis(x, indices, axis), indices]


@pytest.mark.parametrize("opset", [1, 10])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_topk_at_old_opsets(axis, opset):
    x = rand(3, 4)
    inputs, attrs = [x, np.array([2])], {"axis": axis}
    if opset == 1:
        inputs, attrs = [x], {"axis": axis, "k": 2}
    options = {"outputs": 2, "constant": ["K"] if opset > 1 else []}
    expected = topk(x, 2, axis)
    check_node("TopK", inputs, attrs, opset=opset, expected=expected, **options)


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.int64])
def test_topk(axis, largest, dtype):
    x = np.random.default_rng(0).permutation(12).reshape(3, 4).astype(dtype) - dtype(6)
    attrs = {"axis": axis, "largest": largest}
    options = {"outputs": 2, "constant": ["K"], "expected": topk(x, 2, axis, largest)}
    check_node("TopK", [x, np.array([2])], attrs, **options)


@pytest.mark.parametrize("k", [2, 7])
def test_topk_of_nan(k):
    """NaN is the largest of all, and equals come in their order."""
    x = np.array([3, np.nan, 0, -np.inf, -0.0, np.inf, -np.nan], np.float32)
    inputs = [x, np.array([k])]
    ort.check("TopK", inputs, {"largest": 0}, outputs=2, opset=11, constant=["K"])


def test_topk_of_unsigned():
    x = np.array([3, 0, 255, 7], np.uint8)
    expected = [np.array([0, 3], np.uint8), np.array([1, 0])]
    options = {"outputs": 2, "constant": ["K"], "expected": expected}
    check_node("TopK", [x, np.array([2])], {"largest": 0}, **options)


def test_topk_takes_the_first_of_equals():
    options = {"outputs": 2, "constant": ["K"], "expected": topk(TIES, 3)}
    check_node("TopK", [TIES, np.array([3])], **options)


def test_topk_of_one_output():
    x = rand(3, 4)
    values, indices = topk(x, 2)
    inputs, options = [x, np.array([2])], {"constant": ["K"]}
    contains = "jax.lax.top_k(X, 2)[0]"
    options |= {"expected": [values], "contains": contains}
    check_node("TopK", inputs, outputs=["values", ""], **options)
    options |= {"expected": [indices], "contains": "[1].astype(int)"}
    check_node("TopK", inputs, outputs=["", "indices"], **options)


def test_topk_with_k_at_run_time():
    x = rand(3, 4)
    options = {"outputs": 2, "expected": topk(x, 2), "infer": False, "dynamic": False}
    check_node("TopK", [x, np.array([2])], **options)


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceMax"])
def test_axes_that_are_kept_in_vain(op):
    """What a reshape drops behind a reduction that kept it."""
    text = f"""g (float[n, 3, 4, 4] x) => (float[n, 3] y) {{
      axes = Constant<value = int64[2] {{2, 3}}> ()
      shape = Constant<value = int64[2] {{0, 3}}> ()
      kept = {op}(x, axes) y = Reshape(kept, shape)
    }}"""
    check_text(
        text, [rand(2, 3, 4, 4)], names={"n": 2}, lacks=["keepdims=True", "reshape("]
    )


@pytest.mark.parametrize(
    ("shape", "more"),
    [
        ("{0, 3, 1}", ""),  # not all of the axes
        ("{0, 3}", " z = Relu(kept)"),  # another reader
    ],
)
def test_axes_that_are_kept(shape, more):
    rank = shape.count(",") + 1
    out = ", float[n, 3, 1, 1] z" if more else ""
    text = f"""g (float[n, 3, 4, 4] x) => (float[{", ".join("n31"[:rank])}] y{out}) {{
      axes = Constant<value = int64[2] {{2, 3}}> ()
      shape = Constant<value = int64[{rank}] {shape}> ()
      kept = ReduceSum(x, axes) y = Reshape(kept, shape){more}
    }}"""
    check_text(text, [rand(2, 3, 4, 4)], names={"n": 2}, contains=["keepdims=True"])
