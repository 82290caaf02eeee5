"""One call of a PyTorch module: its named inputs, dynamic dimensions and outputs.

A dynamic dimension is a name for an axis of an input. Example inputs are grown so that
each has one size of at least 2, which the exporters do not take for a constant.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if __package__:
    from . import fx_refuse
    from .fx_errors import ModelError, UsageError, reason
else:
    import fx_refuse
    from fx_errors import ModelError, UsageError, reason

if TYPE_CHECKING:
    import torch

IDENTIFIER = r"[A-Za-z_]\w*"

Axes = dict[str, dict[int, str]]  # input name -> axis -> name of the dimension
Log = Callable[[str], None]


@dataclass
class Call:
    """One call of a module: positional and keyword inputs, with the graph's names."""

    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    arg_names: tuple[str, ...] = ()

    def tensors(self) -> dict[str, torch.Tensor]:
        """The inputs that are tensors, by name, in graph order."""
        import torch

        named = self.named()
        return {k: v for k, v in named.items() if isinstance(v, torch.Tensor)}

    def others(self) -> dict[str, Any]:
        """The inputs that are no tensors, by name."""
        tensors = self.tensors()
        return {k: v for k, v in self.named().items() if k not in tensors}

    def named(self) -> dict[str, Any]:
        """All inputs by name, in graph order."""
        return dict(zip(self.arg_names, self.args)) | self.kwargs

    def replaced(self, tensors: Mapping[str, torch.Tensor]) -> Call:
        """The same call with some of its inputs exchanged."""
        args = tuple(tensors.get(n, a) for n, a in zip(self.arg_names, self.args))
        kwargs = {n: tensors.get(n, a) for n, a in self.kwargs.items()}
        return Call(args, kwargs, self.arg_names)


def bind(module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any]) -> Call:
    """Name the arguments of a call after the parameters of `module.forward`."""
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    names, variadic = positional_names(module)
    extra = len(args) - len(names)
    if extra > 0 and variadic is None:
        raise UsageError(
            f"{len(args)} inputs given, but forward takes {len(names)}: {names}"
        )
    names += [f"{variadic}_{i}" for i in range(extra)]
    if twice := set(names[: len(args)]) & set(kwargs):
        raise UsageError(f"input {min(twice)!r} is given twice")
    return Call(args, dict(kwargs), tuple(names[: len(args)]))


def positional_names(module: torch.nn.Module) -> tuple[list[str], str | None]:
    """The parameters of `module.forward` before `*args`, and the name of `*args`."""
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind < p.VAR_POSITIONAL]
    variadic = [p.name for p in parameters if p.kind == p.VAR_POSITIONAL]
    return names, variadic[0] if variadic else None


def normalize_axes(dynamic: Any, call: Call) -> Axes:
    """Bring any form of `dynamic_shapes` to {input: {axis: dimension name}}.

    Raises UsageError for an input or axis that the call does not have.
    """
    tensors = call.tensors()
    if not dynamic:
        return {}
    if isinstance(dynamic, str):
        return {name: {0: dynamic} for name, t in tensors.items() if t.ndim}
    if not isinstance(dynamic, Mapping):
        dynamic = dict(zip((*call.arg_names, *call.kwargs), dynamic))
    axes: Axes = {}
    for name, entry in dynamic.items():
        if not entry:
            continue
        if name not in tensors:
            raise UsageError(f"no tensor input {name!r}; there are {list(tensors)}")
        named = _axes_of_input(name, entry, tensors[name].ndim)
        if named:
            axes[name] = named
    return axes


def _axes_of_input(name: str, entry: Any, rank: int) -> dict[int, str]:
    """One input's {axis: dimension name}, without the axes that stay fixed."""
    pairs = entry.items() if isinstance(entry, Mapping) else enumerate(entry)
    result = {}
    for axis, dim in pairs:
        if not -rank <= axis < rank:
            raise UsageError(f"input {name!r} has rank {rank}, so no axis {axis}")
        axis %= rank
        if label := _dimension_name(dim, f"{name}_dim_{axis}"):
            result[axis] = label
    return result


