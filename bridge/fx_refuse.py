"""What an ONNX graph would freeze or lose without a word, and is refused instead.

A trace follows tensors from the arguments of a call to its result. Tensors that come or
leave another way (inside an object, through a buffer that forward changes) become
constants or vanish; so does what a module does only in training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if __package__:
    from .fx_errors import ModelError, UsageError
else:
    from fx_errors import ModelError, UsageError

if TYPE_CHECKING:
    import torch

DEPTH = 6  # objects inside objects that are looked into
CACHE_HINT = (
    "call the module without a cache (use_cache=False), or export one step of a "
    "decoder with a static one (cache=N, --cache N)"
)


def check_call(named: Mapping[str, Any]) -> None:
    """UsageError if an argument is an object that holds tensors."""
    for name, value in named.items():
        if kind := holder(value):
            raise UsageError(
                f"argument {name!r} is a {kind}, whose tensors would be frozen into "
                "the model and whose changes would be lost: give tensors, or lists and "
                f"dicts of them; {CACHE_HINT}"
            )


def check_result(value: Any) -> None:
    """ModelError if the result has an object in it that holds tensors."""
    if kind := holder(value):
        raise ModelError(
            f"the module returns a {kind}, whose tensors would be lost: return "
            f"tensors, or tuples and dicts of them; {CACHE_HINT}"
        )


def holder(value: Any) -> str | None:
    """The class of the first object in `value` that holds tensors, other than lists,
    tuples and mappings; None if there is none."""
    import torch

    if isinstance(value, torch.nn.Module) or value is None:
        return None
    if isinstance(value, (torch.Tensor, str, int, float)):
        return None
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, (tuple, list)):
        parts = value
    else:
        return type(value).__name__ if _holds_tensor(value, DEPTH) else None
    return next((kind for part in parts if (kind := holder(part))), None)


def _holds_tensor(value: Any, depth: int) -> bool:
    """Whether a tensor can be reached through attributes, items and elements."""
    import torch

    if isinstance(value, torch.Tensor):
        return True
    if depth == 0 or isinstance(value, (str, bytes, int, float, type)):
        return False
    parts = [*vars(value).values()] if hasattr(value, "__dict__") else []
    slots = (s for c in type(value).__mro__ for s in getattr(c, "__slots__", ()))
    parts += [getattr(value, slot, None) for slot in slots]
    if isinstance(value, Mapping):
        parts += value.values()
    elif isinstance(value, (tuple, list, set)):
        parts += value
    return any(_holds_tensor(part, depth - 1) for part in parts)


def check_mode(module: torch.nn.Module) -> None:
    """UsageError if a part of the module trains and does another thing when it does."""
    for name, part in module.named_modules():
        if part.training and (what := acts_otherwise(part)):
            where = f" ({name})" if name else ""
            raise UsageError(
                f"the module is in training mode, and its {what}{where} would be "
                "written as in inference: call module.eval() first; "
                "docs/guides/fine_tuning.md says how the result is trained"
            )


def acts_otherwise(part: torch.nn.Module) -> str | None:
    """The class of `part` if it computes another thing in training, by its own code."""
    import torch

    nn, kind = torch.nn, type(part).__name__
    if isinstance(
        part, (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
    ):
        return kind if part.track_running_stats else None
    if isinstance(part, nn.RReLU):
        return kind
    if isinstance(part, nn.RNNBase):
        return kind if part.dropout and part.num_layers > 1 else None
    forward = getattr(type(part), "forward", None)  # scripted modules have none
    code = getattr(forward, "__code__", None)
    asks = isinstance(part, nn.modules.dropout._DropoutNd) or (
        code is not None and "training" in code.co_names
    )
    rates = [*_rates(part)]
    return kind if asks and (any(rates) or not rates) else None


def _rates(part: torch.nn.Module) -> Iterator[float]:
    """The numbers that look like rates of dropout among the attributes of a module."""
    for name, value in vars(part).items():
        if (name == "p" or "drop" in name) and isinstance(value, (int, float)):
            yield float(value)


@contextlib.contextmanager
def watch_state(module: torch.nn.Module) -> Iterator[None]:
    """ModelError if what runs inside changes tensors of the module; they are restored.

    Tensors that are made for the first time, as a cache of positions, are none of them.
    """
    before = [
        (part, key, value, _version(value), value.detach().clone())
        for part, key, value in _state(module)
    ]
    yield
    changed = []
    for part, key, value, version, copy in before:
        now = getattr(part, key, None)
        if now is value and version is not None and version == _version(value):
            continue
        same = _equal(now, copy)
        value.data.copy_(copy)
        setattr(part, key, value)
        if not same:
            changed.append((part, key))
    if changed:
        names = {id(part): name for name, part in module.named_modules()}
        part, key = changed[0]
        path = ".".join(filter(None, (names[id(part)], key)))
        raise ModelError(
            f"forward changes {path}, which an ONNX graph cannot: pass it as an "
            f"argument and return its new value; {CACHE_HINT}"
        )


def _state(module: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, Any]]:
    """Every tensor that is a buffer or plain attribute: its module, name and value."""
    import torch

    for part in module.modules():
        yield from ((part, k, b) for k, b in part._buffers.items() if b is not None)
        for key, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                yield part, key, value


def _version(value: torch.Tensor) -> int | None:
    """How often the tensor was changed in place; None where PyTorch does not count."""
    return None if value.is_inference() else value._version


def _equal(now: Any, copy: torch.Tensor) -> bool:
    """Whether a tensor is still what it was; NaN equals itself."""
    import torch

    if not isinstance(now, torch.Tensor) or now.shape != copy.shape:
        return False
    return torch.equal(now.nan_to_num(), copy.nan_to_num()) and now.dtype == copy.dtype


def check_program(graph: torch.fx.Graph) -> None:
    """ModelError if the program calls what torch.onnx writes as something else."""
    for node in graph.nodes:
        target = str(node.target)
        if target.startswith("aten.scatter_reduce") and "mean" in node.args:
            raise ModelError(
                "scatter_reduce(reduce='mean') has no ONNX operator, and the exporter "
                "would drop the mean: divide a sum by scattered ones"
            )
