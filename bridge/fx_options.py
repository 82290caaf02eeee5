"""The command line of fx_export.py, and the example inputs that it asks for."""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__:
    from . import fx_call, fx_cross, fx_exporters
    from .fx_errors import UsageError
else:
    import fx_call
    import fx_cross
    import fx_exporters
    from fx_errors import UsageError

if TYPE_CHECKING:
    import torch

INPUT = re.compile(
    rf"(?:(?P<name>{fx_call.IDENTIFIER})=)?(?P<shape>scalar|\d+(?:x\d+)*)(?::(?P<dtype>\w+))?"
)
DYNAMIC = re.compile(
    rf"(?P<input>{fx_call.IDENTIFIER}):(?P<axis>\d+)=(?P<dim>{fx_call.IDENTIFIER})",
    re.ASCII,
)
TOP_LEVEL_COMMA = re.compile(r",(?![^\[({]*[\])}])")


@dataclass(frozen=True)
class InputSpec:
    """One `--input`: a shape, a dtype (None: by name) and perhaps a name."""

    shape: tuple[int, ...]
    dtype: str | None = None
    name: str | None = None


def parse_input(text: str) -> InputSpec:
    """Parse `[NAME=]1x3x224x224[:DTYPE]`; a tensor without axes is `scalar`."""
    match = INPUT.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not [NAME=]SHAPE[:DTYPE], such as x=1x3x224x224:float32"
        )
    shape = match["shape"]
    sizes = () if shape == "scalar" else tuple(int(n) for n in shape.split("x"))
    return InputSpec(sizes, match["dtype"], match["name"])


def parse_dynamic(text: str) -> str | fx_call.Axes:
    """Parse `batch`, or `x:0=batch,x:1=seq`."""
    if re.fullmatch(fx_call.IDENTIFIER, text, re.ASCII):
        return text
    axes: fx_call.Axes = {}
    for part in text.split(","):
        match = DYNAMIC.fullmatch(part)
        if not match:
            raise argparse.ArgumentTypeError(
                f"{part!r} is neither NAME (axis 0 of every input) nor INPUT:AXIS=NAME"
            )
        axes.setdefault(match["input"], {})[int(match["axis"])] = match["dim"]
    return axes


def parse_config(text: str) -> dict[str, Any]:
    """Parse a JSON object, or `key=value,...` with JSON values or plain words."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    config = {}
    for part in TOP_LEVEL_COMMA.split(text):
        key, equals, value = part.partition("=")
        if not equals or not key.strip().isidentifier():
            raise argparse.ArgumentTypeError(f"{part!r} is not key=value")
        config[key.strip()] = _parse_value(value.strip())
    return config


def _parse_value(text: str) -> Any:
    """A JSON value, Python's True, False or None, or else the text itself."""
    words = {"True": True, "False": False, "None": None}
    try:
        return words[text] if text in words else json.loads(text)
    except json.JSONDecodeError:
        return text


def default_inputs(module: torch.nn.Module) -> list[InputSpec]:
    """The usual input of torchvision's and transformers' models."""
    main = getattr(module, "main_input_name", None)
    config = getattr(module, "config", None)
    if main == "input_ids":
        return [InputSpec((1, 15), "int64", main)]
    if main == "pixel_values":
        size = getattr(config, "image_size", None) or 224
        height, width = (size, size) if isinstance(size, int) else size
        channels = getattr(config, "num_channels", None) or 3
        return [InputSpec((1, channels, height, width), "float32", main)]
    if type(module).__module__.startswith("torchvision.models."):
        return [InputSpec((1, 3, 224, 224), "float32")]
    raise UsageError("give the shape of each input: --input 1x3x224x224:float32")


def make_call(module: torch.nn.Module, specs: Sequence[InputSpec]) -> fx_call.Call:
    """Make example inputs; unnamed ones are positional, in the order of `forward`."""
    parameters = inspect.signature(module.forward).parameters
    any_name = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    args, kwargs = [], {}
    names, _ = fx_call.positional_names(module)
    for spec in specs:
        if spec.name is None:
            name = names[len(args)] if len(args) < len(names) else ""
            args.append(make_tensor(spec, name))
        elif spec.name in kwargs:
            raise UsageError(f"input {spec.name!r} is given twice")
        elif spec.name in parameters or any_name:
            kwargs[spec.name] = make_tensor(spec, spec.name)
        else:
            raise UsageError(f"forward has no {spec.name!r}, only {list(parameters)}")
    return fx_call.bind(module, tuple(args), kwargs)


def make_tensor(spec: InputSpec, name: str) -> torch.Tensor:
    """A tensor to trace with: noise, token 0, or for a mask all ones."""
    import torch

    integral = name.endswith(("_ids", "mask"))
    dtype = getattr(torch, spec.dtype or ("int64" if integral else "float32"), None)
    if not isinstance(dtype, torch.dtype):
        raise UsageError(f"no dtype {spec.dtype!r}; give float32, int64, bool, ...")
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(spec.shape).to(dtype)
    return torch.full(spec.shape, int("mask" in name), dtype=dtype)


def merge_dynamic(
    requests: Sequence[str | fx_call.Axes], call: fx_call.Call
) -> fx_call.Axes:
    """All `--dynamic` options together."""
    axes: fx_call.Axes = {}
    for request in requests:
        for name, entry in fx_call.normalize_axes(request, call).items():
            axes.setdefault(name, {}).update(entry)
    return axes


def make_parser() -> argparse.ArgumentParser:
    """The command line, as `--help` prints it."""
    parser = argparse.ArgumentParser(
        prog="fx_export",
        description="Export a PyTorch model to ONNX, keeping its state_dict names.",
        epilog="exit status: 0 done, 1 the model fails, 2 usage, 3 input or output",
    )
    option = parser.add_argument
    option(
        "--model",
        required=True,
        metavar="PATH",
        help="dotted path to a module class, a factory, a module, or a transformers "
        "model or config class",
    )
    option(
        "--config",
        type=parse_config,
        default={},
        metavar="K=V,...",
        help="arguments of the class, factory or config; or a JSON object",
    )
    option(
        "--input",
        type=parse_input,
        action="append",
        metavar="SPEC",
        help="[NAME=]1x3x224x224[:float32], once per input; torchvision and "
        "transformers models have a default",
    )
    option(
        "--dynamic",
        type=parse_dynamic,
        action="append",
        default=[],
        metavar="DIMS",
        help="batch (axis 0 of every input), or x:0=batch,x:1=seq",
    )
    option(
        "--cache",
        type=int,
        metavar="N",
        help="one step of a transformers decoder with a key-value cache, of N "
        "positions unless init_cache is asked for others",
    )
    option(
        "--part",
        choices=fx_cross.PARTS,
        help="with --cache, of an encoder-decoder: a step, which is the default, or "
        "what it reads of the input",
    )
    option(
        "--weights", type=Path, metavar="FILE", help="state_dict: .pt or .safetensors"
    )
    option(
        "--exporter", choices=fx_exporters.NAMES, default="dynamo", help="tried first"
    )
    option("--opset", type=int, metavar="N", help="ONNX opset (the exporter's default)")
    option("--seed", type=int, default=0, metavar="N", help="for weights not loaded")
    option("--output", default="-", metavar="FILE", help="- for stdout, the default")
    option("--keep-stack-traces", action="store_true", help="keep nodes' source lines")
    option(
        "--verbose",
        action="store_true",
        help="print all that the exporters print, and tracebacks",
    )
    return parser
