"""LSTM and GRU of PyTorch: layers that take its parameters as they are."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from graphs import check_text

import oxide_xla

RNG = np.random.default_rng(0)


def some(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


class Recurrent(torch.nn.Module):
    """A stack of layers; what `read` takes of y and the last states."""

    def __init__(self, kind, read, **options):
        super().__init__()
        self.rnn = kind(6, 8, **options)
        self.read = read

    def forward(self, *inputs):
        y, state = self.rnn(*inputs)
        return self.read(y, *(state if isinstance(state, tuple) else (state,)))


def check(module, *inputs):
    """What the code computes, and gradients of its parameters; its source."""
    module.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = oxide_xla.from_torch(module, inputs)
    expected = module(*inputs)
    arrays = [x.numpy() for x in jax.tree.leaves(inputs)]
    actual = compiled.forward(compiled.params, *arrays)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e.detach().numpy(), rtol=1e-4, atol=1e-5)
    sum(x.square().sum() for x in jax.tree.leaves(expected)).backward()
    gradients = jax.grad(
        lambda params: sum(
            jnp.sum(x**2) for x in jax.tree.leaves(compiled.forward(params, *arrays))
        )
    )(compiled.params)
    assert gradients.keys() == {name for name, _ in module.named_parameters()}
    for name, p in module.named_parameters():
        np.testing.assert_allclose(
            gradients[name], p.grad.numpy(), rtol=1e-3, atol=1e-4, err_msg=name
        )
    return compiled.source


KINDS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
SHAPES = {
    "one": {},
    "batch_first": {"batch_first": True},
    "two": {"num_layers": 2},
    "both": {"bidirectional": True},
    "both_of_two": {"bidirectional": True, "num_layers": 2, "batch_first": True},
    "no_bias": {"bias": False},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind, shape):
    module = Recurrent(KINDS[kind], lambda y, *_: y, **SHAPES[shape])
    source = check(module, torch.randn(5, 3, 6))
    assert f"def {kind}_layer(" in source
    assert "_gates" not in source


@pytest.mark.parametrize("kind", KINDS)
def test_all_results(kind):
    module = Recurrent(KINDS[kind], lambda *x: x, num_layers=2, bidirectional=True)
    assert f"def {kind}_layer(" in check(module, torch.randn(5, 3, 6))


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_states_of_the_last_layer(kind):
    options = {"num_layers": 2, "bidirectional": True}
    module = Recurrent(KINDS[kind], lambda y, h, *_: h[-1] - h[-2], **options)
    source = check(module, torch.randn(5, 3, 6))
    assert "concatenate([h" not in source


@pytest.mark.parametrize("layers", [1, 2])
def test_states_are_given(layers):
    module = Recurrent(torch.nn.LSTM, lambda *x: x, num_layers=layers)
    h, c = torch.randn(layers, 3, 8), torch.randn(layers, 3, 8)

    class Given(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = module.rnn

        def forward(self, x, h, c):
            return self.rnn(x, (h, c))

    assert "h=" in check(Given(), torch.randn(5, 3, 6), h, c)


WEIGHTS = """
  a = Constant<value = int64[1] {0}> ()  b = Constant<value = int64[1] {2}> ()
  c = Constant<value = int64[1] {4}> ()  d = Constant<value = int64[1] {6}> ()
  e = Constant<value = int64[1] {8}> ()
  wi = Slice(w, a, b)  wf = Slice(w, b, c)  wc = Slice(w, c, d)  wo = Slice(w, d, e)
  ri = Slice(r, a, b)  rf = Slice(r, b, c)  rc = Slice(r, c, d)  ro = Slice(r, d, e)
  ww = Concat<axis=0>(wi, wo, wf, wc)  rr = Concat<axis=0>(ri, ro, rf, rc)
  W = Unsqueeze(ww, a)  R = Unsqueeze(rr, a)
"""


@pytest.mark.parametrize(
    "call",
    [
        "LSTM<hidden_size=2, clip=0.5>(x, W, R)",
        "LSTM<hidden_size=2, input_forget=1>(x, W, R)",
        'LSTM<hidden_size=2, activations=["Tanh", "Tanh", "Tanh"]>(x, W, R)',
        "LSTM<hidden_size=2>(x, W, R, , lengths)",
    ],
)
def test_what_pytorch_does_not_have_stays(call):
    weights = "float[8,3] w = {W}, float[8,2] r = {R}".format(
        W="{" + ", ".join(map(str, some(24))) + "}",
        R="{" + ", ".join(map(str, some(16))) + "}",
    )
    lengths = "int32[4] lengths = {5, 4, 3, 2}"
    text = f"""g (float[5,4,3] x) => (float[5,1,4,2] y)
      <{weights}, {lengths}> {{ {WEIGHTS} y = {call} }}"""
    check_text(text, [some(5, 4, 3)], contains=["lstm("], lacks=["lstm_layer"])
