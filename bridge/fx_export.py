#!/usr/bin/env python3
r"""Export a PyTorch model to ONNX for OxideXLA, on standard output.

    python bridge/fx_export.py --model torchvision.models.resnet18 \
        | oxide_xla compile - --output r18.py

The exporters' own defaults fold BatchNorm into convolutions and rename transposed
weights. This bridge turns both off, so that each parameter keeps its `state_dict` name
and value. Nothing but the model goes to stdout; every message goes to stderr.

As a module: `export(module, args, ...)` returns the bytes of the model.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import inspect
import json
import logging
import os
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__:
    from . import fx_call, fx_model, fx_operators, fx_refuse, fx_state
    from .fx_errors import BridgeError, ModelError, UsageError, innermost, reason
else:
    import fx_call
    import fx_model
    import fx_operators
    import fx_refuse
    import fx_state
    from fx_errors import BridgeError, ModelError, UsageError, innermost, reason

if TYPE_CHECKING:
    import onnx
    import torch

DATA_DEPENDENT = "GuardOnDataDependentSymNode"  # torch.export's error for such an `if`
EXPORTERS = ("dynamo", "torchscript")
# Tells the compiler that parameters which are not in the file are not used either.
UNOPTIMIZED = "oxide_xla.bridge"
PROTOBUF_LIMIT = 2**31 - 2**24  # protobuf's 2 GB, less room for the graph
INPUT = re.compile(
    rf"(?:(?P<name>{fx_call.IDENTIFIER})=)?(?P<shape>scalar|\d+(?:x\d+)*)(?::(?P<dtype>\w+))?"
)
DYNAMIC = re.compile(
    rf"(?P<input>{fx_call.IDENTIFIER}):(?P<axis>\d+)=(?P<dim>{fx_call.IDENTIFIER})",
    re.ASCII,
)
TOP_LEVEL_COMMA = re.compile(r",(?![^\[({]*[\])}])")


@dataclass(frozen=True)
class Plan:
    """What an exporter is to do: the call to trace, and what must come of it."""

    call: fx_call.Call
    axes: fx_call.Axes  # the dynamic dimensions asked for
    names: list[str]  # of the outputs; empty where the module gives none
    varying: list[set[int]]  # each output's axes that depend on dynamic dimensions
    opset: int | None
    verbose: bool  # let the exporters print


@dataclass(frozen=True)
class InputSpec:
    """One `--input`: a shape, a dtype (None: by name) and perhaps a name."""

    shape: tuple[int, ...]
    dtype: str | None = None
    name: str | None = None


def note(message: str) -> None:
    """Print one message line on stderr."""
    print(f"fx_export: {message}", file=sys.stderr)


# The Python interface --------------------------------------------------------------


def export(module: torch.nn.Module, args: Any = (), kwargs=None, **options) -> bytes:
    """Export `module` and return the serialized model, weights included.

    Takes the options of `export_model`. Raises ModelError or UsageError, also where
    the model is above the 2 GB that fit in one protobuf message.
    """
    return serialize(export_model(module, args, kwargs, **options))


def export_model(
    module: torch.nn.Module,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    exporter: str = "dynamo",
    fallback: bool = True,
    opset: int | None = None,
    keep_stack_traces: bool = False,
    verbose: bool = False,
    log: fx_call.Log = note,
) -> onnx.ModelProto:
    """Export `module`, called as `module(*args, **kwargs)`, in inference mode.

    `dynamic_shapes` is one name for axis 0 of every input, a mapping of input names to
    `{axis: name}`, or one such entry per argument (`torch.export.Dim` is a name too).
    A transformers model gives no key-value cache, and the module is left as it was
    found. Raises ModelError if no exporter succeeds, and where a graph would freeze or
    lose what the module does (see fx_refuse).
    """
    if exporter not in EXPORTERS:
        raise UsageError(f"no exporter {exporter!r}; there are {EXPORTERS}")
    fx_refuse.check_mode(module)
    call = fx_call.bind(module, args, kwargs or {})
    fx_refuse.check_call(call.named())
    axes = fx_call.normalize_axes(dynamic_shapes, call)
    call = fx_call.grow(call, axes)
    order = [exporter, *(e for e in EXPORTERS if fallback and e != exporter)]
    with _inference(module):
        with contextlib.redirect_stdout(sys.stderr), fx_refuse.watch_state(module):
            names, varying = fx_call.probe(module, call, axes)
        plan = Plan(call, axes, names, varying, opset, verbose)
        model = _first_success(module, plan, order, log)
    if not keep_stack_traces:
        strip_stack_traces(model)
    fx_state.annotate(model, module)
    _note_lost_names(module, model, log)
    return model


def serialize(model: onnx.ModelProto) -> bytes:
    """The bytes of `model`; raises ModelError above protobuf's limit."""
    size = weight_bytes(model)
    if size > PROTOBUF_LIMIT:
        raise ModelError(
            f"the weights take {size / 2**30:.1f} GiB and one ONNX message holds 2: "
            "write to a file (--output FILE), with the weights beside it"
        )
    return model.SerializeToString()


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write `model` to `path`, whole or not at all; OSError if that fails.

    Above 2 GB the weights go to `path` + ".data". A pipe or device is written directly.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(serialize(model))
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fx_export-") as folder:
        draft = Path(folder) / path.name
        if weight_bytes(model) > PROTOBUF_LIMIT:
            _save_with_external_data(model, draft)
        else:
            draft.write_bytes(serialize(model))
        for part in sorted(Path(folder).iterdir(), reverse=True):  # weights first
            part.chmod(draft.stat().st_mode)  # onnx keeps external data to the owner
            part.replace(path.parent / part.name)


