"""Sparse tensors, as initializers and in Constant, become dense arrays."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from harness import CompileError, compile_model, load_module, run_module
from onnx import TensorProto, helper

DENSE = np.zeros((2, 3), np.float32)
DENSE[0, 1], DENSE[1, 2] = 1.5, -2


def sparse(values, indices, dims, dtype=TensorProto.FLOAT, name="w"):
    values = helper.make_tensor(name, dtype, [len(values)], values)
    indices = np.array(indices, np.int64)
    indices = helper.make_tensor("", TensorProto.INT64, indices.shape, indices.ravel())
    return helper.make_sparse_tensor(values, indices, dims)


def model_of(tensor):
    """y = x + w, where w is a sparse initializer."""
    dims = list(tensor.dims)
    info = [
        helper.make_tensor_value_info(n, tensor.values.data_type, dims) for n in "xy"
    ]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node], "g", info[:1], info[1:], sparse_initializer=[tensor]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def run(model, folder, *inputs):
    return run_module(load_module(compile_model(model, folder)), inputs)


@pytest.mark.parametrize("indices", [[1, 5], [[0, 1], [1, 2]]], ids=["flat", "pairs"])
def test_initializer(indices, tmp_path):
    model = model_of(sparse([1.5, -2], indices, [2, 3]))
    (y,) = run(model, tmp_path, np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(y, DENSE + 1)


def test_initializer_is_a_parameter(tmp_path):
    module = load_module(
        compile_model(model_of(sparse([1.5, -2], [1, 5], [2, 3])), tmp_path)
    )
    np.testing.assert_array_equal(module.load_params()["w"], DENSE)


def test_no_values(tmp_path):
    (y,) = run(model_of(sparse([], [], [2, 3])), tmp_path, np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(y, np.ones((2, 3)))


@pytest.mark.parametrize(
    "dtype, numpy_dtype",
    [
        (TensorProto.DOUBLE, np.float64),
        (TensorProto.INT8, np.int8),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        (TensorProto.INT4, ml_dtypes.int4),
        (TensorProto.UINT2, ml_dtypes.uint2),
    ],
)
def test_constant(dtype, numpy_dtype, tmp_path):
    tensor = sparse([1, 0, 1], [0, 2, 5], [2, 3], dtype)
    node = helper.make_node("Constant", [], ["y"], sparse_value=tensor)
    y = helper.make_tensor_value_info("y", dtype, [2, 3])
    graph = helper.make_graph([node], "g", [], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)])
    (got,) = run(model, tmp_path)
    expected = np.array([[1, 0, 0], [0, 0, 1]]).astype(numpy_dtype)
    np.testing.assert_array_equal(np.asarray(got).astype(float), expected.astype(float))


MALFORMED = [
    (sparse([1, 2], [1, 6], [2, 3]), "out of range"),
    (sparse([1, 2], [-1, 2], [2, 3]), "out of range"),
    (sparse([1, 2], [[0, 1], [1, 3]], [2, 3]), "out of range"),
    (sparse([1, 2], [2, 2], [2, 3]), "ascending"),
    (sparse([1, 2], [[1, 0], [0, 1]], [2, 3]), "ascending"),
    (sparse([1, 2], [1], [2, 3]), "do not match"),
    (sparse([1, 2], [[1], [2]], [2, 3]), "do not match"),
    (sparse([1, 2], [1, 2], [1 << 20, 1 << 20]), "too large"),
    (sparse([1, 2], [1, 2], [1 << 40, 1 << 40]), "64 bits"),
]


@pytest.mark.parametrize("tensor, message", MALFORMED)
def test_malformed(tensor, message, tmp_path):
    with pytest.raises(CompileError, match=message):
        compile_model(model_of(tensor), tmp_path)


def test_the_model_is_what_onnx_accepts():
    onnx.checker.check_model(model_of(sparse([1.5, -2], [1, 5], [2, 3])))
