"""LinearAttention, CausalConvWithState and FlexAttention; ONNX's own cases cover the
rules, these the types, symbolic sizes and errors."""

import numpy as np
import pytest
from harness import check_node, compile_fails

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def rand(*shape, seed=0, dtype=np.float32):
    x = np.random.default_rng(seed).standard_normal(shape) * 0.3
    return x.astype(dtype)


def linear_inputs(per_head):
    q, k, v = rand(2, 5, 24), rand(2, 5, 12, seed=1), rand(2, 5, 10, seed=2)
    decay = -np.abs(rand(2, 5, 2 if per_head else 12, seed=3))
    return [q, k, v, rand(2, 2, 6, 5, seed=4), decay, rand(2, 5, 2, seed=5)]


HEADS = {"q_num_heads": 4, "kv_num_heads": 2}


@pytest.mark.parametrize("per_head", [False, True])
def test_linear_attention(per_head):
    inputs = linear_inputs(per_head)
    check_node("LinearAttention", inputs, HEADS, outputs=2, opset=27, **TOLERANCE)


def test_linear_attention_errors():
    inputs, op = linear_inputs(False), "LinearAttention"
    attrs = {**HEADS, "update_rule": "gated"}
    compile_fails(op, inputs, attrs, opset=27, outputs=2, message="beta does not fit")
    attrs = {**HEADS, "update_rule": "delta"}
    compile_fails(op, inputs, attrs, opset=27, outputs=2, message="decay does not fit")
    attrs = {**HEADS, "kv_num_heads": 3}
    compile_fails(op, inputs, attrs, opset=27, outputs=2, message="no multiple of 3")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_causal_conv(dtype):
    inputs = [rand(2, 3, 7), rand(3, 1, 4, seed=1), rand(3, seed=2), rand(2, 3, 3)]
    inputs = [i.astype(dtype) for i in inputs]
    tolerance = TOLERANCE if dtype == np.float32 else {"rtol": 4e-3, "atol": 2e-3}
    attrs, op = {"activation": "silu"}, "CausalConvWithState"
    check_node(op, inputs, attrs, outputs=2, opset=27, **tolerance)


def test_causal_conv_errors():
    op, x = "CausalConvWithState", rand(2, 3, 7)
    compile_fails(op, [x, rand(4, 1, 2)], opset=27, outputs=2, message="channels")
