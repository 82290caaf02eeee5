"""LSTM whose weights are integers of 8 bits and whose products are sums of integers."""

import jax
import jax.numpy as jnp

from quant import dynamic_matmul
from rnn import lstm_step, recurrent, with_biases


def quantized_lstm(
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
    *,
    w_scale,
    r_scale,
    w_zero=None,
    r_zero=None,
):
    """lstm with integers w (D, I, 4H), r (D, H, 4H); x, and the state at each step,
    become integers over their own range.

    A scale or zero point is (D,), or (D, 4H).
    """

    def layer(d, x, w, r, b, p, w_scale, r_scale, w_zero, r_zero):
        def from_h(h):
            return dynamic_matmul(h, r.T, r_scale, 0 if r_zero is None else r_zero)

        part = activations[3 * d : 3 * d + 3]
        step = lstm_step(from_h, part, p, clip, input_forget)
        x = dynamic_matmul(x, w.T, w_scale, 0 if w_zero is None else w_zero)
        return step, with_biases(x, b)

    weights = (w.mT, r.mT, b, p, w_scale, r_scale, w_zero, r_zero)
    return recurrent(layer, x, weights, (h, c), direction, lengths, False)
