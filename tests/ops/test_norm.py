"""Normalizations against onnxruntime, torch and onnx.reference."""

import ml_dtypes
import numpy as np
import ort
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def statistics(channels, seed=1, dtype=np.float32):
    scale, bias, mean, var = (rand(channels, seed=seed + i) for i in range(4))
    return [a.astype(dtype) for a in (scale, bias, mean, np.abs(var) + 0.1)]


# ---- BatchNormalization --------------------------------------------------------------


@pytest.mark.parametrize(
    "opset, shape",
    [(7, (2, 3, 4, 5)), (9, (4, 3)), (14, (4, 3, 5)), (15, (2, 3, 2, 3, 4))],
)
def test_batch_norm(opset, shape):
    inputs = [rand(*shape) * 3 + 2, *statistics(3)]
    ort.check("BatchNormalization", inputs, opset=opset)


def test_batch_norm_code():
    inputs = [rand(2, 3, 4, 5), *statistics(3)]
    ort.check(
        "BatchNormalization",
        inputs,
        opset=15,
        contains="batch_norm(X, scale, B, input_mean, input_var)",
    )
    ort.check(
        "BatchNormalization",
        inputs,
        {"epsilon": 0.001},
        opset=15,
        contains="jax.lax.rsqrt(var + 0.001)",
    )


def batch_norm(x, scale, bias, mean, var, eps=1e-5):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    x, scale, bias, mean, var = (
        a.astype(np.float64) for a in (x, scale, bias, mean, var)
    )
    mean, var, scale, bias = (a.reshape(shape) for a in (mean, var, scale, bias))
    return (x - mean) / np.sqrt(var + eps) * scale + bias


@pytest.mark.parametrize("opset", [1, 6])
def test_batch_norm_before_7(opset):
    inputs = [rand(2, 3, 4, 5), *statistics(3)]
    attrs = {"is_test": 1, "epsilon": 1e-3}
    if opset == 1:
        attrs["consumed_inputs"] = [0, 0, 0, 1, 1]
    expected = [batch_norm(*inputs, eps=1e-3).astype(np.float32)]
    op = "BatchNormalization"
    check_node(op, inputs, attrs, opset=opset, expected=expected, **TOLERANCE)
    compile_fails(op, inputs, {"consumed_inputs": [0]}, opset=1, message="is_test=0")


def test_batch_norm_not_spatial():
    x = rand(2, 3, 4)
    stats = [rand(3, 4, seed=i) for i in range(1, 4)] + [np.abs(rand(3, 4)) + 0.5]
    scale, bias, mean, var = stats
    expected = [(x - mean) / np.sqrt(var + np.float32(1e-5)) * scale + bias]
    op = "BatchNormalization"
    check_node(op, [x, *stats], {"spatial": 0}, opset=7, expected=expected, **TOLERANCE)


def training_outputs(x, scale, bias, mean, var, momentum, count):
    axes = (0, *range(2, x.ndim))
    batch_mean, batch_var = x.mean(axes), x.var(axes)
    outputs = [
        batch_norm(x, scale, bias, batch_mean, batch_var),
        momentum * mean + (1 - momentum) * batch_mean,
        momentum * var + (1 - momentum) * batch_var,
        batch_mean,
        batch_var,
    ]
    return [np.asarray(o, np.float32) for o in outputs[:count]]


@pytest.mark.parametrize("opset, outputs", [(6, 5), (7, 5), (9, 5), (9, 3)])
@pytest.mark.parametrize("momentum", [0.9, 0.75])
def test_batch_norm_training_by_outputs(opset, outputs, momentum):
    inputs = [rand(4, 3, 5) * 3 + 2, *statistics(3)]
    expected = training_outputs(*inputs, momentum, outputs)
    attrs = {"momentum": momentum}
    op = "BatchNormalization"
    check_node(
        op,
        inputs,
        attrs,
        opset=opset,
        outputs=outputs,
        expected=expected,
        **TOLERANCE,
    )


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_batch_norm_training_mode(outputs):
    inputs = [rand(4, 3, 5) * 3 + 2, *statistics(3)]
    expected = training_outputs(*inputs, 0.9, outputs)
    attrs = {"training_mode": 1}
    op = "BatchNormalization"
    check_node(
        op, inputs, attrs, opset=15, outputs=outputs, expected=expected, **TOLERANCE
    )


