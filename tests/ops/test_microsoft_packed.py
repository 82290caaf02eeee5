"""Attention over tokens without padding, and biases by position.  onnxruntime has CUDA
kernels alone: the references are the formulas of the operators' documentation, and of
T5 for its buckets."""

import functools
import math

import numpy as np
import pytest
import torch
from harness import check_node, compile_fails

DOMAIN = "com.microsoft"
B, S, HEADS, D = 3, 5, 2, 4
HIDDEN = HEADS * D
COUNTS = np.array([3, 5, 1], np.int32)
LIVE = np.arange(S) < COUNTS[:, None]
OFFSET = np.argsort(~LIVE.reshape(-1), kind="stable").reshape(B, S).astype(np.int32)
ENDS = np.cumsum([0, *COUNTS]).astype(np.int32)
check = functools.partial(
    check_node, domain=DOMAIN, x64=False, rtol=1e-4, atol=1e-5, dynamic=False
)
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def attention(q, k, v, bias=0.0, scale=None):
    """Tokens (N, H * D) of one sequence."""
    q, k, v = (x.reshape(len(x), HEADS, -1).swapaxes(0, 1) for x in (q, k, v))
    scores = q @ k.swapaxes(1, 2) * (scale or q.shape[-1] ** -0.5) + bias
    w = np.exp(scores - scores.max(-1, keepdims=True))
    w /= w.sum(-1, keepdims=True)
    return (w @ v).swapaxes(0, 1).reshape(q.shape[1], -1)


def by_sequence(q, k, v, bias=None, **options):
    y = []
    for i, (a, b) in enumerate(zip(ENDS[:-1], ENDS[1:], strict=True)):
        n = b - a
        own = 0.0 if bias is None else bias[i % len(bias), :, :n, :n]
        y.append(attention(q[a:b], k[a:b], v[a:b], own, **options))
    return np.concatenate(y).astype(np.float32)


def test_remove_padding():
    x = rand(B, S, HIDDEN)
    expected = [x[LIVE], OFFSET, ENDS, np.array([5], np.int32)]
    outputs = ["rows", "offset", "ends", "most"]
    options = {"outputs": outputs, "expected": expected, "infer": False}
    text = check("RemovePadding", [x, COUNTS], contains="remove_padding(", **options)
    assert "@jax.jit" not in text.split("def forward")[0].splitlines()[-1]


@pytest.mark.parametrize("dynamic", [False, True])
def test_restore_padding(dynamic):
    rows = rand(9, HIDDEN)
    y = np.zeros((B, S, HIDDEN), np.float32)
    y[LIVE] = rows
    inputs = [rows, OFFSET]
    check("RestorePadding", inputs, expected=[y], dynamic=dynamic)


@pytest.mark.parametrize("sizes", [None, [HIDDEN, HIDDEN, 6]])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("attrs", [{}, {"scale": 0.3}])
def test_packed_attention(sizes, bias, attrs):
    total = sum(sizes or [HIDDEN] * 3)
    x, w, b = rand(9, 7), rand(7, total, seed=1), rand(total, seed=2)
    q, k, v = np.split(x @ w + b, [HIDDEN, 2 * HIDDEN], axis=1)
    scores = rand(1, HEADS, S, S, seed=3) if bias else None
    expected = by_sequence(q, k, v, scores, **attrs)
    attrs = {"num_heads": HEADS, **attrs} | (
        {"qkv_hidden_sizes": sizes} if sizes else {}
    )
    inputs = [x, w, b, OFFSET, ENDS, *([scores] if bias else [])]
    check("PackedAttention", inputs, attrs, expected=[expected], dynamic=True)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_packed_multi_head(packed, bias):
    q, k, v = (rand(9, HIDDEN, seed=i) for i in range(3))
    b = rand(3 * HIDDEN, seed=4)
    added = np.split(b, 3) if bias else [0, 0, 0]
    scores = rand(B, 1, S, S, seed=5)
    expected = by_sequence(q + added[0], k + added[1], v + added[2], scores)
    inputs = [q, k, v]
    if packed:
        parts = [x.reshape(9, HEADS, D) for x in inputs]
        inputs = [np.stack(parts, axis=2), None, None]
    inputs += [b if bias else None, OFFSET, ENDS, scores]
    attrs = {"num_heads": HEADS}
    check("PackedMultiHeadAttention", inputs, attrs, expected=[expected], dynamic=True)


def test_packed_errors():
    inputs = [rand(9, HIDDEN), None, None, None, OFFSET, ENDS]
    attrs = {"num_heads": HEADS}
    fails("PackedMultiHeadAttention", inputs, attrs, message="given together")
    attrs = {"num_heads": 0}
    fails("PackedMultiHeadAttention", inputs, attrs, message="must be positive")


