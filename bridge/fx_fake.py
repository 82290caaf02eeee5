"""Modules without weights: parameters that have a type and a shape, and no values.

Parameters become meta tensors as a module is built, so that nothing is kept of them,
and fake ones before it is exported: torch.export and torch.onnx take those. Buffers are
real, because a checkpoint may lack them. In the model the initializers lie in external
data at CHECKPOINT, of which the compiler asks nothing: load_params of the generated
module reads them from a checkpoint.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir
    import torch

CHECKPOINT = "oxide_xla:checkpoint"  # src/onnx/onnx.h


@contextlib.contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Modules that are built inside have floating-point parameters on the meta device.

    Tied parameters stay tied, integers and buffers have their values.
    """
    import torch

    register = torch.nn.Module.register_parameter

    def on_meta(self: torch.nn.Module, name: str, parameter: Any) -> None:
        register(self, name, parameter)
        if parameter is not None and parameter.is_floating_point():
            self._parameters[name] = _meta(parameter)

    torch.nn.Module.register_parameter = on_meta
    try:
        yield
    finally:
        torch.nn.Module.register_parameter = register


def _meta(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    """The parameter without values; it may be one already, of another name."""
    import torch

    if parameter.is_meta:
        return parameter
    return torch.nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)


def fake_parameters(module: torch.nn.Module) -> None:
    """Give the module fake parameters for those on the meta device."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    mode = FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())
    made: dict[int, torch.nn.Parameter] = {}
    for part in module.modules():
        for name, old in part._parameters.items():
            if old is None or not old.is_meta:
                continue
            if id(old) not in made:
                with mode:
                    new = torch.empty(old.shape, dtype=old.dtype, device="cpu")
                made[id(old)] = torch.nn.Parameter(new, old.requires_grad)
            part._parameters[name] = made[id(old)]


def calls() -> contextlib.AbstractContextManager[Any]:
    """For calls of modules with fake parameters: what CPUs compute, fakes do as well.

    PyTorch's products of groups of rows take float32 on a CPU, and bfloat16 alone where
    tensors have no values.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    grouped = getattr(torch.ops.aten, "_grouped_mm", None)

    class Calls(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if grouped and function is grouped.default and _rows_by_groups(*args[:2]):
                return args[0].new_empty(args[0].shape[0], args[1].shape[2])
            return function(*args, **(kwargs or {}))

    return Calls()


def _rows_by_groups(rows: torch.Tensor, matrices: torch.Tensor) -> bool:
    """Whether these are fake rows and a matrix for each group of them."""
    ranks = rows.ndim == 2 and matrices.ndim == 3
    return ranks and rows.dtype == matrices.dtype and is_fake(rows)


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether the tensor has no values."""
    from torch._subclasses.fake_tensor import FakeTensor

    return isinstance(tensor, FakeTensor)


def has_fakes(module: torch.nn.Module) -> bool:
    """Whether `fake_parameters` has taken parameters of the module."""
    return any(is_fake(parameter) for parameter in module.parameters())


def place(tensor: torch.Tensor) -> int:
    """The same number for tensors that are one: where its data lie, if it has any."""
    return id(tensor) if is_fake(tensor) else tensor.data_ptr()


def leave_to_checkpoint(graph: onnx_ir.Graph, state: dict[str, torch.Tensor]) -> None:
    """Take the values from those initializers that a checkpoint of `state` has.

    Integers stay, as the compiler may need to know them.
    """
    import onnx_ir

    for name, value in graph.initializers.items():
        tensor = state.get(name)
        fake = is_fake(getattr(value.const_value, "raw", None))
        if fake or (tensor is not None and tensor.is_floating_point()):
            old = value.const_value
            value.const_value = onnx_ir.ExternalTensor(
                CHECKPOINT, None, None, old.dtype, shape=old.shape, name=name
            )
