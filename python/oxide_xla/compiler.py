"""`compile` and what it returns."""

from __future__ import annotations

import builtins
import ctypes
import functools
import itertools
import json
import linecache
import math
import os
import sys
import types
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from oxide_xla import _library as c

_serial = itertools.count()


class OxideError(Exception):
    """A model that cannot be compiled; the text is all that the compiler says."""

    def __init__(self, messages: str, status: int = c.MODEL):
        super().__init__(messages.rstrip() or "out of memory")
        self.status = status  # OxStatus of include/oxide_xla.h

    @property
    def messages(self) -> str:
        """Every message, in the grammar of docs/errors.md."""
        return self.args[0]


class Handle:
    """An OxCompiler with a model loaded; freed with the last array that lies in it."""

    def __init__(self, model: Any, name: str | None):
        self.lib = c.library()
        self.pointer = self.lib.ox_new(None)
        if not self.pointer:
            raise MemoryError
        weakref.finalize(self, self.lib.ox_free, self.pointer).atexit = False
        if isinstance(model, (str, os.PathLike)):
            self.check(self.lib.ox_load_file(self.pointer, os.fsencode(model)))
            return
        data = model if isinstance(model, bytes) else serialized(model)
        self.bytes = data  # the compiler borrows it
        encoded = name.encode() if name else None
        self.check(
            self.lib.ox_load_memory(self.pointer, data, len(data), encoded),
        )

    @property
    def messages(self) -> str:
        return str(self.lib.ox_messages(self.pointer, False))

    def check(self, status: int) -> None:
        if status != c.OK:
            raise OxideError(self.messages, status)

    def inspect(self) -> dict[str, Any]:
        text = c.Text()
        status = self.lib.ox_inspect(self.pointer, c.JSON, ctypes.byref(text))
        self.check(status)
        return json.loads(str(text))

    def arrays(self) -> dict[str, np.ndarray]:
        count = self.lib.ox_param_count(self.pointer)
        params = (self.lib.ox_param(self.pointer, i) for i in range(count))
        return {str(param.key): self.array(param) for param in params}

    def array(self, param: c.Param) -> np.ndarray:
        """A view of the parameter's bytes; a copy where elements share bytes."""
        buffer = (ctypes.c_uint8 * param.nbytes).from_address(param.data or 0)
        buffer.owner = self  # numpy keeps the buffer, and the buffer the model
        shape = param.shape[: param.rank]
        dtype = jnp.dtype(param.dtype.decode())
        data = (
            np.frombuffer(buffer, np.uint8) if param.nbytes else np.empty(0, np.uint8)
        )
        per_byte = elements_per_byte(dtype)
        if per_byte > 1:
            bits = 8 // per_byte
            data = data[:, None] >> np.arange(0, 8, bits, np.uint8)
            data = (data & (2**bits - 1)).ravel()[: math.prod(shape)]
        array = data.view(dtype).reshape(shape)
        array.flags.writeable = False
        return array


class CompiledModel:
    """A model as JAX code: the source, the parameters, and the function itself."""

    def __init__(self, handle: Handle, name: str, nested: bool, weights: str):
        self._handle = handle
        self._nested = nested
        self._weights = weights
        self.name = name
        #: The generated module as text.
        self.source = str(handle.lib.ox_source(handle.pointer))
        #: Warnings of the compiler; empty when there are none.
        self.messages = handle.messages

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters as read-only numpy arrays, which lie in the model's bytes."""
        return self._handle.arrays()

    @functools.cached_property
    def params(self) -> dict[str, Any]:
        """The parameters as JAX arrays, as `load_params` of the module gives them."""
        flat = {key: as_param(key, array) for key, array in self.arrays.items()}
        if stacked := getattr(self.module, "stacked", None):
            flat = stacked(flat)
        return nest(flat) if self._nested else flat

    @functools.cached_property
    def module(self) -> types.ModuleType:
        """The generated module, executed; tracebacks show its source."""
        stem = "".join(ch if ch.isalnum() else "_" for ch in self.name)
        name = f"oxide_xla_{stem}_{next(_serial)}"
        filename = f"<{name}>"
        lines = self.source.splitlines(keepends=True)
        linecache.cache[filename] = (len(self.source), None, lines, filename)
        module = types.ModuleType(name)
        module.__file__ = filename
        sys.modules[name] = module  # where pickle looks for the outputs' class
        exec(builtins.compile(self.source, filename, "exec"), module.__dict__)
        return module

    @property
    def forward(self):
        """`forward(params, *inputs)`."""
        return self.module.forward

    def save(self, path: str | os.PathLike, *, force: bool = False) -> Path:
        """Write the module to `path` and its parameters beside it, both or neither.

        OxideError where `path` is a file that was not generated, or was edited since;
        `force` replaces it.
        """
        path = Path(path)
        weights = None
        if self.arrays and self._weights != "none":
            ending = ".npz" if self._weights == "npz" else ".safetensors"
            weights = os.fsencode(path.with_suffix(ending))
        style = c.WEIGHTS.get(self._weights, 0)
        handle = self._handle
        handle.check(
            handle.lib.ox_write_module(
                handle.pointer, os.fsencode(path), weights, style, force
            )
        )
        return path

    def inspect(self) -> dict[str, Any]:
        """What `oxide_xla inspect --format json` prints about the model."""
        return self._handle.inspect()

    def __repr__(self) -> str:
        summary = self._handle.lib.ox_summary(self._handle.pointer)
        return f"<CompiledModel {self.name}: {summary}>"