def _save_with_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Write the graph to `path` and all weights to one file beside it."""
    import onnx

    onnx.save_model(
        model, path, save_as_external_data=True, location=f"{path.name}.data"
    )


def weight_bytes(model: onnx.ModelProto) -> int:
    """The size of the initializers' raw data."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


# Exporting -------------------------------------------------------------------------


def _first_success(
    module: torch.nn.Module, plan: Plan, order: Sequence[str], log: fx_call.Log
) -> onnx.ModelProto:
    """Try the exporters in order; ModelError with every reason if none succeeds."""
    failures: list[str] = []
    for exporter in order:
        notes: list[str] = []
        try:
            run = _export_dynamo if exporter == "dynamo" else _export_torchscript
            with contextlib.nullcontext() if plan.verbose else quiet():
                model = run(module, plan, notes.append)
            check_opset(model, plan.opset)
            check_dynamic(model, plan.axes, plan.varying)
            for message in notes:
                log(message)
            return model
        except Exception as error:  # noqa: BLE001 - exporters raise all kinds
            failures.append(f"the {exporter} exporter fails: {reason(error)}")
            last = error
        if exporter == order[-1]:
            break
        if type(innermost(last)).__name__ == DATA_DEPENDENT:
            failures.append(
                "help: it branches on the values of tensors; --exporter torchscript "
                "keeps only the branch that the example inputs take"
            )
            break
        log(f"{failures[-1]}; trying the other one")
    raise ModelError("\n".join(failures)) from last


def _export_dynamo(
    module: torch.nn.Module, plan: Plan, log: fx_call.Log
) -> onnx.ModelProto:
    """Export through torch.export, without the optimizer that renames weights."""
    import torch

    call, axes = plan.call, plan.axes
    program = torch.onnx.export(
        module,
        call.args,
        kwargs=call.kwargs,
        dynamo=True,
        optimize=False,
        verbose=False,
        opset_version=plan.opset,
        dynamic_shapes=_dynamo_shapes(module, call, axes) if axes else None,
        custom_translation_table=fx_operators.translations(),
    )
    fx_refuse.check_program(program.exported_program.graph)
    _name_outputs(program.model.graph, plan.names)
    model = program.model_proto
    fx_operators.add_functions(model)
    model.metadata_props.add(key=UNOPTIMIZED, value="the weights are the module's own")
    return model


def _dynamo_shapes(module, call: fx_call.Call, axes: fx_call.Axes) -> dict[str, Any]:
    """The `dynamic_shapes` of torch.export: an entry for every argument."""
    fixed, variadic = fx_call.positional_names(module)
    shapes: dict[str, Any] = {n: axes.get(n) for n in call.arg_names[: len(fixed)]}
    if extra := call.arg_names[len(fixed) :]:
        shapes[variadic] = tuple(axes.get(name) for name in extra)
    return shapes | {name: axes.get(name) for name in call.kwargs}


def _name_outputs(graph, names: Sequence[str]) -> None:
    """Rename the outputs of an onnx_ir graph to the names the module gives them.

    An output that is an input or a parameter, or that is listed twice, keeps its own.
    """
    if len(names) != len(graph.outputs):
        return
    taken = {v.name for node in graph.all_nodes() for v in node.outputs}
    taken |= {v.name for v in graph.inputs} | set(graph.initializers)
    for value, name in zip(graph.outputs, names):
        once = sum(value is other for other in graph.outputs) == 1
        if name and name not in taken and once and value.producer() is not None:
            value.name = name
            taken.add(name)


