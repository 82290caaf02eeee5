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
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__:
    from . import (
        fx_cache,
        fx_call,
        fx_cross,
        fx_exporters,
        fx_fake,
        fx_model,
        fx_options,
        fx_refuse,
        fx_save,
        fx_state,
    )
    from .fx_errors import BridgeError, ModelError, UsageError
else:
    import fx_cache
    import fx_call
    import fx_cross
    import fx_exporters
    import fx_fake
    import fx_model
    import fx_options
    import fx_refuse
    import fx_save
    import fx_state
    from fx_errors import BridgeError, ModelError, UsageError

if TYPE_CHECKING:
    import onnx
    import torch


def note(message: str) -> None:
    """Print one message line on stderr."""
    print(f"fx_export: {message}", file=sys.stderr)


# The Python interface --------------------------------------------------------------


def export(module: torch.nn.Module, args: Any = (), kwargs=None, **options) -> bytes:
    """Export `module` and return the serialized model, weights included.

    Takes the options of `export_model`. Raises ModelError or UsageError, also where
    the model is above the 2 GB that fit in one protobuf message.
    """
    return fx_save.serialize(export_model(module, args, kwargs, **options))


def export_model(
    module: torch.nn.Module,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    exporter: str = "dynamo",
    fallback: bool = True,
    cache: int | None = None,
    part: str | None = None,
    opset: int | None = None,
    keep_stack_traces: bool = False,
    verbose: bool = False,
    log: fx_call.Log = note,
) -> onnx.ModelProto:
    """Export `module`, called as `module(*args, **kwargs)`, in inference mode.

    `dynamic_shapes` is one name for axis 0 of every input, a mapping of input names to
    `{axis: name}`, or one such entry per argument (`torch.export.Dim` is a name too).
    A transformers model gives no key-value cache, and the module is left as it was
    found. With `cache` a decoder of transformers becomes one step with a cache of that
    length (see fx_cache), and no inputs are given; an encoder-decoder has two parts
    (see fx_cross), of which `part` is one, the decoder's step by default. Where
    its parameters are fake (see fx_fake), the model has no weights. Raises ModelError
    if no exporter succeeds, and where a graph would freeze or lose what the module does
    (see fx_refuse).
    """
    if part and cache is None:
        raise UsageError("parts are those of a model with a cache")
    if cache is not None:
        if args or kwargs or dynamic_shapes or exporter != "dynamo":
            raise UsageError(
                "with a cache the inputs, their open sizes and the exporter are given"
            )
        return _export_step(module, cache, part, opset, keep_stack_traces, verbose, log)
    if exporter not in fx_exporters.NAMES:
        raise UsageError(f"no exporter {exporter!r}; there are {fx_exporters.NAMES}")
    fx_refuse.check_mode(module)
    call = fx_call.bind(module, args, kwargs or {})
    fx_refuse.check_call(call.named())
    axes = fx_call.normalize_axes(dynamic_shapes, call)
    call = fx_call.grow(call, axes)
    order = [exporter, *(e for e in fx_exporters.NAMES if fallback and e != exporter)]
    if fx_fake.has_fakes(module):  # which cannot be traced
        order = ["dynamo"]
    with _inference(module):
        calls = (
            fx_fake.calls() if fx_fake.has_fakes(module) else contextlib.nullcontext()
        )
        with (
            contextlib.redirect_stdout(sys.stderr),
            fx_refuse.watch_state(module),
            calls,
        ):
            names, varying = fx_call.probe(module, call, axes)
        plan = fx_exporters.Plan(call, axes, names, varying, opset, verbose)
        model = fx_exporters.first_success(module, plan, order, log)
    if not keep_stack_traces:
        strip_stack_traces(model)
    fx_state.annotate(model, module)
    _note_lost_names(module, model, log)
    return model


def _export_step(
    module: torch.nn.Module,
    length: int,
    part: str | None,
    opset: int | None,
    keep_stack_traces: bool,
    verbose: bool,
    log: fx_call.Log,
) -> onnx.ModelProto:
    """Export one step of a decoder with a cache of `length` positions."""
    fx_refuse.check_mode(module)
    with fx_cross.step(module, length, part) as step:
        model = export_model(
            module,
            kwargs=step.call.kwargs,
            dynamic_shapes=step.axes,
            fallback=False,
            opset=opset,
            keep_stack_traces=keep_stack_traces,
            verbose=verbose,
            log=(lambda message: None) if part else log,  # each has its parameters
        )
    fx_cache.annotate(model, step)
    return model


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
    kept = {fx_fake.place(tensor) for name, tensor in state.items() if name in present}
    lost = [
        n for n, t in state.items() if n not in present and fx_fake.place(t) not in kept
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


# Command line ----------------------------------------------------------------------


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
        raise UsageError("use_cache: give --cache N for a step with a key-value cache")
    if options.cache is not None and (options.input or options.dynamic):
        raise UsageError("with --cache the inputs and their open sizes are given")
    sys.path.insert(0, os.getcwd())
    target = fx_model.load_object(options.model)
    torch.manual_seed(options.seed)
    module = fx_model.build_module(target, options.config).eval()
    if options.weights:
        fx_model.load_weights(module, options.weights)
    if options.cache is not None:
        return export_model(
            module,
            exporter=options.exporter,
            cache=options.cache,
            part=options.part,
            opset=options.opset,
            keep_stack_traces=options.keep_stack_traces,
            verbose=options.verbose,
        )
    call = fx_options.make_call(
        module, options.input or fx_options.default_inputs(module)
    )
    return export_model(
        module,
        call.args,
        call.kwargs,
        dynamic_shapes=fx_options.merge_dynamic(options.dynamic, call),
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
        fx_save.save(model, Path(output))
        return
    with open(stdout, "wb", closefd=False) as stream:
        stream.write(fx_save.serialize(model))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = fx_options.make_parser().parse_args(arguments)
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
