"""Normalizations of com.microsoft against onnxruntime, and torch where it has no CPU
kernel."""

import functools

import numpy as np
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails

DOMAIN = "com.microsoft"
check = functools.partial(ort.check, domain=DOMAIN)
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("attrs", [{}, {"axis": 1, "epsilon": 1e-3}, {"axis": -2}])
def test_simplified_layer_norm(outputs, attrs):
    """onnxruntime knows it in ONNX's own domain, too."""
    axis = attrs.get("axis", -1)
    x = rand(2, 3, 4)
    inputs = [x, rand(*x.shape[axis:], seed=1)]
    name = "SimplifiedLayerNormalization"
    ort.check(name, inputs, attrs, opset=17, outputs=outputs)


def test_simplified_layer_norm_in_the_domain():
    """The same code; onnxruntime's own is registered in ONNX's domain only."""
    inputs = [rand(2, 3, 4), rand(4, seed=1)]
    name = "SimplifiedLayerNormalization"
    scale = 1 / np.sqrt(np.mean(inputs[0] ** 2, -1, keepdims=True) + 1e-5)
    expected = [inputs[0] * scale * inputs[1], scale]
    options = {"expected": expected, "outputs": 2, "rtol": 1e-5, "x64": False}
    check_node(name, inputs, domain=DOMAIN, **options)


SUM = ["output", "", "", "sum"]


@pytest.mark.parametrize("outputs", [1, SUM])
@pytest.mark.parametrize("beta", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("skip", [(2, 3, 8), (1, 3, 8), (3, 8)])
def test_skip_layer_norm(outputs, beta, bias, skip):
    inputs = [rand(2, 3, 8), rand(*skip, seed=1), rand(8, seed=2)]
    inputs += [rand(8, seed=3) if beta else None, rand(8, seed=4) if bias else None]
    check("SkipLayerNormalization", inputs, {"epsilon": 1e-3}, outputs=outputs)


@pytest.mark.parametrize("outputs", [1, SUM])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 8), (6, 8)])
def test_skip_simplified_layer_norm(outputs, bias, shape):
    inputs = [rand(*shape), rand(*shape, seed=1), rand(8, seed=2)]
    inputs += [rand(8, seed=4)] if bias else []
    check("SkipSimplifiedLayerNormalization", inputs, outputs=outputs)


