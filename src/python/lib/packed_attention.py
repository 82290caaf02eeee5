"""What onnxruntime's attention operators have beside attention: packed projections,
lengths as masks, caches in which each sequence has its own length, sinks, batches whose
sequences stand one after the other, and biases by position.
"""

import math

import jax
import jax.numpy as jnp

from attention import attention, attention_scores, merge_heads, split_heads


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
    at = jnp.arange(keys, dtype=limits.dtype)[None, None, None]
    seen = (at < end) & (at >= start[0]) if start else at < end
    return jnp.where(seen, 0.0, fill)


def append_to_cache(past, new, start, size):
    """The first start (B,) positions of past (B, G, P, D), then new (B, G, S, D), then
    zeros: (B, G, size, D).
    """
    old = jnp.arange(past.shape[2])[None, None, :, None] < start[:, None, None, None]
    more = ((0, 0), (0, 0), (0, size - past.shape[2]), (0, 0))
    cache = jnp.pad(jnp.where(old, past, 0), more)
    return write_to_cache(cache, new, start)


def write_to_cache(past, new, start):
    """past (B, G, P, D) with new (B, G, S, D) from position start (B,) on."""
    place = jax.vmap(lambda c, n, i: jax.lax.dynamic_update_slice(c, n, (0, i, 0)))
    return place(past, new, start)


def choose_beams(cache, beams, start):
    """cache (N, H, S, D), where the first start positions of sequence n come from beam
    beams[n // W, n % W, s] of its batch; beams is (N / W, W, S or more).
    """
    count, _, size, _ = cache.shape
    own, width = jnp.arange(count)[:, None], beams.shape[1]
    others = own // width * width + beams.reshape(count, -1)[:, :size]
    at = jnp.where(jnp.arange(size)[None] < start, others, own)
    return jnp.take_along_axis(cache, at[:, None, :, None], axis=0)


def sparse_window(rows, columns, at, keys, block, heads):
    """Bias (B, H, T, keys): 0 for keys up to the position of a query at (B, T), in
    blocks that the layout of a head has; -inf elsewhere.

    Layouts are matrices of blocks in CSR form: rows (L, R + 1), columns (L, N); heads
    take them in turn.
    """
    layouts, size = rows.shape[0], rows.shape[1] - 1
    found = jnp.arange(columns.shape[1])
    row = jax.vmap(lambda ends: jnp.searchsorted(ends, found, side="right"))(rows) - 1
    which = jnp.arange(layouts)[:, None]
    mask = jnp.zeros((layouts, size, size), bool)
    mask = mask.at[which, row, columns].set(True, mode="drop")
    key = jnp.arange(keys)
    inside = (key[None, None] <= at[..., None]) & (key < size * block)[None, None]
    seen = mask[:, at // block][..., key // block] & inside[None]
    seen = jnp.tile(seen.swapaxes(0, 1), (1, heads // layouts, 1, 1))
    return jnp.where(seen, 0.0, -jnp.inf)


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


def remove_padding(x, counts, size=None):
    """The first counts[b] rows of each x[b] (B, T, ...), one after the other.

    Then where each stands in x (B, T), those that are left out last; the number of rows
    before each sequence (B + 1,); the largest of counts (1,).  size: how many rows.
    """
    batch, length = x.shape[:2]
    left_out = jnp.arange(length)[None] >= counts[:, None]
    offset = jnp.argsort(left_out.reshape(-1), stable=True).astype(jnp.int32)
    ends = jnp.cumsum(counts, dtype=jnp.int32)
    kept = offset[: int(ends[-1]) if size is None else size]
    rows = x.reshape(batch * length, *x.shape[2:])[kept]
    most = jnp.max(counts).reshape(1)
    return rows, offset.reshape(batch, length), jnp.pad(ends, (1, 0)), most


def restore_padding(rows, offset):
    """Rows at their places offset (B, T); zeros where there are none: (B, T, ...)."""
    x = jnp.zeros((offset.size, *rows.shape[1:]), rows.dtype)
    x = x.at[offset.reshape(-1)[: rows.shape[0]]].set(rows)
    return x.reshape(*offset.shape, *rows.shape[1:])


def take_tokens(x, offset, count):
    """The first count rows of x (B, T, ...), in the order of offset (B, T)."""
    return x.reshape(offset.size, *x.shape[2:])[offset.reshape(-1)[:count]]


def relative_position_bias(table, length, max_distance, bidirectional=False):
    """Bias (1, H, length, length) by the bucket of the distance: T5's.

    Half of the buckets are for one distance each, the others grow up to max_distance.
    table is (buckets, H), but what it holds for a head stands together.
    """
    buckets, heads = table.shape
    gap = jnp.arange(length)[None] - jnp.arange(length)[:, None]
    first = 0
    if bidirectional:
        buckets //= 2
        first = jnp.where(gap > 0, buckets, 0)
    gap, exact = jnp.abs(gap), buckets // 2
    far = jnp.log(jnp.maximum(gap, 1) / exact) / math.log(max_distance / exact)
    far = exact + (far * (buckets - exact)).astype(jnp.int32)
    bucket = jnp.where(gap < exact, gap, jnp.minimum(far, buckets - 1))
    return table.reshape(heads, -1)[:, first + bucket][None]


def gated_position_bias(q, bias, weight, weight_bias, scale):
    """bias (1, H, T, T) times a gate of each query q (B, H, T, D)."""
    gates = q @ weight + weight_bias[None, None, None]
    gates = jnp.sum(gates.reshape(*q.shape[:-1], 2, -1), axis=-1)
    update, reset = jnp.split(jax.nn.sigmoid(gates), 2, axis=-1)
    return (update * (reset * scale - 1) + 2) * bias


def longformer_attention(
    x, weight, bias, mask, global_weight, global_bias, is_global, heads, window
):
    """Attention of x (B, T, C) to the keys at most `window` apart and to global tokens.

    Tokens where is_global (B, T) is not 0 have queries, keys and values of their own
    and see all.  mask (B, T) is added to the scores of a key.
    """
    gap = jnp.arange(x.shape[1])
    near = jnp.abs(gap[None] - gap[:, None]) <= window
    is_global = is_global[:, None, None] != 0
    mask = mask[:, None, None]
    seen = jnp.where(near[None, None] | is_global, 0.0, -jnp.inf)
    y = attention(*split_qkv(x @ weight + bias[None, None], heads), mask + seen)
    wide = x @ global_weight + global_bias[None, None]
    wide = attention(*split_qkv(wide, heads), mask)
    return merge_heads(jnp.where(is_global.mT, wide, y))