def _dimension_name(dim: Any, default: str) -> str | None:
    """The name of a string, a Dim or a hint of torch.export; None if it is static."""
    import torch

    if dim is None or isinstance(dim, int) or dim == torch.export.Dim.STATIC:
        return None
    label = dim if isinstance(dim, str) else getattr(dim, "__name__", default)
    if not re.fullmatch(IDENTIFIER, label):
        raise UsageError(f"{label!r} does not name a dimension")
    return label


def grow(call: Call, axes: Axes, step: int = 0, factor: int = 1) -> Call:
    """Give every dynamic dimension one size, at least 2, then scale and add `step`.

    A dynamic size of 1 would be taken for a constant by the exporter.
    """
    tensors = call.tensors()
    sizes: dict[str, int] = {}
    for name, entry in axes.items():
        for axis, dim in entry.items():
            sizes[dim] = max(sizes.get(dim, 2), tensors[name].shape[axis])
    for name, entry in axes.items():
        for axis, dim in entry.items():
            have = tensors[name].shape[axis]
            if have == 0:
                raise UsageError(f"dimension {dim!r} is empty in the example input")
            if have not in (1, sizes[dim]):
                raise UsageError(
                    f"dimension {dim!r} has two sizes, {have} and {sizes[dim]}"
                )
            size = sizes[dim] * factor + step
            tensors[name] = _repeat(tensors[name], axis, size)
    return call.replaced(tensors)


def _repeat(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """Repeat `tensor` along `axis` until it is `size` long."""
    import torch

    copies = -(-size // tensor.shape[axis])
    if copies > 1:
        tensor = torch.cat([tensor] * copies, axis)
    return tensor.narrow(axis, 0, size).contiguous()


def probe(
    module: torch.nn.Module, call: Call, axes: Axes
) -> tuple[list[str], list[set[int]]]:
    """Run the module; return its outputs' names and which of their axes vary.

    A name is empty where the module gives none. Raises ModelError if the module does
    not run, or at no second size of the dynamic dimensions.
    """
    result = _forward(module, call)
    fx_refuse.check_result(result)
    outputs = named_outputs(result)
    names = [name for name, _ in outputs]
    if not axes:
        return names, [set() for _ in outputs]
    others = named_outputs(_second_size(module, call, axes))
    pairs = ((a.shape, b.shape) for (_, a), (_, b) in zip(outputs, others))
    return names, [{i for i in range(len(a)) if a[i] != b[i]} for a, b in pairs]


def _second_size(module: torch.nn.Module, call: Call, axes: Axes) -> Any:
    """The module's result for other sizes: one more, twice as many, or one less."""
    for step, factor in ((1, 1), (0, 2), (-1, 1)):
        try:
            return _forward(module, grow(call, axes, step, factor))
        except ModelError as error:
            last = error
    dims = ", ".join(sorted({dim for entry in axes.values() for dim in entry.values()}))
    raise ModelError(f"{dims} cannot be dynamic: {last}") from last


def _forward(module: torch.nn.Module, call: Call) -> Any:
    """Call the module without gradients; ModelError says which inputs it had."""
    import torch

    try:
        with torch.no_grad():
            return module(*call.args, **call.kwargs)
    except Exception as error:
        given = ", ".join(f"{n}={list(t.shape)}" for n, t in call.tensors().items())
        raise ModelError(
            f"forward({given}) fails: {reason(error)}\n"
            "help: give every input it needs, such as --input input_ids=1x15:int64"
        ) from error


def named_outputs(value: Any, name: str = "") -> list[tuple[str, torch.Tensor]]:
    """The tensors in a module's result, depth first, with the names it gives them."""
    import torch

    if isinstance(value, torch.Tensor):
        return [(name, value)]
    if isinstance(value, Mapping):
        items = value.items()
    elif hasattr(value, "_fields"):
        items = zip(value._fields, value)
    elif isinstance(value, (tuple, list)):
        items = enumerate(value)
    else:
        return []
    prefix = f"{name}_" if name else ""
    nested = [
        named_outputs(v, f"{prefix}{k}" if name or isinstance(k, str) else "")
        for k, v in items
    ]
    return [leaf for leaves in nested for leaf in leaves]