def _export_torchscript(
    module: torch.nn.Module, plan: Plan, log: fx_call.Log
) -> onnx.ModelProto:
    """Export by tracing, with constant folding and BatchNorm fusion turned off."""
    import onnx
    import torch

    tensors = plan.call.tensors()
    if any(fx_call.named_outputs(value) for value in plan.call.others().values()):
        raise ModelError("it takes tensors only, no lists or mappings of tensors")
    default = "output" if len(plan.names) == 1 else "output_{}"
    with (
        tempfile.TemporaryDirectory(prefix="fx_export-") as folder,
        tensors_only(module, plan.call),
        torch.no_grad(),
        _trace_warnings(log),
    ):
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            module,
            tuple(tensors.values()),
            path,
            dynamo=False,
            input_names=list(tensors),
            output_names=[n or default.format(i) for i, n in enumerate(plan.names)],
            dynamic_axes=plan.axes or None,
            opset_version=plan.opset,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )
        model = onnx.load(path)
    restore_shared(model, set(module.state_dict()))
    return model


@contextlib.contextmanager
def tensors_only(module: torch.nn.Module, call: fx_call.Call) -> Iterator[None]:
    """Make `module.forward` take the tensors of `call` and return a tuple of tensors.

    Tracing wants no keyword arguments, defaults or result classes. Exchanging the
    method, rather than wrapping the module, leaves the parameters' names alone.
    """
    original, own = module.forward, "forward" in vars(module)
    names = list(call.tensors())

    def forward(*tensors):
        bound = call.replaced(dict(zip(names, tensors)))
        outputs = fx_call.named_outputs(original(*bound.args, **bound.kwargs))
        return tuple(tensor for _, tensor in outputs)

    module.forward = forward
    try:
        yield
    finally:
        if own:
            module.forward = original
        else:
            del module.forward


