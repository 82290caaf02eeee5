"""Recurrent layers: a lax.scan over time for each direction, gates in ONNX's order."""

import jax
import jax.numpy as jnp

from prepare import in_form


def as_lstm_gates(w):
    """PyTorch's gates of an LSTM, input forget cell output, in ONNX's order."""
    i, forget, cell, o = jnp.split(w, 4)
    return jnp.concatenate([i, o, forget, cell])


def lstm_gates(params, key):
    """Weights in ONNX's order of gates, whether or not prepare has made them."""
    return in_form(params, key, "lstm_gates", as_lstm_gates)


def as_gru_gates(w):
    """PyTorch's gates of a GRU, reset update hidden, in ONNX's order."""
    reset, update, hidden = jnp.split(w, 3)
    return jnp.concatenate([update, reset, hidden])


def gru_gates(params, key):
    """Weights in ONNX's order of gates, whether or not prepare has made them."""
    return in_form(params, key, "gru_gates", as_gru_gates)


def of_state(r, rows):
    """What a step multiplies states (rows, H) by, of weights r (..., H)."""
    # an array of its own, which a CPU need not reorder in each step, but for one row
    return r.T if rows == 1 else jax.lax.optimization_barrier(r.T)


def scan_steps(step, x, state, reverse=False, lengths=None):
    """Scans step(state, x_t) -> state over x (T, B, ...): all outputs, last state.

    The output is the first part of the state.  Past its end by lengths a sequence keeps
    its state and puts out zeros.
    """

    def body(state, x_t):
        if lengths is not None:
            t, x_t = x_t
        new = step(state, x_t)
        if lengths is None:
            return new, new[0]
        live = (t < lengths)[:, None]
        kept = tuple(jnp.where(live, a, b) for a, b in zip(new, state))
        return kept, jnp.where(live, new[0], 0)

    if lengths is not None:
        x = (jnp.arange(x.shape[0], dtype=jnp.int32), x)
    state, y = jax.lax.scan(body, tuple(state), x, reverse=reverse)
    return y, *state


def recurrent(layer, x, weights, state, direction, lengths, batch_first):
    """Runs a layer in its directions D: y (T, D, B, H) and its last state (D, B, H)...

    layer(d, x, *weights[d]) gives a step and what it takes for x.  With batch_first, B
    is the first axis of everything but the weights.
    """
    hidden = weights[1].shape[-1]
    if batch_first:
        x = x.swapaxes(0, 1)
        state = [None if s is None else s.swapaxes(0, 1) for s in state]
    zeros = jnp.zeros((x.shape[1], hidden), x.dtype)
    runs = []
    for d in range(weights[0].shape[0]):
        step, inputs = layer(d, x, *[None if w is None else w[d] for w in weights])
        start = [zeros if s is None else s[d] for s in state]
        reverse = direction == "reverse" or d == 1
        runs.append(scan_steps(step, inputs, start, reverse, lengths))
    y, *state = zip(*runs)
    y = jnp.stack(y, axis=1)
    if batch_first:
        y = y.transpose(2, 0, 1, 3)
    return y, *[jnp.stack(s, axis=1 if batch_first else 0) for s in state]


def with_biases(x, b):
    """x plus both halves of b, those of x and of the state; None adds nothing."""
    return x if b is None else x + sum(jnp.split(b[None, None], 2, -1))


def rnn(
    x,
    w,
    r,
    b=None,
    h=None,
    lengths=None,
    direction="forward",
    activations=(jnp.tanh,) * 2,
    clip=None,
    batch_first=False,
):
    """Simple RNN of x (T, B, I): y (T, D, B, H) and the last state (D, B, H).

    w (D, H, I), r (D, H, H), b (D, 2H).  h may be the first state (D, B, H).
    """
    low = None if clip is None else -clip
    rows = x.shape[0 if batch_first else 1]

    def layer(d, x, w, r, b):
        f, r = activations[d], of_state(r, rows)

        def step(state, x):
            return (f(jnp.clip(x + state[0] @ r, low, clip)),)

        return step, with_biases(x @ w.T, b)

    return recurrent(layer, x, (w, r, b), (h,), direction, lengths, batch_first)


