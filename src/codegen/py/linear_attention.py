"""Layers of linear attention models that carry a state from call to call."""

import jax
import jax.numpy as jnp


def linear_attention(
    query, key, value, state=None, decay=None, beta=None, *, heads, kv_heads, scale=None
):
    """Attention through a state (B, G, D, E) that each position reads and rewrites.

    query is (B, T, H * D), key (B, T, G * D), value (B, T, G * E).  decay is the log of
    what remains of the state; beta weighs what value adds to what the state says about
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


def causal_conv(x, w, b=None, state=None, silu=False):
    """Depthwise convolution of x (B, C, T) with w (C, 1, K) over the past.

    state (B, C, K - 1) is what came before x; returns y and the state after x.
    """
    past = w.shape[-1] - 1
    if state is None:
        state = jnp.zeros((*x.shape[:2], past), x.dtype)
    x = jnp.concatenate([state, x], axis=2)
    y = conv(x, w, b, groups=x.shape[1])
    if silu:
        y = jax.nn.silu(y.astype(jnp.float32)).astype(x.dtype)
    return y, x[:, :, x.shape[2] - past :]
