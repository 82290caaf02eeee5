"""What the generated code is compared with: onnxruntime, onnx.reference, or the torch
module that the model came from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import onnx
from onnx import TensorProto, helper

from oxide_xla.verify.network import Arrays, Network, VerifyError, serialized

#: A prepared model: from feeds to outputs, which may be sequences.
Runner: TypeAlias = Callable[[dict[str, np.ndarray]], Sequence[Any]]
RUNNERS = 4  # prepared models that a reference keeps


class OnnxReference:
    """A reference that reads the ONNX file. Subclasses say how to run a model."""

    name = ""

    def __init__(self, network: Network):
        self.network = network
        #: By outputs and open weights.
        self.runners: dict[tuple[tuple[str, ...], bool], Runner] = {}

    def run(
        self,
        inputs: Arrays,
        weights: Arrays | None = None,
        values: Sequence[str] | None = None,
    ) -> list[np.ndarray]:
        """The outputs, or other values, for these inputs, and weights where given."""
        names = tuple(values if values is not None else self.network.outputs)
        run = self.runner(names, bool(weights))
        found = run({**inputs, **(weights or {})})
        return [self.typed(name, y) for name, y in zip(names, found, strict=True)]

    def typed(self, name: str, found: Any) -> np.ndarray:
        """The value in its own type: what numpy lacks may come as plain bytes."""
        if found is None or isinstance(found, (list, dict)):
            raise VerifyError(f"{name} is a sequence or absent: only tensors compare")
        array = np.asarray(found)
        kind = self.network.types.get(name)
        if kind is None or kind.tensor_type.elem_type in (0, TensorProto.STRING):
            return array
        dtype = helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
        return array.view(dtype) if array.dtype.itemsize == dtype.itemsize else array

    def runner(self, names: tuple[str, ...], open_weights: bool) -> Runner:
        """Prepared once; the latest few are kept, as each holds the weights."""
        key = names, open_weights
        if key not in self.runners:
            while len(self.runners) >= RUNNERS:
                self.runners.pop(next(iter(self.runners)))
            model = self.network.returning(names, open_weights=open_weights)
            self.runners[key] = self.prepare(model)
        return self.runners[key]

    def prepare(self, model: onnx.ModelProto) -> Runner:
        """A function from feeds to outputs."""
        raise NotImplementedError


class OnnxRuntime(OnnxReference):
    """onnxruntime on the CPU, with its optimisations, as a user would run it."""

    name = "onnxruntime"

    def prepare(self, model: onnx.ModelProto) -> Runner:
        try:
            import onnxruntime
        except ImportError as error:
            raise VerifyError("--against onnxruntime needs onnxruntime") from error
        try:
            try:
                session = self.session(model, exact=True)
            except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
                session = self.session(model, exact=False)
        except Exception as error:
            raise refusal("onnxruntime refuses the model", error) from error
        taken = {value.name for value in session.get_inputs()}
        taken |= {value.name for value in session.get_overridable_initializers()}

        def run(feeds: dict[str, np.ndarray]) -> Sequence[Any]:
            try:
                given = {k: v for k, v in feeds.items() if k in taken}
                found: Sequence[Any] = session.run(None, given)
                return found
            except Exception as error:
                raise refusal("onnxruntime fails", error) from error

        return run

    def session(self, model: onnx.ModelProto, exact: bool) -> Any:
        """A session, `exact`: products of 8-bit integers do not saturate on an x86 CPU
        without VNNI; there onnxruntime has no kernel for some models."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
        return onnxruntime.InferenceSession(
            serialized(model), options, providers=["CPUExecutionProvider"]
        )


def refusal(what: str, error: Exception) -> VerifyError:
    """An error of onnxruntime, which supports fewer types and forms than ONNX has."""
    first = str(error).strip().splitlines()[0]
    return VerifyError(f"{what}: {first}; --against reference may do, or --inputs")


class OnnxPython(OnnxReference):
    """onnx.reference: numpy, slow, and written from the specification."""

    name = "reference"

    def prepare(self, model: onnx.ModelProto) -> Runner:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)

        def run(feeds: dict[str, np.ndarray]) -> Sequence[Any]:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return cast(list[Any], evaluator.run(None, feeds))
            except Exception as error:
                raise VerifyError(f"onnx.reference fails: {error}") from error

        return run