def gru(
    x,
    w,
    r,
    b=None,
    h=None,
    lengths=None,
    direction="forward",
    activations=(jax.nn.sigmoid, jnp.tanh) * 2,
    clip=None,
    linear_before_reset=False,
    batch_first=False,
):
    """GRU of x (T, B, I): y (T, D, B, H) and the last state (D, B, H).

    Gates are update, reset, hidden: w (D, 3H, I), r (D, 3H, H), b (D, 6H).  h may be
    the first state (D, B, H).
    """
    low = None if clip is None else -clip
    rows = x.shape[0 if batch_first else 1]

    def layer(d, x, w, r, b):
        f, g = activations[2 * d : 2 * d + 2]
        b = jnp.zeros((1, 2 * len(r)), x.dtype) if b is None else b[None]
        wb, rb = jnp.split(b, 2, -1)
        n = 2 * r.shape[-1]
        of_gates, of_new = of_state(r[:n], rows), of_state(r[n:], rows)

        def step(state, x):
            (h,) = state
            gates = f(jnp.clip(x[:, :n] + h @ of_gates + rb[:, :n], low, clip))
            z, reset = jnp.split(gates, 2, axis=-1)
            if linear_before_reset:
                new = reset * (h @ of_new + rb[:, n:])
            else:
                new = (reset * h) @ of_new + rb[:, n:]
            new = g(jnp.clip(x[:, n:] + new, low, clip))
            return ((1 - z) * new + z * h,)

        return step, x @ w.T + wb[None]

    return recurrent(layer, x, (w, r, b), (h,), direction, lengths, batch_first)


def lstm_step(from_h, activations, p=None, clip=None, input_forget=False):
    """A step of lstm: state (h, c) and gates (B, 4H) of x to the next state.

    from_h(h) is what h adds to the gates; p (3H,) are peepholes.
    """
    low = None if clip is None else -clip
    f, g, k = activations

    def gate(x):
        return f(jnp.clip(x, low, clip))

    def step(state, x):
        h, c = state
        x = x + from_h(h)
        n = h.shape[-1]
        i, o, forget = jnp.split(gate(x[:, : 3 * n]), 3, axis=-1)
        forget = 1 - i if input_forget else forget
        c = forget * c + i * g(jnp.clip(x[:, 3 * n :], low, clip))
        return o * k(c), c

    def step_with_peepholes(state, x):
        h, c = state
        i, o, forget, new = jnp.split(x + from_h(h), 4, axis=-1)
        p_i, p_o, p_f = jnp.split(p[None], 3, -1)
        i = gate(i + p_i * c)
        forget = 1 - i if input_forget else gate(forget + p_f * c)
        c = forget * c + i * g(jnp.clip(new, low, clip))
        return gate(o + p_o * c) * k(c), c

    return step if p is None else step_with_peepholes


def lstm(
    x,
    w,
    r,
    b=None,
    h=None,
    c=None,
    p=None,
    lengths=None,
    direction="forward",
    activations=(jax.nn.sigmoid, jnp.tanh, jnp.tanh) * 2,
    clip=None,
    input_forget=False,
    batch_first=False,
):
    """LSTM of x (T, B, I): y (T, D, B, H) and the last states (D, B, H).

    Gates are input, output, forget, cell: w (D, 4H, I), r (D, 4H, H), b (D, 8H), and
    peepholes p (D, 3H).  h and c may be the first states (D, B, H).  input_forget makes
    the forget gate 1 - input.
    """
    rows = x.shape[0 if batch_first else 1]

    def layer(d, x, w, r, b, p):
        part, r = activations[3 * d : 3 * d + 3], of_state(r, rows)
        step = lstm_step(lambda h: h @ r, part, p, clip, input_forget)
        return step, with_biases(x @ w.T, b)

    weights, state = (w, r, b, p), (h, c)
    return recurrent(layer, x, weights, state, direction, lengths, batch_first)
