"""What onnxruntime's attention operators have beside attention: packed projections,
lengths as masks, caches in which each sequence has its own length, and sinks.
"""

import jax
import jax.numpy as jnp

from attention import attention_scores, split_heads


def split_qkv(x, heads, sizes=None):
    """Queries, keys and values, (B, H, T, D) each, that stand side by side in x.

    sizes are their parts of the last axis of x (B, T, ...): equal where not given.
    """
    q, k, _ = sizes or (x.shape[-1] // 3,) * 3
    return [split_heads(part, heads) for part in jnp.split(x, (q, q + k), axis=-1)]


def length_bias(limits, batch, keys, fill=-10000.0):
    """Bias (B, 1, 1, S): 0 before the end of each sequence, fill from there on.

    limits holds the ends (B,), or the ends and then the starts (2 * B,).
    """
    end, *start = limits.reshape(-1, batch, 1, 1, 1)
    at = jnp.arange(keys)
    seen = (at < end) & (at >= start[0]) if start else at < end
    return jnp.where(seen, 0.0, fill)


def append_to_cache(past, new, start, size):
    """The first start (B,) positions of past (B, G, P, D), then new (B, G, S, D), then
    zeros: (B, G, size, D).
    """
    old = jnp.arange(past.shape[2])[:, None] < start[:, None, None, None]
    more = ((0, 0), (0, 0), (0, size - past.shape[2]), (0, 0))
    cache = jnp.pad(jnp.where(old, past, 0), more)
    place = jax.vmap(lambda c, n, i: jax.lax.dynamic_update_slice(c, n, (0, i, 0)))
    return place(cache, new, start)


def sink_weights(scores, bias, sink, precision=None):
    """Softmax of scores + bias and one more score, whose weight is left out.

    sink (H,) is that of each head, or the number that all have.
    """
    scores = (scores + bias).astype(precision or scores.dtype)
    sink = jnp.reshape(sink, (-1, 1, 1)).astype(scores.dtype)
    sink = jnp.broadcast_to(sink, (*scores.shape[:3], 1))
    return jax.nn.softmax(jnp.concatenate([scores, sink], -1))[..., :-1]


def sink_attention(q, k, v, bias, sink, scale=None, softcap=None, precision=None):
    """attention whose weights leave a part to a sink."""
    scores = attention_scores(q, k, scale, softcap)
    weights = sink_weights(scores, bias, sink, precision).astype(q.dtype)
    v = jnp.repeat(v, q.shape[1] // v.shape[1], axis=1)
    return jnp.einsum("bhts,bhse->bhte", weights, v)