@contextlib.contextmanager
def _trace_warnings(log: fx_call.Log) -> Iterator[None]:
    """Report where tracing took a value that may vary for a constant."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", torch.jit.TracerWarning)
        yield
    frozen = [w for w in caught if issubclass(w.category, torch.jit.TracerWarning)]
    if frozen:
        text = str(frozen[0].message).split(". ")[0]
        log(f"tracing may have frozen {len(frozen)} values, the first: {text}")


def restore_shared(model: onnx.ModelProto, wanted: set[str]) -> None:
    """Give each wanted name its own initializer again.

    The TorchScript exporter merges parameters with equal values, and keeps the names
    of the others as the outputs of Identity nodes.
    """
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        merged = node.op_type == "Identity" and node.input[0] in values
        if merged and node.output[0] in wanted:
            copy = model.graph.initializer.add()
            copy.CopyFrom(values[node.input[0]])
            copy.name = node.output[0]
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def check_opset(model: onnx.ModelProto, opset: int | None) -> None:
    """ModelError if the exporter gave another opset than the one asked for."""
    versions = [i.version for i in model.opset_import if i.domain in ("", "ai.onnx")]
    if opset is not None and opset not in versions:
        raise ModelError(f"it gives opset {versions[0]} where {opset} was asked for")


def check_dynamic(
    model: onnx.ModelProto, axes: fx_call.Axes, varying: list[set[int]]
) -> None:
    """ModelError if a requested dynamic dimension was lost on the way.

    `varying` has, for each output, the axes that change with the inputs' sizes.
    """
    inputs = {value.name: value for value in model.graph.input}
    for name, entry in axes.items():
        if name not in inputs:
            raise ModelError(f"the graph has no input {name!r}: is it unused?")
        for axis, dim in entry.items():
            if _fixed(inputs[name], axis):
                raise ModelError(f"dimension {dim!r} of {name!r} became a constant")
    for value, axes_that_vary in zip(model.graph.output, varying):
        for axis in sorted(axes_that_vary):
            if _fixed(value, axis):
                raise ModelError(
                    f"axis {axis} of output {value.name!r} became a constant, "
                    "though it depends on a dynamic dimension"
                )


def _fixed(value: onnx.ValueInfoProto, axis: int) -> bool:
    """Whether this axis of a graph input or output has a constant size."""
    dims = value.type.tensor_type.shape.dim
    return axis < len(dims) and dims[axis].HasField("dim_value")


def strip_stack_traces(model: onnx.ModelProto) -> None:
    """Remove the source positions that the exporter attaches to every node.

    They can be most of a file, and name folders of the machine it was made on.
    """
    pending = [*model.graph.node]
    for function in model.functions:
        pending.extend(function.node)
    while pending:
        node = pending.pop()
        kept = [p for p in node.metadata_props if "stack_trace" not in p.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                pending.extend(graph.node)


def _note_lost_names(
    module: torch.nn.Module, model: onnx.ModelProto, log: fx_call.Log
) -> None:
    """Say which parameters have no initializer of their name, nor a tied one."""
    present = {tensor.name for tensor in model.graph.initializer}
    state = module.state_dict(keep_vars=True)
    kept = {tensor.data_ptr() for name, tensor in state.items() if name in present}
    lost = [
        n for n, t in state.items() if n not in present and t.data_ptr() not in kept
    ]
    lost = [name for name in lost if not name.endswith("num_batches_tracked")]
    if lost:
        some = ", ".join(lost[:5]) + (", ..." if len(lost) > 5 else "")
        log(f"{len(lost)} of {len(state)} parameters are not in the graph: {some}")


@contextlib.contextmanager
def _inference(module: torch.nn.Module) -> Iterator[None]:
    """Inference mode, without a key-value cache among the outputs; then as before."""
    modes = [(m, m.training) for m in module.modules()]
    configs = {id(c): c for m, _ in modes if (c := getattr(m, "config", None))}
    cached = [c for c in configs.values() if getattr(c, "use_cache", None) is True]
    module.eval()
    for config in cached:
        config.use_cache = False
    try:
        yield
    finally:
        for config in cached:
            config.use_cache = True
        for submodule, training in modes:
            submodule.training = training


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what the exporters print, warn and log: the errors they raise say it.

    They also print from C++, so this works on the process's file descriptors.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        null = stack.enter_context(open(os.devnull, "w"))
        for stream in (1, 2):
            saved = os.dup(stream)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, stream)
            os.dup2(null.fileno(), stream)
        stack.enter_context(contextlib.redirect_stdout(null))
        stack.enter_context(contextlib.redirect_stderr(null))
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


# Command line ----------------------------------------------------------------------


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
        "--weights", type=Path, metavar="FILE", help="state_dict: .pt or .safetensors"
    )
    option("--exporter", choices=EXPORTERS, default="dynamo", help="tried first")
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


def run(options: argparse.Namespace) -> onnx.ModelProto:
    """Build the model the options ask for and export it."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        packages = Path(__file__).with_name("requirements.txt")
        raise ModelError(f"{error}: pip install -r {packages}") from error
    if options.config.get("use_cache"):
        raise UsageError("use_cache: a key-value cache cannot be an ONNX output")
    sys.path.insert(0, os.getcwd())
    target = fx_model.load_object(options.model)
    torch.manual_seed(options.seed)
    module = fx_model.build_module(target, options.config).eval()
    if options.weights:
        fx_model.load_weights(module, options.weights)
    call = make_call(module, options.input or default_inputs(module))
    return export_model(
        module,
        call.args,
        call.kwargs,
        dynamic_shapes=merge_dynamic(options.dynamic, call),
        exporter=options.exporter,
        opset=options.opset,
        keep_stack_traces=options.keep_stack_traces,
        verbose=options.verbose,
    )


@contextlib.contextmanager
def _reserved_stdout() -> Iterator[int]:
    """Keep stdout for the model: all that is printed meanwhile goes to stderr."""
    sys.stdout.flush()
    reserved = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield reserved
    finally:
        os.dup2(reserved, 1)
        os.close(reserved)


def write(model: onnx.ModelProto, output: str, stdout: int) -> None:
    """Write the model to a file, or to the descriptor that is stdout."""
    if output != "-":
        save(model, Path(output))
        return
    with open(stdout, "wb", closefd=False) as stream:
        stream.write(serialize(model))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = make_parser().parse_args(arguments)
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "stdout is closed")
        if options.output == "-" and os.isatty(1):
            raise UsageError("stdout is a terminal: pipe it, or give --output FILE")
        if not (folder := Path(options.output).resolve().parent).is_dir():
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(folder))
        with _reserved_stdout() as stdout, warnings.catch_warnings():
            if not options.verbose:
                warnings.simplefilter("ignore")
            write(run(options), options.output, stdout)
    except (BridgeError, OSError) as error:
        if options.verbose:
            traceback.print_exception(error)
        note(f"error: {error}")
        return getattr(error, "code", 3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
