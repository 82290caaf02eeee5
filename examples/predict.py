"""What the scripts verify_*.py share: export a classifier, compile it, and
compare the class that PyTorch and JAX predict."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# From the source tree; the models are those of the tests.
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("python", "bridge", "tests")]
# Without a network the attempt should end soon; read when huggingface_hub is imported.
os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")

import torch

import fx_export
import oxide_xla
from models import pillars, zoo

MSE_LIMIT = 1e-10


@dataclass(frozen=True)
class Classifier:
    """A pretrained model, and the same without its weights."""

    name: str
    pretrained: Callable[[], torch.nn.Module]  # downloads
    untrained: Callable[[bool], torch.nn.Module]  # True: a small one
    inputs: Callable[[torch.nn.Module, bool], tuple[torch.Tensor, ...]]


def build(classifier: Classifier, options: argparse.Namespace):
    """The module in inference mode, and what its weights are."""
    if not options.random and not options.small:
        try:
            return classifier.pretrained().eval(), "pretrained"
        except Exception as error:  # each library has its own for "no network"
            reason = str(error).strip().splitlines() or [type(error).__name__]
            print(f"no pretrained weights: {reason[0]}", file=sys.stderr)
    torch.manual_seed(0)
    module = classifier.untrained(options.small)
    zoo.randomize(module)
    return module.eval(), "random"


def logits_of(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> np.ndarray:
    with torch.no_grad():
        result = module(*inputs)
    return (result if isinstance(result, torch.Tensor) else result.logits).numpy()


def compiled_logits(name: str, module, inputs) -> np.ndarray:
    """Through the files: NAME_jax.py and its weights, in the working directory."""
    data = fx_export.export(module, inputs)
    path = oxide_xla.compile(data, name=name).save(f"{name}_jax.py")
    print(f"Compiled: {path}")
    generated = pillars.import_file(path.resolve())
    params = generated.load_params()
    return pillars.sole_output(generated.forward(params, *(x.numpy() for x in inputs)))


def predicted(logits: np.ndarray) -> tuple[int, float]:
    """The class of the first row and its probability."""
    row = logits[0].astype(np.float64)
    exp = np.exp(row - row.max())
    return int(row.argmax()), float(exp.max() / exp.sum())


def main(classifier: Classifier, arguments: Sequence[str] | None = None) -> int:
    """Run one script; 1 when PyTorch and JAX disagree."""
    parser = argparse.ArgumentParser(description=f"Verify {classifier.name} in JAX.")
    parser.add_argument("--random", action="store_true", help="do not try to download")
    parser.add_argument("--small", action="store_true", help="shrunk, random weights")
    options = parser.parse_args(arguments)
    module, weights = build(classifier, options)
    print(f"Weights: {weights}")
    inputs = classifier.inputs(module, options.small)
    expected = logits_of(module, inputs)
    actual = compiled_logits(classifier.name, module, inputs)
    for framework, logits in (("PyTorch", expected), ("JAX", actual)):
        label, probability = predicted(logits)
        print(f"{framework} Predicted ID: {label}, Prob: {probability:.4f}")
    mse = float(np.mean((actual.astype(np.float64) - expected) ** 2))
    same = predicted(actual)[0] == predicted(expected)[0] and mse < MSE_LIMIT
    print("--- Verification ---")
    print(f"MSE: {mse:.2e}")
    print("Status: SUCCESS - Class match verified" if same else "Status: FAILED")
    return 0 if same else 1
