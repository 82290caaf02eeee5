"""A default export of a fresh model keeps one tensor for all equal biases, or none."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import pytest
import torch

import oxide_xla

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "oxide_xla"


class Net(torch.nn.Module):
    """Three layers whose biases are all zero, as nn.init leaves them."""

    def __init__(self, zero):
        super().__init__()
        for name in ("one", "two", "three"):
            setattr(self, name, torch.nn.Linear(4, 4))
            if zero:
                torch.nn.init.zeros_(getattr(self, name).bias)

    def forward(self, x):
        return self.three(self.two(self.one(x).relu()).relu())


X = torch.ones(2, 4)


def default_export(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (X,), path, dynamo=True, verbose=False)


# pytorch/pytorch#95867: the biases of a fresh ResNet are one tensor in the file.
@pytest.mark.parametrize("zero", [False, True])
def test_biases_that_vanish_are_counted(zero, tmp_path):
    default_export(Net(zero), tmp_path / "m.onnx")
    done = subprocess.run(
        [PROGRAM, "compile", "m.onnx"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if not zero:
        assert "warning" not in done.stderr
        return
    assert (
        "warning[OX0508]: 3 parameters of the PyTorch module are not in the file"
        in (done.stderr)
    )
    assert "oxide_xla.from_torch" in done.stderr


def test_the_bridge_keeps_them():
    compiled = oxide_xla.from_torch(Net(zero=True).eval(), (X,))
    assert compiled.messages == ""
    assert {"one.bias", "two.bias", "three.bias"} <= set(compiled.params)
