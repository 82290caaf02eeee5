"""ONNX's backend interface, onnx.backend.base, over the compiler.

    import onnx
    from oxide_xla import backend

    rep = backend.prepare(onnx.load("model.onnx"))
    outputs = rep.run([x])  # numpy arrays, one for each output of the graph

`prepare` goes the way that a user goes: it compiles the model, writes the module and
its weights to a folder, imports the file and calls its `load_params`; `run` calls its
`forward`. Needs onnx. JAX's mode decides about 64-bit types: under `jax_enable_x64`
they are those of the model, else outputs have the 32-bit type of the same kind.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import itertools
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep

from oxide_xla._errors import OxideError
from oxide_xla.compiler import CompiledModel, Model, compile

#: Types and shapes of outputs, as onnx.backend.base has them.
OutputsInfo: TypeAlias = Sequence[tuple[Any, tuple[int, ...]]]

_serial = itertools.count()


class Rep(BackendRep):
    """A compiled model on a device. The generated file lives as long as this does."""

    def __init__(self, compiled: CompiledModel, device: jax.Device):
        self._device = device
        self._folder = tempfile.TemporaryDirectory(prefix="oxide_xla_")
        path = compiled.save(Path(self._folder.name) / "model_jax.py")
        #: The generated module as text.
        self.source = compiled.source
        #: The generated module, imported.
        self.module = _import(path)
        #: What `load_params` gives, on the device.
        with jax.default_device(device):
            self.params = jax.tree.map(jnp.asarray, self.module.load_params())

    @functools.cached_property
    def is_random(self) -> bool:
        """Whether `forward` takes a `key`: the model draws random numbers."""
        key = inspect.signature(self.module.forward).parameters.get("key")
        return key is not None and key.kind is key.KEYWORD_ONLY

    def run(  # type: ignore[override]  # there is no option but `key`
        self, inputs: Sequence[Any], *, key: Any = None
    ) -> tuple[Any, ...]:
        """The outputs, in the order of the graph, for inputs in the order of the graph.

        Tensors are numpy arrays, sequences lists of them, an optional without a value
        is None. Shapes are those of the model, dtypes as JAX's mode has them. `key` is
        what a random model draws from, by default `jax.random.key(0)`. Errors are those
        of the generated code: JAX's own.
        """
        with jax.default_device(self._device):
            options = {}
            if self.is_random:
                options["key"] = jax.random.key(0) if key is None else key
            arrays = jax.tree.map(jnp.asarray, list(inputs))
            result = self.module.forward(self.params, *arrays, **options)
        outputs = result if isinstance(result, tuple) else (result,)
        return tuple(jax.tree.map(np.asarray, output) for output in outputs)


class OxideBackend(Backend):
    """The methods of onnx.backend.base; the functions of this module are its own."""

    @classmethod
    def is_compatible(cls, model: Model, device: str = "CPU", **options: Any) -> bool:
        """Whether the model compiles and the device is there; `options` are those of
        `oxide_xla.compile`."""
        try:
            compile(model, **options)
        except OxideError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: Model, device: str = "CPU", **options: Any) -> Rep:
        """Compile a model; `options` are those of `oxide_xla.compile`,
        where `weights` is a format that `load_params` reads.

        `model` is whatever `compile` takes. Raises OxideError when the model cannot be
        compiled, ValueError when the device is not there.
        """
        return Rep(compile(model, **options), _find(device))

    @classmethod
    def run_model(
        cls, model: Model, inputs: Sequence[Any], device: str = "CPU", **options: Any
    ) -> tuple[Any, ...]:
        """`prepare` and `run` in one step; raises what they raise."""
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(  # type: ignore[override]  # onnx has every option as a dict
        cls,
        node: onnx.NodeProto,
        inputs: Sequence[Any],
        device: str = "CPU",
        outputs_info: OutputsInfo | None = None,
        opset_version: int | None = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """Run one node on arrays, one for each of its inputs that is not left out.

        `outputs_info` gives types of outputs that cannot be inferred; `opset_version`
        is of the node's domain, by default the newest. The rest goes to `compile`.
        Raises ValueError where there are more or fewer arrays than inputs, and what
        `run_model` raises.
        """
        model = _node_model(node, inputs, outputs_info, opset_version)
        return cls.run_model(model, inputs, device, **options)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether JAX has the device: "CPU", "CUDA", "CUDA:1" and so on."""
        try:
            _find(device)
        except ValueError:
            return False
        return True


is_compatible = OxideBackend.is_compatible
prepare = OxideBackend.prepare
run_model = OxideBackend.run_model
run_node = OxideBackend.run_node
supports_device = OxideBackend.supports_device


def _import(path: Path) -> types.ModuleType:
    """The generated file as a module that no other import sees."""
    name = f"oxide_xla_backend_{next(_serial)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # for the ending is .py
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _find(device: str) -> jax.Device:
    """The JAX device for a name in ONNX's form, `TYPE` or `TYPE:ID`."""
    kind, _, number = device.partition(":")
    try:
        return jax.devices(kind.lower())[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        raise ValueError(f"JAX has no device {device!r}") from error


def _node_model(
    node: onnx.NodeProto,
    inputs: Sequence[Any],
    outputs_info: OutputsInfo | None,
    opset_version: int | None,
) -> onnx.ModelProto:
    """A model of one node, whose inputs have the types of the arrays."""
    names = [name for name in node.input if name]
    if len(set(names)) != len(names) or len(inputs) != len(names):
        raise ValueError(f"{len(inputs)} inputs for a node that reads {names}")
    given = [_value_info(name, value) for name, value in zip(names, inputs)]
    types = itertools.chain(outputs_info or [], itertools.repeat(None))
    outputs = [
        helper.make_tensor_value_info(name, _element(info[0]), info[1])
        if info
        else onnx.ValueInfoProto(name=name)
        for name, info in zip(node.output, types)
        if name
    ]
    graph = helper.make_graph([node], "node", given, outputs)
    if opset_version is None:
        opset_version = onnx.defs.get_schema(node.op_type, node.domain).since_version
    opset = helper.make_opsetid(node.domain, opset_version)
    return helper.make_model(graph, opset_imports=[opset])


def _value_info(name: str, value: Any) -> onnx.ValueInfoProto:
    """The type of an array, or of a list of arrays."""
    if isinstance(value, list):
        element = _element(np.asarray(value[0]).dtype) if value else 1
        return helper.make_tensor_sequence_value_info(name, element, None)
    value = np.asarray(value)
    return helper.make_tensor_value_info(name, _element(value.dtype), value.shape)


def _element(dtype: Any) -> int:
    """ONNX's number for a numpy dtype."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
