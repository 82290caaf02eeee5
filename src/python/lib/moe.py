"""Mixtures of experts: each token goes through the layers that a router chooses."""

import jax
import jax.numpy as jnp

from packed_weights import unpack_bits


def route(logits, k, weights=None, normalize=False):
    """The weight (T, E) of each expert for each token; 0 but for the k largest logits,
    of equal ones the first.

    weights (T, E) stand for the softmax of the logits.  normalize lets those of a token
    add up to 1.
    """
    logits = logits.astype(jnp.float32)
    weights = jax.nn.softmax(logits) if weights is None else weights
    _, chosen = jax.lax.top_k(logits, k)
    chosen = jnp.sum(jax.nn.one_hot(chosen, logits.shape[1]), axis=1)
    weights = jnp.where(chosen > 0, weights.astype(jnp.float32), 0)
    return weights / jnp.sum(weights, 1, keepdims=True) if normalize else weights


def moe(x, gates, fc1, fc2, fc3=None, *, activation, bits=None, tile=None):
    """The sum of gates[:, e] * fc2(activation(fc1(x))) over experts e, or of
    activation(fc1(x), fc3(x)).

    x is (..., H), gates (T, E) for its T tokens; a layer is (bias or None, weights (E,
    out, in)), or with bits what unpack_rows takes for weights, or with tile what
    scale_tiles takes.  bits may differ by layer: (of fc1, fc2, fc3).  All tokens go
    through one expert after the other.
    """
    tokens = x.reshape(-1, x.shape[-1])
    bits = bits if isinstance(bits, tuple) else (bits,) * 3

    def linear(x, layer, bits):
        bias, w, *scales = layer
        if bits is not None:
            w = unpack_rows(w, *scales, bits=bits)
        elif tile is not None:
            w = scale_tiles(w, *scales, tile).astype(x.dtype)
        return x @ w.T if bias is None else x @ w.T + bias[None]

    def add(total, expert):
        gate, fc1, fc2, fc3 = expert
        hidden = [linear(tokens, fc1, bits[0])]
        if fc3 is not None:
            hidden.append(linear(tokens, fc3, bits[2]))
        y = linear(activation(*hidden), fc2, bits[1])
        gate = gate[:, None]
        return total + jnp.where(gate != 0, gate * y, 0), None

    total = jnp.zeros(tokens.shape, jnp.float32)
    total, _ = jax.lax.scan(add, total, (gates.T, fc1, fc2, fc3))
    return total.astype(x.dtype).reshape(x.shape)


def unpack_rows(w, scales, zeros=None, *, bits):
    """(integers - zeros) * scales of `bits` bits each in the rows of bytes w.

    scales (N,) or (N, blocks) are those of a row or of equal parts of it; zeros are
    integers packed along the last axis, the middle of the range where not given.
    """
    n, middle = len(w), 2 ** (bits - 1)
    q = unpack_bits(w, bits).astype(scales.dtype)
    q = q.reshape(n, scales.size // n, -1)
    if zeros is not None:
        zeros = unpack_bits(zeros, bits)[..., : scales.shape[-1]].astype(scales.dtype)
        middle = zeros.reshape(n, -1, 1)
    return ((q - middle) * scales.reshape(n, -1, 1)).reshape(n, -1)


def scale_tiles(w, scales, tile):
    """Weights (N, K) in float32, times the scale of each square of `tile` rows and
    columns, which may be cut at the ends; times one scale where tile is 0.
    """
    scales = scales.astype(jnp.float32)
    if tile:
        scales = jnp.repeat(jnp.repeat(scales, tile, 0), tile, 1)
        scales = scales[: w.shape[0], : w.shape[1]]
    return w.astype(jnp.float32) * scales


def gate_and_up(x, up=None, halves=False):
    """The elements of x in turn, or its halves; x and up where up is given."""
    if up is not None:
        return x, up
    return jnp.split(x, 2, axis=-1) if halves else (x[..., ::2], x[..., 1::2])


def geglu(x, halves=False):
    """gelu(gate) * up."""
    gate, up = gate_and_up(x, None, halves)
    return jax.nn.gelu(gate) * up


def swiglu(x, up=None, alpha=1.0, beta=0.0, limit=jnp.inf, halves=False, late=False):
    """gate * sigmoid(alpha * gate) * (up + beta).

    limit bounds gate from above and up on both sides.  late: gate * sigmoid(...)
    instead of gate.
    """
    gate, up = gate_and_up(x, up, halves)
    gate = gate if late else jnp.minimum(gate, limit)
    gate = gate * jax.nn.sigmoid(alpha * gate)
    gate = jnp.minimum(gate, limit) if late else gate
    return gate * (jnp.clip(up, -limit, limit) + beta)
