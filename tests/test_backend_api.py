"""oxide_xla.backend: what onnx.backend.base asks for."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import oxide_xla
from oxide_xla import backend

X = np.arange(-3, 3, dtype=np.float32).reshape(2, 3)


def model_of(*nodes, inputs=("x",), outputs=("y",), initializers=(), opset=22):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in inputs],
        [onnx.ValueInfoProto(name=n) for n in outputs],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def test_prepare_and_run():
    weight = numpy_helper.from_array(np.full((3,), 2, np.float32), "w")
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    rep = backend.prepare(model_of(node, initializers=[weight]))
    assert isinstance(rep, onnx.backend.base.BackendRep)
    for x in (X, X + 1):
        (y,) = rep.run([x])
        assert isinstance(y, np.ndarray)
        np.testing.assert_array_equal(y, 2 * x)


def test_run_model_returns_outputs_in_order():
    nodes = [helper.make_node(op, ["x"], [op]) for op in ("Neg", "Abs")]
    neg, absolute = backend.run_model(model_of(*nodes, outputs=["Neg", "Abs"]), [X])
    np.testing.assert_array_equal(neg, -X)
    np.testing.assert_array_equal(absolute, abs(X))


def test_sequences_are_lists_of_arrays():
    node = helper.make_node("SplitToSequence", ["x"], ["y"], axis=1)
    (parts,) = backend.run_model(model_of(node), [X])
    assert isinstance(parts, list)
    assert [part.shape for part in parts] == [(2, 1)] * 3


def test_run_node():
    node = helper.make_node("Clip", ["x", "", "max"], ["y"])
    (y,) = backend.run_node(node, [X, np.float32(1)])
    np.testing.assert_array_equal(y, np.minimum(X, 1))


def test_run_node_of_an_older_version():
    node = helper.make_node("Clip", ["x"], ["y"], min=0.0)
    (y,) = backend.run_node(node, [X], opset_version=6)
    np.testing.assert_array_equal(y, np.maximum(X, 0))


def test_run_node_needs_its_inputs():
    node = helper.make_node("Add", ["a", "b"], ["y"])
    with pytest.raises(ValueError, match="1 inputs"):
        backend.run_node(node, [X])


def test_random_models_draw_from_the_key():
    import jax

    rep = backend.prepare(model_of(helper.make_node("RandomNormalLike", ["x"], ["y"])))
    assert rep.is_random
    first, again = rep.run([X])[0], rep.run([X])[0]
    other = rep.run([X], key=jax.random.key(1))[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_cannot_be_compiled():
    model = model_of(helper.make_node("ImageDecoder", ["x"], ["y"]))
    assert not backend.is_compatible(model)
    with pytest.raises(oxide_xla.OxideError, match="ImageDecoder"):
        backend.prepare(model)
    assert backend.is_compatible(model_of(helper.make_node("Relu", ["x"], ["y"])))


def test_devices():
    assert backend.supports_device("CPU") and backend.supports_device("CPU:0")
    assert not backend.supports_device("ABACUS")
    assert not backend.supports_device("CPU:x")
    with pytest.raises(ValueError, match="ABACUS"):
        backend.run_node(helper.make_node("Abs", ["x"], ["y"]), [X], "ABACUS")


def test_options_go_to_the_compiler():
    model = model_of(helper.make_node("Neg", ["x"], ["h"]), outputs=["h"])
    rep = backend.prepare(model, shapes={"x": (4, 3)})
    assert "float32[4,3]" in rep.source
    with pytest.raises(TypeError, match="colour"):
        backend.prepare(model, colour="red")