class Torch:
    """A torch module with the weights of the ONNX file, which must have its names."""

    name = "torch"

    def __init__(self, network: Network, module: Any):
        self.network = network
        self.module = module.eval()
        self.load(network.weights)

    def load(self, weights: Arrays) -> None:
        """Put the weights of the file in the module; each float of it must be there."""
        import torch

        state = self.module.state_dict()
        named = {k: torch.tensor(w) for k, w in weights.items() if k in state}
        filled = {state[k].data_ptr() for k in named}
        missing = [
            key
            for key, tensor in state.items()
            if tensor.is_floating_point() and tensor.data_ptr() not in filled
        ]
        if missing:
            raise VerifyError(
                f"the file has no weights {', '.join(missing[:3])} of the module "
                f"({len(missing)} missing): export it with bridge/fx_export.py, which "
                "keeps the names"
            )
        self.module.load_state_dict(named, strict=False)

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        """The tensors that the module returns, in order."""
        import torch
        from torch.utils import _pytree

        leaves, _ = _pytree.tree_flatten(self.module(*tensors))
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]

    def run(self, inputs: Arrays, weights: Arrays | None = None) -> list[np.ndarray]:
        """The outputs for these inputs, and weights where given."""
        import torch

        if weights:
            self.load(weights)
        tensors = [torch.tensor(x) for x in inputs.values()]
        with torch.no_grad():
            outputs = [y.numpy() for y in self.call(tensors)]
        if weights:
            self.load(self.network.weights)
        if len(outputs) != len(self.network.outputs):
            raise VerifyError(
                f"the module returns {len(outputs)} tensors, the model "
                f"{len(self.network.outputs)}"
            )
        return outputs

    def gradients(
        self, inputs: Arrays, seeds: Sequence[np.ndarray], weights: Arrays | None = None
    ) -> dict[str, np.ndarray]:
        """Autograd of sum(seed * output) for float inputs and parameters, by name."""
        import torch

        if weights:
            self.load(weights)
        tensors = {k: torch.tensor(x) for k, x in inputs.items()}
        leaves = dict(self.module.named_parameters())
        for key, tensor in tensors.items():
            if tensor.is_floating_point():
                leaves[key] = tensor.requires_grad_()
        outputs = self.call(list(tensors.values()))
        terms = zip(outputs, seeds, strict=True)
        loss = sum((y * torch.tensor(s)).sum() for y, s in terms if s.size)
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        if weights:
            self.load(self.network.weights)
        return {
            k: g.numpy() for k, g in zip(leaves, found, strict=True) if g is not None
        }


def torch_module(path: str) -> Any:
    """The module that a dotted path names, as `fx_export.py --model` builds it."""
    try:
        from oxide_xla.bridge import fx_errors, fx_model
    except ImportError as error:
        raise VerifyError(f"--against torch needs torch: {error}") from error
    try:
        return fx_model.build_module(fx_model.load_object(path), {})
    except fx_errors.BridgeError as error:
        raise VerifyError(str(error)) from error


def best_onnx_reference() -> str:
    """onnxruntime where it is installed."""
    try:
        import onnxruntime  # noqa: F401 (is it there?)
    except ImportError:
        return OnnxPython.name
    return OnnxRuntime.name


#: What `make` gives.
Reference: TypeAlias = OnnxReference | Torch


def make(kind: str, network: Network, module: Any = None) -> Reference:
    """The reference of this name; VerifyError where it cannot be had."""
    if kind == Torch.name:
        if module is None:
            raise VerifyError("--against torch needs --model, a module's dotted path")
        return Torch(
            network, torch_module(module) if isinstance(module, str) else module
        )
    return make_onnx(kind, network)


def make_onnx(kind: str, network: Network) -> OnnxReference:
    """The reference of this name that reads the ONNX file."""
    for reference in (OnnxRuntime, OnnxPython):
        if reference.name == kind:
            return reference(network)
    raise VerifyError(f"there is no reference {kind!r}")
