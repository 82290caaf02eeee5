"""One architecture through one exporter: compiled, run in JAX, compared with PyTorch.

The error is the mean square of the difference over the variance of PyTorch's output, so
that it means the same for logits and for feature maps.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file

import fx_call
from models import exports, pillars
from models.architectures import Architecture

LIMIT = 1e-10
# Types of fewer bits: their rounding, some steps of it, squared.
HALF_LIMITS = {torch.float16: 1e-5, torch.bfloat16: 1e-3}


@dataclass(frozen=True)
class Comparison:
    """What one file gives."""

    error: float  # at the sizes of the export
    second: float | None  # at the second sizes; None: the file is fixed
    frozen: bool  # onnxruntime fails at the second sizes too: the exporter froze them
    lines: int  # of the generated file
    trained: float | str  # with another state_dict; text: why it was refused


def limit(entry: Architecture) -> float:
    """The largest error that passes."""
    return HALF_LIMITS[entry.half] if entry.half else LIMIT


def relative_error(actual: np.ndarray, expected: torch.Tensor) -> float:
    """Mean square of the difference over the variance; infinite where types differ."""
    if tuple(actual.shape) != tuple(expected.shape):
        return float("inf")
    if not expected.is_floating_point():
        return 0.0 if np.array_equal(actual, expected.numpy()) else float("inf")
    if str(actual.dtype) != str(expected.dtype).removeprefix("torch."):
        return float("inf")
    a, b = actual.astype(np.float64), expected.double().numpy()
    with np.errstate(invalid="ignore"):
        difference = np.where(a == b, 0.0, a - b)  # equal infinities differ by nothing
    scale = np.var(b[np.isfinite(b)]) if np.isfinite(b).any() else 0.0
    scale = scale or np.mean(b**2) or 1.0
    return float(np.mean(difference**2) / scale) if b.size else 0.0


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A tensor for JAX; numpy knows bfloat16 through JAX only."""
    if tensor.dtype == torch.bfloat16:
        return tensor.float().numpy().astype(jax.numpy.bfloat16)
    return tensor.numpy()


def eager(module: torch.nn.Module, inputs: dict[str, torch.Tensor]):
    """PyTorch's outputs, flat."""
    with torch.no_grad():
        return [t for _, t in fx_call.named_outputs(module(**inputs))]


def other_inputs(entry: Architecture) -> dict[str, torch.Tensor]:
    """Inputs of the same sizes with other values; masks stay."""
    generator = torch.Generator().manual_seed(2)
    result = entry.make_inputs()
    for given in entry.inputs:
        tensor = result[given.name]
        if given.tokens:
            result[given.name] = tensor.flip(-1)
        elif tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            result[given.name] = tensor + 0.5 * noise.to(tensor.dtype)
    return result


def input_names(path: Path) -> list[str]:
    """The graph's inputs in order: what `forward` takes."""
    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in stored]


def worst_error(generated, params, names, inputs, expected) -> float:
    """The largest error over the outputs."""
    arrays = [to_numpy(inputs[name]) for name in names]
    outputs = generated.forward(params, *arrays)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    if len(outputs) != len(expected):
        return float("inf")
    pairs = zip(outputs, expected, strict=True)
    return max(relative_error(np.asarray(a), b) for a, b in pairs)


def runtime_disagrees(path: Path, names, inputs, expected, most: float) -> bool:
    """Whether onnxruntime, too, cannot run this file at these sizes."""
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # half floats crash it
    options.graph_optimization_level = level
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options)
        outputs = session.run(None, {name: inputs[name].numpy() for name in names})
    except Exception:  # noqa: BLE001 - it raises classes of its own
        return True
    pairs = zip(outputs, expected, strict=True)
    return max(relative_error(np.asarray(a), b) for a, b in pairs) > most


def compile_to(folder: Path, entry: Architecture, path: Path):
    """Compile the export with the program and import the result."""
    return pillars.compile_file(path, folder / f"{entry.name}_jax.py")


def train(module: torch.nn.Module) -> None:
    """Give it other weights; tied ones stay tied."""
    generator = torch.Generator().manual_seed(7)
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for tensor in parameters.values():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor += 0.02 * noise.to(tensor.dtype)
        for key, tensor in module.state_dict().items():
            if key not in parameters and tensor.is_floating_point():
                tensor *= 1.1  # the statistics of a normalization


def trained(entry: Architecture) -> torch.nn.Module:
    """The same architecture with other weights."""
    module = entry.build()
    train(module)
    return module


def save_plain(module: torch.nn.Module, path: Path) -> None:
    """What `safetensors.torch.save_file` makes of a state_dict."""
    state = {k: v.clone().contiguous() for k, v in module.state_dict().items()}
    save_file(state, path)


def trained_error(module, generated, names, inputs, folder: Path) -> float | str:
    """The error when a plain state_dict of other values is loaded, or why it is not;
    the module then has those values."""
    path = folder / "trained.safetensors"
    train(module)
    save_plain(module, path)
    try:
        params = generated.load_params(path)
    except ValueError as refusal:
        return str(refusal)
    return worst_error(generated, params, names, inputs, eager(module, inputs))


def compare(entry: Architecture, exporter: str) -> Comparison:
    """Compile, run at both sizes and with other weights, compare."""
    export = exports.exported(entry, exporter)
    module, names = entry.build(), input_names(export.path)
    with tempfile.TemporaryDirectory() as folder:
        generated = compile_to(Path(folder), entry, export.path)
        lines = len(Path(generated.__file__).read_text().splitlines())
        params = generated.load_params()
        inputs = entry.make_inputs()
        expected = eager(module, inputs)
        error = worst_error(generated, params, names, inputs, expected)
        larger = entry.make_inputs(second=export.axes)
        if export.dynamic:
            expected = eager(module, larger)  # before the module changes
        other = trained_error(module, generated, names, inputs, Path(folder))
        if not export.dynamic:
            return Comparison(error, None, False, lines, other)
        inputs = larger
        try:
            second = worst_error(generated, params, names, inputs, expected)
        except (TypeError, ValueError):  # the sizes do not fit
            second = float("inf")
        most = limit(entry)
        frozen = second > most and runtime_disagrees(
            export.path, names, inputs, expected, most
        )
    return Comparison(error, second, frozen, lines, other)