def test_skip_norm_statistics():
    """onnxruntime's CPU kernels leave these outputs unset."""
    x, skip, gamma = rand(2, 3, 8), rand(2, 3, 8, seed=1), rand(8, seed=2)
    z = x + skip
    mean = np.mean(z, -1, keepdims=True)
    scale = 1 / np.sqrt(np.var(z, -1, keepdims=True) + 1e-12)
    expected = [(z - mean) * scale * gamma, mean, scale, z]
    options = {"domain": DOMAIN, "rtol": 1e-5, "atol": 1e-5, "x64": False}
    name = "SkipLayerNormalization"
    check_node(name, [x, skip, gamma], outputs=4, expected=expected, **options)
    scale = 1 / np.sqrt(np.mean(z * z, -1, keepdims=True) + 1e-12)
    expected = [z * scale * gamma, scale, z]
    name = "SkipSimplifiedLayerNormalization"
    outputs = ["output", "", "scale", "sum"]
    check_node(name, [x, skip, gamma], outputs=outputs, expected=expected, **options)
    fails(name, [x, skip, gamma], outputs=2, message="mean")


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("positions", [None, (2, 5), (1, 5)])
def test_embed_layer_norm(segments, mask, positions):
    draw = np.random.default_rng(0).integers
    inputs = [draw(0, 20, (2, 5)).astype(np.int32), None]
    inputs += [rand(20, 8), rand(9, 8, seed=1), None, rand(8, seed=2), rand(8, seed=3)]
    inputs += [draw(0, 2, (2, 5)).astype(np.int32) if mask else None]
    if positions:
        inputs += [draw(0, 9, positions).astype(np.int32)]
    if segments:
        inputs[1] = draw(0, 2, (2, 5)).astype(np.int32)
        inputs[4] = rand(2, 8, seed=4)
    attrs = {"epsilon": 1e-4}
    check("EmbedLayerNormalization", inputs, attrs, outputs=3)


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_quantized_embed_layer_norm(segments, mask, dtype):
    draw = np.random.default_rng(0).integers
    ids = draw(0, 20, (2, 5)).astype(np.int32)
    kinds = [draw(0, 2, (2, 5)).astype(np.int32) if segments else None]
    shapes = [(20, 8), (9, 8), (2, 8) if segments else None, (8,), (8,)]
    tables = [s and draw(0, 100, s).astype(dtype) for s in shapes]
    scales = [s and np.array(0.02 + i / 99, np.float32) for i, s in enumerate(shapes)]
    zeros = [s and np.array(40 + i, dtype) for i, s in enumerate(shapes)]
    known = [draw(0, 2, (2, 5)).astype(np.int32) if mask else None]
    inputs = [ids, *kinds, *tables, *known, *scales, *zeros]
    attrs = {"epsilon": 1e-4}
    check("QEmbedLayerNormalization", inputs, attrs, outputs=2)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_group_norm(last, activation, dtype):
    """onnxruntime has it for CUDA only: torch instead."""
    x, gamma, beta = rand(2, 8, 3, 5), rand(8, seed=1), rand(8, seed=2)
    x = x.astype(dtype).astype(np.float32)
    tensors = [torch.from_numpy(a) for a in (x, gamma, beta)]
    y = F.group_norm(tensors[0], 4, *tensors[1:], eps=1e-3)
    y = (F.silu(y) if activation else y).numpy().astype(dtype)
    x = x.astype(dtype)
    if last:
        x, y = np.moveaxis(x, 1, -1), np.moveaxis(y, 1, -1)
    attrs = {"groups": 4, "activation": activation, "channels_last": last}
    attrs["epsilon"] = 1e-3
    options = {"domain": DOMAIN, "rtol": 1e-2 if dtype == np.float16 else 1e-5}
    options |= {"atol": 1e-2 if dtype == np.float16 else 1e-5, "x64": False}
    check_node("GroupNorm", [x, gamma, beta], attrs, expected=[y], **options)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("shape", ["full", "ones", "flat"])
@pytest.mark.parametrize("bias", [False, True])
def test_skip_group_norm(last, shape, bias):
    """onnxruntime has it for CUDA only: torch instead."""
    x, gamma, beta = rand(2, 8, 3, 5), rand(8, seed=1), rand(8, seed=2)
    skip = rand(2, 8, 3, 5, seed=3) if shape == "full" else rand(2, 8, 1, 1, seed=3)
    b = rand(8, seed=4)
    z = x + skip + (b[:, None, None] if bias else 0)
    y = F.group_norm(
        *map(torch.from_numpy, [z]), 4, *map(torch.from_numpy, [gamma, beta])
    )
    arrays = [x, skip, y.numpy(), z]
    if last:
        arrays = [np.moveaxis(a, 1, -1) for a in arrays]
    x, skip, y, z = arrays
    skip = skip.reshape(2, 8) if shape == "flat" else skip
    inputs = [x, gamma, beta, skip] + ([b] if bias else [])
    attrs = {"groups": 4, "activation": 0, "channels_last": last}
    options = {"domain": DOMAIN, "rtol": 1e-5, "atol": 1e-5, "x64": False}
    expected = {"outputs": 2, "expected": [y, z]}
    check_node("SkipGroupNorm", inputs, attrs, **expected, **options)


def test_errors():
    x, one = rand(2, 3, 4, 6), np.ones(6, np.float32)
    attrs = {"groups": 4, "activation": 0}
    fails("GroupNorm", [x, one, one], attrs, message="do not divide")
    attrs = {"groups": 3, "activation": 2}
    fails("GroupNorm", [x, one, one], attrs, message="neither 0 nor 1")