@pytest.mark.parametrize("stats", [np.float16, np.float32])
def test_batch_norm_of_float16(stats):
    inputs = [rand(2, 3, 8, dtype=np.float16), *statistics(3, dtype=stats)]
    expected = [batch_norm(*inputs).astype(np.float16)]
    check_node(
        "BatchNormalization", inputs, opset=15, expected=expected, rtol=5e-3, atol=5e-3
    )


def test_batch_norm_errors():
    x, (scale, bias, mean, var) = rand(2, 3, 4), statistics(3)
    op = "BatchNormalization"
    compile_fails(op, [x, scale[:2], bias, mean, var], message="input 1 does not fit")
    compile_fails(op, [x, scale, bias, mean, var[None]], message="input 4 does not fit")


# ---- LayerNormalization, RMSNormalization --------------------------------------------


@pytest.mark.parametrize("axis", [-1, -2, 1, 2, 0])
@pytest.mark.parametrize("bias", [False, True])
def test_layer_norm(axis, bias):
    x = rand(2, 3, 4) * 3 + 5
    inputs = [x, rand(*x.shape[axis:], seed=1), rand(*x.shape[axis:], seed=2)]
    attrs = {"axis": axis, "epsilon": 1e-12}
    ort.check("LayerNormalization", inputs[: 2 + bias], attrs, opset=17)


def test_layer_norm_code():
    inputs = [rand(2, 3, 4), rand(4, seed=1), rand(4, seed=2)]
    text = "layer_norm(X, Scale, B)"
    source = ort.check("LayerNormalization", inputs, opset=17, contains=text)
    assert "stats" not in source
    text = "keepdims=True) + 1e-12)"
    attrs = {"epsilon": 1e-12}
    ort.check("LayerNormalization", inputs, attrs, opset=17, contains=text)


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("axis", [-1, 1])
def test_layer_norm_statistics(outputs, axis):
    x = rand(2, 3, 4) * 3 + 5
    inputs = [x, rand(*x.shape[axis:], seed=1)]
    check_node(
        "LayerNormalization",
        inputs,
        {"axis": axis},
        opset=17,
        outputs=outputs,
        **TOLERANCE,
    )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("op", ["LayerNormalization", "RMSNormalization"])
def test_norms_of_small_floats(dtype, op):
    """stash_type 1: statistics in float32, scale and shift in the type of X."""
    x, w = (rand(4, 64) + 20).astype(dtype), rand(64, seed=1, dtype=dtype)
    wide = torch.from_numpy(x.astype(np.float32))
    norm = F.layer_norm if op == "LayerNormalization" else F.rms_norm
    z = norm(wide, (64,), eps=1e-5).numpy().astype(dtype)
    expected = [(z.astype(np.float32) * w.astype(np.float32)).astype(dtype)]
    tolerance = 2e-3 if dtype == np.float16 else 1e-2
    check_node(op, [x, w], opset=23, expected=expected, rtol=tolerance, atol=1e-3)


def test_layer_norm_float64():
    """As accurate as the type, as in onnxruntime."""
    x, w, b = rand(3, 5, dtype=np.float64), *rand(2, 5, dtype=np.float64)
    expected = F.layer_norm(*[torch.from_numpy(a) for a in (x,)], (5,)).numpy() * w + b
    check_node("LayerNormalization", [x, w, b], opset=17, expected=[expected], x64=True)


def test_layer_norm_errors():
    op = "LayerNormalization"
    compile_fails(op, [rand(2, 3), rand(4)], message="does not broadcast")
    compile_fails(op, [rand(2, 3), rand(3)], {"axis": 2}, message="axis 2 is out of")


@pytest.mark.parametrize("axis", [-1, -2, 1, 0])
def test_rms_norm(axis):
    x = rand(2, 3, 4) * 3 + 5
    inputs = [x, rand(*x.shape[axis:], seed=1)]
    attrs = {"axis": axis, "epsilon": 1e-6}
    check_node("RMSNormalization", inputs, attrs, opset=23, **TOLERANCE)


def test_rms_norm_has_the_type_of_scale():
    x, w = rand(2, 4), rand(4, seed=1, dtype=np.float16)
    rms = np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    expected = [(x / rms * w).astype(np.float16)]
    check_node(
        "RMSNormalization", [x, w], opset=23, expected=expected, rtol=2e-3, atol=2e-3
    )


