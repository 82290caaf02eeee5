"""Operators that the bridge writes in a domain of ours: as they are compiled, and as
the function beside them says for other runtimes."""

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from harness import PROGRAM
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import fx_operators
import oxide_xla
import row_coverage


def grouped_model(rows="rows", offset_type=TensorProto.INT32):
    """GroupedMatMul of (rows, 3) by (4, 3, 2), with its function."""
    node = helper.make_node(
        "GroupedMatMul", ["x", "w", "offsets"], ["y"], domain="oxide_xla"
    )
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "grouped",
        [
            value("x", TensorProto.FLOAT, [rows, 3]),
            value("w", TensorProto.FLOAT, [4, 3, 2]),
            value("offsets", offset_type, [4]),
        ],
        [value("y", TensorProto.FLOAT, [rows, 2])],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    fx_operators.add_functions(model)
    return model


def inputs(offsets, dtype=np.int32):
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 3)).astype(np.float32)
    w = random.normal(size=(4, 3, 2)).astype(np.float32)
    return {"x": x, "w": w, "offsets": np.array(offsets, dtype)}


def by_loops(x, w, offsets):
    y, start = np.zeros((len(x), w.shape[2]), np.float32), 0
    for matrix, end in zip(w, offsets):
        y[start:end] = x[start:end] @ matrix
        start = end
    return y


OFFSETS = [[1, 3, 4, 6], [0, 6, 6, 6], [2, 2, 2, 5], [0, 0, 0, 0]]


@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize(
    ("onnx_type", "dtype"),
    [(TensorProto.INT32, np.int32), (TensorProto.INT64, np.int64)],
)
def test_grouped_matmul(offsets, onnx_type, dtype):
    model, feeds = grouped_model(offset_type=onnx_type), inputs(offsets, dtype)
    wanted = by_loops(**feeds)
    compiled = oxide_xla.compile(model)
    with jax.numpy_dtype_promotion("strict"):
        y = compiled.forward({}, *map(jnp.asarray, feeds.values()))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, wanted, atol=1e-6)
    (reference,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_allclose(reference, wanted, atol=1e-6)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    np.testing.assert_allclose(session.run(None, feeds)[0], wanted, atol=1e-6)
    row_coverage.note(model, PROGRAM)


def test_gradients_of_grouped_matmul():
    feeds = inputs([1, 3, 3, 5])
    forward = oxide_xla.compile(grouped_model()).forward
    own = jax.grad(lambda x, w: forward({}, x, w, feeds["offsets"]).sum(), (0, 1))
    gx, gw = own(jnp.asarray(feeds["x"]), jnp.asarray(feeds["w"]))
    group = np.array([0, 1, 1, 3, 3])
    np.testing.assert_allclose(gx[:5], feeds["w"].sum(2)[group], atol=1e-6)
    np.testing.assert_array_equal(gx[5], 0)
    wanted = np.stack([feeds["x"][:5][group == i].sum(0) for i in range(4)])
    np.testing.assert_allclose(gw, np.repeat(wanted[..., None], 2, -1), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape"), [("x", [6, 4]), ("w", [5, 3, 2]), ("offsets", [4, 1])]
)
def test_wrong_shapes_are_refused(name, shape):
    model = grouped_model()
    (value,) = (v for v in model.graph.input if v.name == name)
    kind = value.type.tensor_type.elem_type
    value.CopyFrom(helper.make_tensor_value_info(name, kind, shape))
    with pytest.raises(oxide_xla.OxideError, match="OX0401"):
        oxide_xla.compile(model)


def test_a_function_of_our_domain_is_no_operator_of_ours():
    """A newer bridge may write what this version does not know."""
    model = grouped_model()
    model.graph.node[0].op_type = model.functions[0].name = "Unheard"
    with pytest.raises(oxide_xla.OxideError, match="OX0301"):
        oxide_xla.compile(model)
