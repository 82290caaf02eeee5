"""Recurrent layers of PyTorch: gates in its order, one direction each."""

import jax
import jax.numpy as jnp

from rnn import of_state


def first_state(state, x, w_hh):
    """The first state (B, H), or zeros, for x (T, B, I)."""
    return jnp.zeros((x.shape[1], w_hh.shape[1]), x.dtype) if state is None else state


def lstm_layer(x, w_ih, w_hh, b=None, h=None, c=None, reverse=False):
    """LSTM over x (T, B, I): y (T, B, H) and the last states (B, H).

    Gates are input, forget, cell, output: w_ih (4H, I), w_hh (4H, H), b (4H,).
    h and c may be the first states (B, H).
    """
    r = of_state(w_hh, x.shape[1])
    x = jnp.inner(x, w_ih)
    x = x if b is None else x + b[None, None]

    def step(state, x_t):
        h, c = state
        gates = x_t + h @ r
        cell = jnp.tanh(jnp.split(gates, 4, axis=-1)[2])
        i, forget, _, o = jnp.split(jax.nn.sigmoid(gates), 4, axis=-1)
        c = forget * c + i * cell
        h = o * jnp.tanh(c)
        return (h, c), h

    state = first_state(h, x, w_hh), first_state(c, x, w_hh)
    (h, c), y = jax.lax.scan(step, state, x, reverse=reverse)
    return y, h, c


def gru_layer(x, w_ih, w_hh, b_ih=None, b_hh=None, h=None, reverse=False):
    """GRU over x (T, B, I): y (T, B, H) and the last state (B, H).

    Gates are reset, update, new: w_ih (3H, I), w_hh (3H, H), both biases (3H,).
    h may be the first state (B, H).
    """
    r = of_state(w_hh, x.shape[1])
    x = jnp.inner(x, w_ih)
    x = x if b_ih is None else x + b_ih[None, None]

    def step(h, x_t):
        of_h = h @ r if b_hh is None else h @ r + b_hh[None]
        n = 2 * h.shape[-1]
        reset, update = jnp.split(jax.nn.sigmoid(x_t[:, :n] + of_h[:, :n]), 2, axis=-1)
        new = jnp.tanh(x_t[:, n:] + reset * of_h[:, n:])
        h = (1 - update) * new + update * h
        return h, h

    h, y = jax.lax.scan(step, first_state(h, x, w_hh), x, reverse=reverse)
    return y, h
