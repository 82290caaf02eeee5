"""Attention over int8, where every product is rounded to int8 again."""

import math

import jax.numpy as jnp

from attention import attention_scores, attention_weights, merge_heads, split_heads
from quant import dequantize, quantize


def round_int8(x, scale):
    """The nearest multiple of scale that int8 holds."""
    return dequantize(quantize(x, scale, dtype=jnp.int8), scale)


def ordered_product(x, w, scale, bias, y_scale):
    """The product of x and w, both int8, times scale, plus bias, rounded."""
    product = x.astype(jnp.int32) @ w.astype(jnp.int32)
    scale, bias = (jnp.broadcast_to(s, product.shape) for s in (scale, bias))
    y = product.astype(jnp.float32) * scale + bias
    return round_int8(y, y_scale)


def ordered_attention(q, k, v, heads, score_scale, weight_scale, bias=None):
    """attention of q, k, v (B, T, H * D) whose scores and weights are rounded."""
    q, k, v = (split_heads(x, heads) for x in (q, k, v))
    scores = round_int8(attention_scores(q, k, scale=1.0), score_scale)
    weights = attention_weights(scores / math.sqrt(q.shape[-1]), bias)
    return merge_heads(round_int8(weights, weight_scale) @ v)
