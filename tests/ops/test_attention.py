"""Attention and RotaryEmbedding against torch and onnx.reference."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5, "x64": False}


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def qkv(heads=4, kv_heads=4, queries=5, keys=6):
    q = rand(2, heads, queries, 8)
    return [q, rand(2, kv_heads, keys, 8, seed=1), rand(2, kv_heads, keys, 7, seed=2)]


def sdpa(*inputs, **options):
    tensors = [torch.from_numpy(a) for a in inputs]
    return F.scaled_dot_product_attention(*tensors, **options).numpy()


@pytest.mark.parametrize("opset", [23, 24, 25])
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_attention(opset, kv_heads):
    inputs = qkv(kv_heads=kv_heads)
    expected = [sdpa(*inputs, enable_gqa=True)]
    text = "attention(Q, K, V)"
    check_node(
        "Attention",
        inputs,
        opset=opset,
        expected=expected,
        contains=text,
        dynamic="unique",
        **TOLERANCE,
    )


def test_attention_of_rank_3():
    q, k, v = rand(2, 5, 12), rand(2, 6, 6, seed=1), rand(2, 6, 8, seed=2)
    attrs = {"q_num_heads": 4, "kv_num_heads": 2, "scale": 0.3}
    check_node("Attention", [q, k, v], attrs, opset=23, dynamic="unique", **TOLERANCE)


@pytest.mark.parametrize("shape", [(5, 6), (2, 1, 1, 6), (4, 5, 6), (2, 4, 5, 6)])
@pytest.mark.parametrize("boolean", [False, True])
def test_attention_mask(shape, boolean):
    mask = rand(*shape, seed=3)
    mask = mask > 0 if boolean else mask
    check_node("Attention", [*qkv(), mask], opset=23, **TOLERANCE)


@pytest.mark.parametrize("boolean", [False, True])
def test_hidden_query_is_zero(boolean):
    mask = np.ones((5, 6), bool)
    mask[2] = False
    if not boolean:
        mask = np.where(mask, 0, -np.inf).astype(np.float32)
    check_node("Attention", [*qkv(), mask], opset=23, **TOLERANCE)


@pytest.mark.parametrize("keys", [5, 6])
def test_causal(keys):
    text = f"attention_window(5, {keys})"
    inputs = qkv(keys=keys)
    attrs = {"is_causal": 1}
    check_node("Attention", inputs, attrs, opset=23, contains=text, **TOLERANCE)


@pytest.mark.parametrize("options", [{}, {"softcap": 2.0}, {"scale": 0.1}])
def test_score_options(options):
    check_node("Attention", qkv(), options, opset=23, **TOLERANCE)


@pytest.mark.parametrize("causal", [0, 1])
def test_cache(causal):
    past = [rand(2, 4, 3, 8, seed=4), rand(2, 4, 3, 7, seed=5)]
    inputs = [*qkv(), None, *past]
    attrs = {"is_causal": causal}
    check_node("Attention", inputs, attrs, opset=23, outputs=3, **TOLERANCE)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", [None, (5, 6), (5, 4)])
def test_padded_keys(causal, mask):
    lengths = np.array([3, 4])
    mask = None if mask is None else rand(*mask, seed=6) > -1
    inputs = [*qkv(), mask, None, None, lengths]
    attrs = {"is_causal": causal}
    check_node("Attention", inputs, attrs, opset=24, **TOLERANCE)


@pytest.mark.parametrize("window", [(2, 0), (1, 1), (0, -1), (-1, 2)])
@pytest.mark.parametrize("causal", [0, 1])
def test_window(window, causal):
    left, right = window
    attrs = {"left_window_size": left, "right_window_size": right, "is_causal": causal}
    check_node("Attention", qkv(), attrs, opset=25, **TOLERANCE)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_scores_output(mode):
    mask = rand(5, 6, seed=3)
    attrs = {"qk_matmul_output_mode": mode}
    if mode:  # onnx.reference caps mode 0 too, against the text
        attrs["softcap"] = 3.0
    outputs = ["Y", "", "", "qk"]
    inputs = [*qkv(kv_heads=2), mask]
    check_node("Attention", inputs, attrs, opset=23, outputs=outputs, **TOLERANCE)


@pytest.mark.parametrize("precision", [1, 10])
def test_softmax_precision(precision):
    """Scores far apart, which the softmax of float16 cannot tell from one another."""
    q, k, v = (a.astype(np.float16) for a in qkv())
    attrs = {"softmax_precision": precision, "qk_matmul_output_mode": 3}
    outputs = ["Y", "", "", "qk"]
    source = check_node(
        "Attention",
        [4 * q, k, v],
        attrs,
        opset=23,
        outputs=outputs,
        rtol=4e-3,
        atol=2e-3,
        x64=False,
    )
    assert ("precision=jnp.float32" in source) == (precision == 1)


def test_attention_errors():
    q, k, v = qkv()
    fails = compile_fails
    fails("Attention", [q, k[0], v], opset=23, message="rank 3 or all rank 4")
    fails("Attention", [q, k[:, :3], v[:, :3]], opset=23, message="no multiple")
    fails("Attention", [q[0], k[0], v[0]], opset=23, message="do not divide")
    fails("Attention", [q, k, v, None, k], opset=23, message="given together")


# ---- RotaryEmbedding -----------------------------------------------------------------


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("size", [8, 4])
@pytest.mark.parametrize("positions", [False, True])
def test_rotary_embedding(interleaved, size, positions):
    x = rand(2, 3, 5, 8)
    angles = rand(*((9,) if positions else (2, 5)), size // 2, seed=1)
    inputs = [x, np.cos(angles), np.sin(angles)]
    if positions:
        inputs.append(np.arange(10).reshape(2, 5) % 9)
    attrs = {"interleaved": interleaved}
    if size != 8:
        attrs["rotary_embedding_dim"] = size
        if not positions:
            attrs["num_heads"] = 3
            inputs[0] = x.swapaxes(1, 2).reshape(2, 5, 24)
    check_node("RotaryEmbedding", inputs, attrs, opset=23, **TOLERANCE)


def test_rotary_embedding_errors():
    x, table = rand(2, 5, 24), rand(2, 5, 4)
    fails = compile_fails
    fails("RotaryEmbedding", [x, table, table], opset=23, message="num_heads is needed")
    fails("RotaryEmbedding", [x[0], table, table], opset=23, message="rank 2")


def test_flex_attention():
    q, k, v = (np.random.default_rng(i).random((2, 3, 4, 8), "f4") for i in range(3))
    scores = q @ k.swapaxes(2, 3) / np.sqrt(np.float32(8))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    expected = [weights / weights.sum(-1, keepdims=True) @ v]
    options = {"domain": "ai.onnx.preview", "x64": False, "rtol": 1e-5}
    check_node("FlexAttention", [q, k, v], expected=expected, **options)
