"""The four pillars, measured for one model through one exporter.

Identity: the outputs equal PyTorch's. Shape inference: every node has the type that
JAX computes for it. Stateless: BatchNorm buffers are parameters. End to end: the time
of a jitted call against PyTorch eager, which bench/contest.py measures.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import torch

from models import zoo

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
EXPORTERS = ("bridge", "dynamo", "torchscript")
MSE_LIMIT = 1e-10
MODULE = "model_jax.py"  # what `identity` leaves in the folder

_serial = itertools.count()


def compile_file(path: Path, output: Path, *options: str) -> ModuleType:
    """Compile an ONNX file with the program and import the module it writes."""
    command = [PROGRAM, "compile", str(path), "--output", str(output), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return import_file(output)


def import_file(path: Path) -> ModuleType:
    """Import a generated file under a name of its own."""
    name = f"generated_{path.stem}_{next(_serial)}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def state_dict_params(module: torch.nn.Module, keys) -> dict[str, np.ndarray]:
    """The entries of the state_dict with these names: all must exist."""
    state = module.state_dict()
    return {key: state[key].numpy() for key in keys}


def load(generated: ModuleType, module: torch.nn.Module, exporter: str):
    """Parameters: by name from PyTorch through the bridge, else from the file."""
    params = generated.load_params()
    if exporter != "bridge":
        return params
    named = state_dict_params(module, [k for k in params if k in module.state_dict()])
    return {**params, **named}


def sole_output(result) -> np.ndarray:
    """The output of a model that has one."""
    assert not isinstance(result, tuple), "more than one output"
    return np.asarray(result)


def identity(model: zoo.ZooModel, exporter: str, folder: Path) -> tuple[float, ...]:
    """(torch sum, JAX sum, mean squared error) on the model's example input."""
    module, inputs = model.build(), model.inputs()
    expected = model.outputs(module, *inputs).numpy()
    generated = compile_file(zoo.exported(model, exporter), folder / MODULE)
    params = load(generated, module, exporter)
    actual = sole_output(generated.forward(params, *(x.numpy() for x in inputs)))
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    mse = float(np.mean((actual.astype(np.float64) - expected) ** 2))
    return float(expected.sum()), float(actual.sum()), mse


def batch_norm_buffers(module: torch.nn.Module) -> list[str]:
    """Names of the running statistics in the state_dict."""
    endings = (".running_mean", ".running_var")
    return [key for key in module.state_dict() if key.endswith(endings)]


def fixed_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the inputs of a file without symbolic dimensions."""
    graph = onnx.load(path, load_external_data=False).graph
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in graph.input
    }
