"""The four pillars, measured for one model through one exporter.

Identity: the outputs equal PyTorch's. Shape inference: every node has the type that
JAX computes for it. Stateless: BatchNorm buffers are parameters. End to end: the time
of a jitted call against PyTorch eager.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import onnx
import torch

from models import zoo

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
EXPORTERS = ("bridge", "dynamo", "torchscript")
MSE_LIMIT = 1e-10

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


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    architecture: str
    exporter: str
    shape: tuple[int, ...]
    torch_sum: float
    jax_sum: float
    mse: float
    speedup: float

    @property
    def passed(self) -> bool:
        return self.mse < MSE_LIMIT


def identity(model: zoo.ZooModel, exporter: str, folder: Path) -> tuple[float, ...]:
    """(torch sum, JAX sum, mean squared error) on the model's example input."""
    module, inputs = model.build(), model.inputs()
    expected = model.outputs(module, *inputs).numpy()
    generated = compile_file(zoo.exported(model, exporter), folder / "model_jax.py")
    params = load(generated, module, exporter)
    actual = sole_output(generated.forward(params, *(x.numpy() for x in inputs)))
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    mse = float(np.mean((actual.astype(np.float64) - expected) ** 2))
    return float(expected.sum()), float(actual.sum()), mse


def _median_ms(call, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def speedup(
    model: zoo.ZooModel, exporter: str, folder: Path, repeats: int = 20
) -> float:
    """Time of PyTorch eager over time of the jitted forward, medians of one run."""
    module, inputs = model.build(), model.inputs()
    generated = compile_file(zoo.exported(model, exporter), folder / "model_jax.py")
    params = jax.device_put(load(generated, module, exporter))
    arrays = [jax.numpy.asarray(x.numpy()) for x in inputs]

    def run_jax():
        jax.block_until_ready(generated.forward(params, *arrays))

    def run_torch():
        model.outputs(module, *inputs)

    for warm_up in (run_jax, run_torch):
        _median_ms(warm_up, 3)
    return _median_ms(run_torch, repeats) / _median_ms(run_jax, repeats)


def measure(model: zoo.ZooModel, exporter: str, folder: Path) -> Row:
    """All columns of the table for one model and exporter."""
    torch_sum, jax_sum, mse = identity(model, exporter, folder)
    ratio = speedup(model, exporter, folder)
    return Row(
        model.architecture, exporter, model.shape, torch_sum, jax_sum, mse, ratio
    )


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
