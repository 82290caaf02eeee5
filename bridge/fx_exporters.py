"""The exporters of PyTorch: torch.export's and the tracing one, and checks of both.

Both run with their optimizers off, so that each parameter keeps its `state_dict` name;
where one fails, or loses what was asked for, the other is tried.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__:
    from . import fx_call, fx_fake, fx_operators, fx_refuse
    from .fx_errors import ModelError, innermost, reason
else:
    import fx_call
    import fx_fake
    import fx_operators
    import fx_refuse
    from fx_errors import ModelError, innermost, reason

if TYPE_CHECKING:
    import onnx
    import torch

NAMES = ("dynamo", "torchscript")
DATA_DEPENDENT = "GuardOnDataDependentSymNode"  # torch.export's error for such an `if`
# Tells the compiler that parameters which are not in the file are not used either.
UNOPTIMIZED = "oxide_xla.bridge"


@dataclass(frozen=True)
class Plan:
    """What an exporter is to do: the call to trace, and what must come of it."""

    call: fx_call.Call
    axes: fx_call.Axes  # the dynamic dimensions asked for
    names: list[str]  # of the outputs; empty where the module gives none
    varying: list[set[int]]  # each output's axes that depend on dynamic dimensions
    opset: int | None
    verbose: bool  # let the exporters print


def first_success(
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
    # With gradients one of the exporter's steps takes another attention kernel than the
    # one before, where a mask is computed from parameters, as T5's is.
    with torch.no_grad():
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
    if fx_fake.has_fakes(module):
        fx_fake.leave_to_checkpoint(
            program.model.graph, module.state_dict(keep_vars=True)
        )
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
