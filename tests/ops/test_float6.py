"""Floats of 6 bits: Cast rounds to them; JAX has no arrays of them at the borders."""

import ml_dtypes
import numpy as np
import pytest
from harness import CompileError, check_model, compile_model
from onnx import TensorProto, helper, numpy_helper

TYPES = [
    (TensorProto.FLOAT6E2M3, ml_dtypes.float6_e2m3fn),
    (TensorProto.FLOAT6E3M2, ml_dtypes.float6_e3m2fn),
]


def model_of(nodes, x_type, y_type, initializers=()):
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", x_type, [9])],
        [helper.make_tensor_value_info("y", y_type, [9])],
        initializers,
    )
    opset = helper.make_opsetid("", 28)
    return helper.make_model(graph, opset_imports=[opset], ir_version=13)


def cast(x, y, to):
    return helper.make_node("Cast", [x], [y], to=to)


@pytest.mark.parametrize("number, dtype", TYPES)
@pytest.mark.parametrize("source", [np.float32, np.float16, np.int32])
def test_cast_there_and_back(number, dtype, source):
    x = np.array([0, 1, -1, 2.1, 3.33, 0.07, -6.8, 100, -100]).astype(source)
    nodes = [cast("x", "s", number), cast("s", "y", TensorProto.FLOAT)]
    model = model_of(nodes, helper.np_dtype_to_tensor_dtype(x.dtype), TensorProto.FLOAT)
    expected = x.astype(np.float32).astype(dtype).astype(np.float32)
    check_model(model, [x], [expected], rtol=0, atol=0)


@pytest.mark.parametrize("number, dtype", TYPES)
def test_refused_at_the_interface(number, dtype, tmp_path):
    name = np.dtype(dtype).name
    for x_type, y_type in ((number, TensorProto.FLOAT), (TensorProto.FLOAT, number)):
        model = model_of([cast("x", "y", y_type)], x_type, y_type)
        with pytest.raises(CompileError, match=f"JAX has no {name} arrays"):
            compile_model(model, tmp_path)


@pytest.mark.parametrize("number, dtype", TYPES)
def test_initializers_are_refused(number, dtype, tmp_path):
    w = numpy_helper.from_array(np.ones(9, dtype), "w")
    nodes = [
        cast("w", "f", TensorProto.FLOAT),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    model = model_of(nodes, TensorProto.FLOAT, TensorProto.FLOAT, [w])
    with pytest.raises(CompileError, match='"w" of type float6'):
        compile_model(model, tmp_path)
