"""QOrdered*, which onnxruntime has for CUDA only, against numpy; DynamicTimeWarping."""

import functools
import math
import tempfile

import jax
import numpy as np
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails, compile_model, load_module, make_model

DOMAIN = "com.microsoft"
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def int8(*shape, seed=0):
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def quantized(y, scale):
    return np.clip(np.rint(y / scale), -128, 127).astype(np.int8)


X_SCALE, Y_SCALE = np.float32(0.0317), np.float32(0.0213)


def check(op, inputs, attrs, y):
    expected = [quantized(y, Y_SCALE)]
    check_node(op, inputs, attrs, domain=DOMAIN, expected=expected, x64=False)


@pytest.mark.parametrize("attrs", [{}, {"order_X": 1, "order_Y": 1}])
def test_gelu(attrs):
    x = int8(2, 3, 8)
    y = F.gelu(torch.from_numpy(x.astype(np.float32) * X_SCALE)).numpy()
    check("QOrderedGelu", [x, X_SCALE, Y_SCALE], attrs, y)
    wrong = {"order_X": 1, "order_Y": 2}
    fails("QOrderedGelu", [x, X_SCALE, Y_SCALE], wrong, message="orders of tiles")


@pytest.mark.parametrize("bias", [False, True])
def test_layer_norm(bias):
    x, scale, shift = int8(2, 3, 8), rand(8, seed=1), rand(8, seed=2)
    wide = x.astype(np.float32) * X_SCALE
    y = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(
        wide.var(-1, keepdims=True) + 1e-3
    )
    y = y * scale + (shift if bias else 0)
    inputs = [x, X_SCALE, scale, shift if bias else None, Y_SCALE]
    check("QOrderedLayerNormalization", inputs, {"epsilon": 1e-3}, y)
    message = "orders of tiles"
    fails("QOrderedLayerNormalization", inputs, {"order_X": 2}, message=message)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("more", [0, 1, 3])
def test_matmul(order, columns, more):
    """With order 0 the columns of B stand one after the other in its memory."""
    a, b = int8(2, 3, 8), int8(8, 6, seed=1)
    b_scale = np.abs(rand(6, seed=2)) * 0.01 if columns else np.float32(0.004)
    y = a.astype(np.float32) * X_SCALE @ (b * b_scale)
    memory = b if order else np.ascontiguousarray(b.T).reshape(8, 6)
    inputs = [a, X_SCALE, memory, b_scale, Y_SCALE]
    extra = [rand(6, seed=3), int8(2, 3, 6, seed=4), np.float32(0.011)][:more]
    y = y + (extra[0] if more else 0)
    y = y + (extra[1].astype(np.float32) * extra[2] if more > 1 else 0)
    attrs = {"order_A": 1, "order_B": order, "order_Y": 1}
    check("QOrderedMatMul", inputs + extra, attrs, y)
    fails("QOrderedMatMul", inputs, attrs | {"order_B": 3}, message="orders of tiles")


# ---- DynamicTimeWarping --------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 7), (9, 5), (1, 6, 3), (1, 1)])
def test_warping(shape):
    """Integers, so that many ways cost the same."""
    costs = np.random.default_rng(0).integers(-3, 3, shape).astype(np.float32)
    options = {"domain": DOMAIN, "dynamic": False, "infer": False}
    ort.check("DynamicTimeWarping", [costs], **options)


def test_warping_bound():
    costs = rand(4, 7)
    model = make_model("DynamicTimeWarping", {"x": costs}, opset=1, domain=DOMAIN)
    model.graph.output[0].type.tensor_type.elem_type = 6
    expected = ort.run(model, {"x": costs})[0]
    with tempfile.TemporaryDirectory() as folder:
        path = compile_model(model, folder, "--bound", "out_0=12")
        module = load_module(path)
        actual = np.asarray(jax.jit(module.forward)({}, costs))
    count = expected.shape[1]
    assert actual.shape == (2, 12) and math.prod(expected.shape) < actual.size
    np.testing.assert_array_equal(actual[:, :count], expected)
    assert (actual[:, count:] == -1).all()