# ---- InstanceNormalization, GroupNormalization ---------------------------------------


@pytest.mark.parametrize(
    "opset, shape", [(6, (2, 3, 5)), (6, (2, 3, 4, 5)), (22, (2, 3, 2, 3, 4))]
)
def test_instance_norm(opset, shape):
    inputs = [rand(*shape) * 3 + 2, rand(3, seed=1), rand(3, seed=2)]
    attrs = {"epsilon": 1e-2}
    check_node("InstanceNormalization", inputs, attrs, opset=opset, **TOLERANCE)


def test_instance_norm_1():
    x, scale, bias = rand(2, 3, 4, 5), rand(3, seed=1), rand(3, seed=2)
    y = F.instance_norm(
        torch.from_numpy(x), None, None, torch.from_numpy(scale), torch.from_numpy(bias)
    )
    check_node(
        "InstanceNormalization",
        [x, scale, bias],
        {"consumed_inputs": [0]},
        opset=1,
        expected=[y.numpy()],
        **TOLERANCE,
    )


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 6, 4, 5)])
def test_group_norm(groups, opset, shape):
    x = rand(*shape) * 3 + 2
    count = groups if opset < 21 else 6
    scale, bias = rand(count, seed=1), rand(count, seed=2)
    affine = [np.repeat(a, 6 // count) for a in (scale, bias)]
    tensors = [torch.from_numpy(a) for a in (x, *affine)]
    expected = F.group_norm(tensors[0], groups, *tensors[1:]).numpy()
    check_node(
        "GroupNormalization",
        [x, scale, bias],
        {"num_groups": groups},
        opset=opset,
        expected=[expected],
        **TOLERANCE,
    )


def test_group_norm_errors():
    op, x = "GroupNormalization", rand(2, 6, 5)
    fails = compile_fails
    fails(op, [x, rand(6), rand(6)], {"num_groups": 4}, message="num_groups 4")
    fails(op, [x, rand(5), rand(6)], {"num_groups": 2}, message="input 1 does not fit")
    fails(op, [x, rand(6), rand(6)], message="num_groups is missing")


# ---- the others ----------------------------------------------------------------------


@pytest.mark.parametrize("size, opset", [(1, 13), (2, 13), (3, 1), (4, 13), (5, 13)])
def test_lrn(size, opset):
    attrs = {"size": size, "alpha": 0.01, "beta": 0.6, "bias": 1.5}
    if size % 2:
        ort.check("LRN", [rand(2, 7, 4, 5)], attrs, opset=opset)
        return
    x, low = rand(2, 7, 4, 5), (size - 1) // 2
    squares = np.zeros_like(x)
    for c in range(7):
        squares[:, c] = (x[:, max(0, c - low) : c + size // 2 + 1] ** 2).sum(1)
    expected = [x / (1.5 + 0.01 / size * squares) ** 0.6]
    check_node("LRN", [x], attrs, opset=opset, expected=expected, **TOLERANCE)


def test_lrn_defaults():
    text = "local_response_norm(X, 5)"
    ort.check("LRN", [rand(2, 7, 4, 5)], {"size": 5}, opset=13, contains=text)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis, opset", [(-1, 1), (0, 22), (1, 22)])
def test_lp_normalization(p, axis, opset):
    x = rand(3, 4, 5)
    x[1] = 0
    expected = [F.normalize(torch.from_numpy(x), p, axis).numpy()]
    attrs = {"p": p, "axis": axis}
    check_node("LpNormalization", [x], attrs, opset=opset, expected=expected, rtol=1e-5)


def test_lp_normalization_errors():
    compile_fails("LpNormalization", [rand(3, 4)], {"p": 3}, message="neither 1 nor 2")


@pytest.mark.parametrize("opset", [9, 13])
@pytest.mark.parametrize("axes", [None, [0], [1, 2], [-1, 0]])
def test_mean_variance_normalization(opset, axes):
    x = rand(2, 3, 4, 5) * 3 + 2
    over = tuple(axes or (0, 2, 3))
    centred = x - x.mean(over, keepdims=True)
    expected = [centred / (x.std(over, keepdims=True) + 1e-9)]
    attrs = {"axes": axes} if axes else None
    op = "MeanVarianceNormalization"
    check_node(op, [x], attrs, opset=opset, expected=expected, **TOLERANCE)
