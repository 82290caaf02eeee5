"""Scripted modules leave an If wherever PyTorch asks for a rank or a size, and its
branches differ in rank: what follows must compile all the same."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch

import oxide_xla


class Voice(torch.nn.Module):
    """A frame of a signal for each call: the convolution leaves a length of 1, which
    goes, and a cell keeps the state."""

    def __init__(self, stride: int):
        super().__init__()
        self.frames = torch.nn.Conv1d(1, 4, 8, stride)
        self.cell = torch.nn.LSTMCell(4, 3)
        self.head = torch.nn.Conv1d(3, 1, 1)

    def forward(self, x: torch.Tensor, state: torch.Tensor):
        x = torch.relu(self.frames(x.unsqueeze(1))).squeeze(-1)
        h, c = self.cell(x, (state[0], state[1]))
        y = torch.sigmoid(self.head(h.unsqueeze(-1)))
        return y.squeeze(1), torch.stack([h, c])


class Rates(torch.nn.Module):
    """One of two networks, by the sample rate, which is an input."""

    def __init__(self):
        super().__init__()
        self.high, self.low = Voice(8), Voice(4)

    def forward(self, x: torch.Tensor, state: torch.Tensor, rate: int):
        if rate == 16000:
            return self.high(x, state)
        elif rate == 8000:
            return self.low(x, state)
        raise ValueError("no such rate")


INPUTS = {"x": {0: "batch", 1: "length"}, "state": {1: "batch"}}


def export(module, arguments, path):
    """A file of the TorchScript exporter, with open sizes, and a session for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            torch.jit.script(module.eval()),
            arguments,
            path,
            dynamo=False,
            input_names=["x", "state", "rate"][: len(arguments)],
            dynamic_axes=INPUTS,
            opset_version=16,
        )
    return onnxruntime.InferenceSession(path)


def check(compiled, session, inputs):
    expected = session.run(None, inputs)
    actual = compiled.forward(compiled.params, *inputs.values())
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-6)


def signal(batch, length):
    rng = np.random.default_rng(length)
    x = rng.standard_normal((batch, length)).astype(np.float32)
    return {"x": x, "state": rng.standard_normal((2, batch, 3)).astype(np.float32)}


# snakers4/silero-vad#728
def test_squeeze_before_a_cell(tmp_path):
    """Only a length of 1 fits the cell, so that the rank is known; the file is jitted,
    and says no to other lengths."""
    example = torch.zeros(1, 8), torch.zeros(2, 1, 3)
    session = export(Voice(8), example, tmp_path / "voice.onnx")
    compiled = oxide_xla.compile(tmp_path / "voice.onnx")
    assert not compiled.messages
    assert "@jax.jit\ndef forward(" in compiled.source
    for batch, length in ((1, 8), (3, 15)):
        check(compiled, session, signal(batch, length))
    with pytest.raises(ValueError, match="cannot run"):
        compiled.forward(compiled.params, *signal(1, 16).values())


# snakers4/silero-vad#728
def test_two_networks_by_sample_rate(tmp_path):
    """The length that one network needs is none for the other, so JAX must not trace
    both."""
    example = torch.zeros(1, 8), torch.zeros(2, 1, 3), torch.tensor(16000)
    session = export(Rates(), example, tmp_path / "rates.onnx")
    compiled = oxide_xla.compile(tmp_path / "rates.onnx")
    for rate, length in ((16000, 15), (8000, 8)):
        check(compiled, session, signal(2, length) | {"rate": np.array(rate)})
    with pytest.raises(ValueError, match="cannot run"):
        compiled.forward(compiled.params, *signal(1, 15).values(), 8000)
