"""Scaled dot product attention with ONNX's masks; heads come before positions."""

import jax
import jax.numpy as jnp


def split_heads(x, heads):
    """(B, T, H * D) to (B, H, T, D)."""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def merge_heads(x):
    """(B, H, T, D) to (B, T, H * D)."""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def attention_window(queries, keys, offset=0, left=None, right=0):
    """Bias (1, 1, queries, keys): 0 where i - left <= j <= i + right, -inf elsewhere.

    i is the position of a query, j that of a key; None sets no bound.  offset is added
    to i; it may be (B, 1, 1, 1), and the bias (B, 1, queries, keys).
    """
    gap = jnp.arange(keys)[None] - jnp.arange(queries)[:, None]
    gap = gap[None, None] - offset
    seen = True if right is None else gap <= right
    seen = seen if left is None else seen & (gap >= -left)
    return jnp.where(seen, 0.0, -jnp.inf)


def attention_scores(q, k, scale=None, softcap=None):
    """Scaled products (B, H, T, S) of q (B, H, T, D) and k (B, G, S, D)."""
    root = (q.shape[-1] ** -0.5 if scale is None else scale) ** 0.5
    k = jnp.repeat(k, q.shape[1] // k.shape[1], axis=1)
    scores = jnp.einsum("bhtd,bhsd->bhts", q * root, k * root)
    return scores if softcap is None else softcap * jnp.tanh(scores / softcap)


def attention_weights(scores, bias=None, precision=None):
    """Softmax of scores, plus bias; zeros for a query whose bias is -inf everywhere."""
    scores = scores if bias is None else scores + bias.astype(scores.dtype)
    scores = scores.astype(precision or scores.dtype)
    if bias is None:
        return jax.nn.softmax(scores)
    hidden = jnp.max(bias, -1, keepdims=True) == -jnp.inf
    weights = jax.nn.softmax(jnp.where(hidden, 0.0, scores))
    return jnp.where(hidden, 0.0, weights)


def attention(q, k, v, bias=None, scale=None, softcap=None, precision=None):
    """Attention of q (B, H, T, D) to k (B, G, S, D), v (B, G, S, E): (B, H, T, E).

    precision is the type in which softmax is computed: that of q where not given.
    """
    scores = attention_scores(q, k, scale, softcap)
    weights = attention_weights(scores, bias, precision).astype(q.dtype)
    v = jnp.repeat(v, q.shape[1] // v.shape[1], axis=1)
    return jnp.einsum("bhts,bhse->bhte", weights, v)


def masked_attention(query, key, value, mask, scale=None):
    """jax.nn.dot_product_attention; zeros for a query of which mask hides all keys."""
    x = jax.nn.dot_product_attention(query, key, value, mask=mask, scale=scale)
    seen = jnp.any(mask, axis=-1).swapaxes(1, 2)[..., None]
    return jnp.where(seen, x, 0.0)


def flex_attention(
    q, k, v, score_mod=None, prob_mod=None, scale=None, dtype=jnp.float32
):
    """attention whose scores and weights (B, H, T, S) go through a function each."""
    scores = attention_scores(q, k, scale).astype(dtype)
    weights = jax.nn.softmax(scores if score_mod is None else score_mod(scores))
    weights = weights if prob_mod is None else prob_mod(weights)
    v = jnp.repeat(v, q.shape[1] // v.shape[1], axis=1)
    return jnp.einsum("bhts,bhse->bhte", weights, v.astype(dtype)).astype(v.dtype)


def rotary_embedding(x, cos, sin, interleaved=False):
    """Rotates pairs of the last axis of x (B, H, T, D); cos, sin are (B, T, R / 2).

    Elements from R on stay as they are.
    """
    half = cos.shape[-1]
    cos, sin = cos[:, None].astype(x.dtype), sin[:, None].astype(x.dtype)
    if interleaved:
        a, b = x[..., : 2 * half : 2], x[..., 1 : 2 * half : 2]
    else:
        a, b = x[..., :half], x[..., half : 2 * half]
    pairs = [a * cos - b * sin, a * sin + b * cos]
    if interleaved:
        pairs = [jnp.stack(pairs, -1).reshape(*x.shape[:-1], -1)]
    return jnp.concatenate([*pairs, x[..., 2 * half :]], -1)


def linear_attention(
    query, key, value, state=None, decay=None, beta=None, *, heads, kv_heads, scale=None
):
    """Attention through a state (B, G, D, E) that each position reads and rewrites.

    query is (B, T, H * D), key (B, T, G * D), value (B, T, G * E).  decay is the log of
    what remains of the state.  beta weighs what value adds to what the state says about
    key.  Returns (B, T, H * E) and the last state; computes in float32.
    """
    q, k = split_heads(query, heads), split_heads(key, kv_heads)
    v = split_heads(value, kv_heads)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if state is None:
        state = jnp.zeros((*k.shape[:2], k.shape[3], v.shape[3]), query.dtype)
    if decay is not None:
        decay = split_heads(decay, kv_heads)
    if beta is not None:
        beta = split_heads(beta, beta.shape[-1])

    def step(state, at):
        q, k, v, decay, beta = at
        if decay is not None:
            state = state * jnp.exp(decay)[..., None]
        if beta is not None:
            v = beta * (v - jnp.einsum("bgde,bgd->bge", state, k))
        state = state + k[..., None] * v[..., None, :]
        read = jnp.repeat(state, heads // kv_heads, axis=1)
        return state, scale * jnp.einsum("bhd,bhde->bhe", q, read)

    steps = [q, k, v, decay, beta]
    steps = jax.tree.map(lambda a: jnp.moveaxis(a, 2, 0).astype(jnp.float32), steps)
    last, y = jax.lax.scan(step, state.astype(jnp.float32), steps)
    y = merge_heads(jnp.moveaxis(y, 0, 2))
    return y.astype(query.dtype), last.astype(state.dtype)


def apply_rotary(x, cos, sin):
    """Rotates each pair of elements d / 2 apart in the last axis of x by its angle."""
    low, high = jnp.split(x, 2, axis=-1)
    cos, sin = cos.astype(x.dtype), sin.astype(x.dtype)
    return x * cos + jnp.concatenate([-high, low], axis=-1) * sin