def compile(
    model: Any,
    *,
    params: str = "flat",
    shapes: Mapping[str, Sequence[int | str]] | Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    input_values: Mapping[str, Any] | None = None,
    bounds: Mapping[str, int] | None = None,
    weights: str = "safetensors",
    layers: str = "functions",
    name: str | None = None,
) -> CompiledModel:
    """Compile a model: a path, the bytes of a file, or an onnx.ModelProto.

    `params` is "flat" or "nested"; `weights` is what `save` writes and `load_params`
    reads: "safetensors", "npz", "reference" (an index into the model's own files, which
    must stay as they are) or "none". `shapes` overrides those of inputs, as
    {"x": (8, 3, "h", "w")} or ["x=8,3,h,w"]; `outputs` names values of the graph to
    return instead of its outputs; `input_values` fixes inputs, as {"use_cache": True,
    "axes": [0, 1]}: `forward` does not take them, and what they decide is decided now;
    `bounds` gives the values whose size depends on data the size to pad them to; `name`
    stands for the file where there is none.
    `layers` says how repeated modules are written: "functions" (one for each kind),
    "scan" (`jax.lax.scan` over parameters that `load_params` stacks) or "unrolled".
    Raises OxideError.
    """
    options = make_options(
        params, shapes, outputs, input_values, bounds, weights, layers
    )
    handle = Handle(model, name)
    handle.check(handle.lib.ox_compile(handle.pointer, ctypes.byref(options)))
    if isinstance(model, (str, os.PathLike)):
        name = name or Path(model).stem
    return CompiledModel(handle, name or "model", params == "nested", weights)


def inspect(model: Any, name: str | None = None) -> dict[str, Any]:
    """Describe a model as `oxide_xla inspect --format json` does. Raises OxideError."""
    return Handle(model, name).inspect()


def from_torch(
    module: Any,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    exporter: str = "dynamo",
    **options: Any,
) -> CompiledModel:
    """Export a PyTorch module, called as `module(*args, **kwargs)`, and compile it.

    `dynamic_shapes` is one name for axis 0 of every input, or {input: {axis: name}}, or
    one such entry for each argument; `exporter` is "dynamo" or "torchscript". The rest
    goes to `compile`. The keys of `params` are those of `module.state_dict()`. Raises
    OxideError, or ImportError where torch, onnx or onnxscript are missing.
    """
    from oxide_xla import _bridge

    data = _bridge.export(
        module, args, kwargs, dynamic_shapes=dynamic_shapes, exporter=exporter
    )
    return compile(data, **{"name": type(module).__name__, **options})


def make_options(
    params, shapes, outputs, input_values, bounds, weights, layers
) -> c.Options:
    """The options as the library takes them; ValueError for words it does not know."""
    words = (
        (params, c.PARAMS),
        (weights, {**c.WEIGHTS, "none": 0}),
        (layers, c.LAYERS),
    )
    for given, known in words:
        if given not in known:
            raise ValueError(f"{given!r} is not one of {', '.join(known)}")
    if isinstance(shapes, Mapping):
        shapes = [f"{key}={','.join(map(str, dims))}" for key, dims in shapes.items()]
    shapes, outputs = list(shapes or []), list(outputs or [])
    bounds = [f"{key}={size}" for key, size in (bounds or {}).items()]
    values = [
        f"{key}={np.asarray(value).tolist()}"
        for key, value in (input_values or {}).items()
    ]
    return c.Options(
        params=c.PARAMS[params],
        shapes=c.strings(shapes),
        shape_count=len(shapes),
        outputs=c.strings(outputs),
        output_count=len(outputs),
        no_load_params=weights == "none",
        weights=c.WEIGHTS.get(weights, 0),
        bounds=c.strings(bounds),
        bound_count=len(bounds),
        input_values=c.strings(values),
        input_value_count=len(values),
        layers=c.LAYERS[layers],
    )


def serialized(model: Any) -> bytes:
    """The bytes of a ModelProto or of another buffer."""
    if hasattr(model, "SerializeToString"):
        return model.SerializeToString()
    if isinstance(model, (bytearray, memoryview)):
        return bytes(model)
    kind = type(model).__name__
    raise TypeError(f"a path, bytes or an onnx.ModelProto, please, not a {kind}")


def elements_per_byte(dtype: np.dtype) -> int:
    """Of the packed layout of ONNX: more than one for types of 2 and 4 bits."""
    integer = jnp.issubdtype(dtype, jnp.integer)
    known = integer or jnp.issubdtype(dtype, jnp.floating)
    bits = (jnp.iinfo if integer else jnp.finfo)(dtype).bits if known else 8
    return max(1, 8 // bits)


def as_param(key: str, array: np.ndarray) -> jnp.ndarray:
    """The array in JAX; OverflowError where its mode would wrap integers."""
    x = jnp.asarray(array)
    if array.dtype.name in ("int64", "uint64") and not np.array_equal(x, array):
        raise OverflowError(f"{key} needs 64-bit integers: set jax_enable_x64")
    return x


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn keys such as `layer.0.weight` into dicts inside dicts."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *path, name = key.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[name] = value
    return tree