def t5_bucket(gap, buckets, most):
    """As PyTorch computes it, in float32."""
    gap, exact = gap.abs(), buckets // 2
    far = torch.log(gap.float() / exact) / math.log(most / exact) * (buckets - exact)
    far = (exact + far.clamp(min=0).long()).clamp(max=buckets - 1)
    return torch.where(gap < exact, gap, far)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("length", [7, 300])
def test_relative_position_bias(both, length):
    """The table holds the transposed weights of T5 under their shape.  Where a decoder
    looks ahead, T5 has bucket 0, the operator that of the distance."""
    weight = rand(32, HEADS)
    gap = np.arange(length) - np.arange(length)[:, None]
    bucket = t5_bucket(torch.tensor(gap), 16 if both else 32, 128)
    bucket = bucket.numpy() + 16 * (gap > 0) * both
    expected = weight[bucket].transpose(2, 0, 1)[None]
    table = np.ascontiguousarray(weight.T).reshape(32, HEADS)
    size = np.array([length])
    inputs = {"bias_table": table, "query_length": size, "key_length": size}
    check(
        "RelativePositionBias",
        inputs,
        {"max_distance": 128, "is_bidirectional": int(both)},
        expected=[expected],
        constant=["query_length", "key_length"],
        contains=f"relative_position_bias(bias_table, {length}, 128",
    )


def test_relative_errors():
    sizes = [np.array([3]), np.array([4])]
    names = ["bias_table", "query_length", "key_length"]
    inputs = dict(zip(names, [rand(32, 2), *sizes], strict=True))
    attrs, constant = {"max_distance": 128}, names[1:]
    message = "query_length and key_length differ"
    op = "RelativePositionBias"
    fails(op, inputs, attrs, constant=constant, message=message)


def test_rank_errors():
    fails("RemovePadding", [rand(2, 3), COUNTS], outputs=4, message="3 is needed")
    fails("RestorePadding", [rand(9, 2, 2), OFFSET], message="2 is needed")


@pytest.mark.parametrize("packed", [False, True])
def test_gated_relative_position_bias(packed):
    x, bias = rand(2, 3, HIDDEN), rand(HIDDEN, seed=1)
    rel, weight = rand(1, HEADS, 3, 3, seed=2), rand(D, 6, seed=3)
    weight_bias, eco = rand(6, seed=4), rand(1, HEADS, 1, 1, seed=5)
    q = (x + bias).reshape(2, 3, HEADS, D).swapaxes(1, 2)
    gates = (q @ weight + weight_bias).reshape(2, HEADS, 3, 2, 3).sum(-1)
    update, reset = np.split(1 / (1 + np.exp(-gates)), 2, axis=-1)
    expected = (update * (reset * eco - 1.0) + 2.0) * rel
    inputs = [x, bias, rel, weight, weight_bias, eco]
    if packed:
        inputs[0] = x.reshape(6, HIDDEN)
        inputs.append(np.arange(6, dtype=np.int32).reshape(2, 3))
    attrs = {"num_heads": HEADS}
    check("GatedRelativePositionBias", inputs, attrs, expected=[expected], dynamic=True)


def test_longformer():
    """Each token by the definition: what is near, what is global, or all."""
    length, window = 8, 2
    x, is_global = rand(2, length, HIDDEN), np.zeros((2, length), np.int32)
    is_global[0, 1] = is_global[1, 0] = is_global[1, 5] = 1
    mask = np.zeros((2, length), np.float32)
    mask[1, 6:] = -10000
    own, far = (
        (rand(HIDDEN, 3 * HIDDEN, seed=i), rand(3 * HIDDEN, seed=i + 1)) for i in (2, 4)
    )
    y = np.zeros_like(x)
    for b, i in np.ndindex(2, length):
        w, bias = far if is_global[b, i] else own
        q, k, v = np.split(x[b] @ w + bias, 3, axis=1)
        near = np.abs(np.arange(length) - i) <= window
        seen = near | (is_global[b] > 0) | bool(is_global[b, i])
        hidden = np.where(seen, mask[b], -1e30)
        y[b, i] = attention(q[i : i + 1], k, v, hidden)[0]
    inputs = [x, *own, mask, *far, is_global]
    attrs = {"num_heads": HEADS, "window": window}
    check("LongformerAttention", inputs, attrs, expected=[y], dynamic=True)
    attrs["window"] = 0
    fails("LongformerAttention", inputs, attrs, message="must be positive")
