"""`compile` and what it returns."""

from __future__ import annotations

import builtins
import ctypes
import dataclasses
import functools
import itertools
import json
import linecache
import math
import os
import sys
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from oxide_xla import _library as c
from oxide_xla._errors import OxideError
from oxide_xla.nest import nest

if TYPE_CHECKING:
    import jax

    from oxide_xla.stablehlo.lowered import StableHlo

_serial = itertools.count()


class Message(Protocol):
    """An onnx.ModelProto, as far as it is read here: ONNX need not be installed."""

    def SerializeToString(self) -> bytes:
        """The bytes of the file."""


#: What `compile` takes: a path, the bytes of a file, or the message itself.
Model: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Message
#: The `shapes` of `compile`: {"x": (8, 3, "h", "w")} or ["x=8,3,h,w"].
Shapes: TypeAlias = Mapping[str, Sequence[int | str]] | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Given:
    """The options of `compile` that change what the model takes and returns."""

    shapes: Sequence[str] = ()
    outputs: Sequence[str] = ()
    input_values: Sequence[str] = ()  # names


class Handle:
    """An OxCompiler with a model loaded; freed with the last array that lies in it.

    Raises OxideError where the model cannot be read, MemoryError where there is no
    memory for a compiler, TypeError for what is no model.
    """

    def __init__(self, model: Model, name: str | None):
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
        """Every message so far, in the grammar of docs/errors.md."""
        return str(self.lib.ox_messages(self.pointer, False))

    def check(self, status: int) -> None:
        """OxideError with all messages where an OxStatus is not OX_OK."""
        if status != c.OK:
            raise OxideError(self.messages, status)

    def inspect(self, shapes: Sequence[str] = ()) -> dict[str, Any]:
        """What `oxide_xla inspect --format json` prints; `shapes` as NAME=D,D,..."""
        text = c.Text()
        options = c.InspectOptions(
            format=c.JSON, shapes=c.strings(list(shapes)), shape_count=len(shapes)
        )
        status = self.lib.ox_inspect(
            self.pointer, ctypes.byref(options), ctypes.byref(text)
        )
        self.check(status)
        found: dict[str, Any] = json.loads(str(text))
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Every parameter that the model has the values of, by name, in the order of
        first use."""
        params = [self.lib.ox_param(self.pointer, i) for i in range(self.count)]
        return {
            str(param.key): self.array(param)
            for param in params
            if param.nbytes or not math.prod(param.shape[: param.rank])
        }

    @property
    def count(self) -> int:
        """How many parameters there are."""
        count: int = self.lib.ox_param_count(self.pointer)
        return count

    def array(self, param: c.Param) -> np.ndarray:
        """A view of the parameter's bytes; a copy where elements share bytes."""
        import jax.numpy as jnp

        buffer = (ctypes.c_uint8 * param.nbytes).from_address(param.data or 0)
        buffer.owner = self  # numpy keeps the buffer, and the buffer the model
        shape = param.shape[: param.rank]
        dtype = jnp.dtype(param.dtype.decode())
        data: np.ndarray = (
            np.frombuffer(buffer, np.uint8) if param.nbytes else np.empty(0, np.uint8)
        )
        per_byte = elements_per_byte(dtype)
        if per_byte > 1:
            bits = 8 // per_byte
            data = data[:, None] >> np.arange(0, 8, bits, dtype=np.uint8)
            data = (data & (2**bits - 1)).ravel()[: math.prod(shape)]
        array: np.ndarray = data.view(dtype).reshape(shape)
        array.flags.writeable = False
        return array


class CompiledModel:
    """A model as JAX code: the source, the parameters, and the function itself.

    `compile` and `from_torch` make it. Parameters are read when they are first asked
    for, and the module is executed then, not before.
    """

    def __init__(
        self,
        handle: Handle,
        name: str,
        nested: bool,
        weights: str,
        given: Given | None = None,
    ):
        self._handle = handle
        self._given = given or Given()
        #: Whether `params` is dicts inside dicts.
        self.nested = nested
        self._weights = weights
        #: The `name` that `compile` was given, else the stem of the file, else "model".
        self.name = name
        #: The generated module as text.
        self.source = str(handle.lib.ox_source(handle.pointer))
        #: The text of safetensors_io.py, which the module imports where it was compiled
        #: with `loader="module"`; empty where it does not.
        self.loader_source = str(handle.lib.ox_loader_source(handle.pointer))
        #: Warnings of the compiler; empty when there are none.
        self.messages = handle.messages

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters as read-only numpy arrays, which lie in the model's bytes.

        Under their names in the model, in the order of first use; shapes and dtypes are
        the model's, with one element to a byte where it packs several. They stay valid
        after the model is gone. Those that `port` leaves to a checkpoint are not there.
        """
        return self._handle.arrays()

    @functools.cached_property
    def params(self) -> dict[str, Any]:
        """The parameters as JAX arrays, as `load_params` of the module gives them.

        Flat, {"layer.0.weight": array}, or dicts inside dicts where `nested`. dtypes
        are those that JAX's mode allows: int64 is int32 unless `jax_enable_x64` is set.
        Raises OverflowError where an integer does not fit then, OxideError where a
        checkpoint has parameters that the model has not.
        """
        if self._handle.count > len(self.arrays):
            raise OxideError(
                "error: the model has no weights\n"
                "  help: save it, and give load_params of the module the checkpoint"
            )
        import jax

        with jax.ensure_compile_time_eval():  # they are kept: not those of a trace
            flat = {key: as_param(key, array) for key, array in self.arrays.items()}
            if stacked := getattr(self.module, "stacked", None):
                flat = stacked(flat)
        return nest(flat) if self.nested else flat

    @functools.cached_property
    def module(self) -> types.ModuleType:
        """The generated module, executed; tracebacks show its source."""
        stem = "".join(ch if ch.isalnum() else "_" for ch in self.name)
        name = f"oxide_xla_{stem}_{next(_serial)}"
        module = types.ModuleType(name)
        sys.modules[name] = module  # where pickle looks for the outputs' class
        if self.loader_source:  # a package, from which it imports the other
            module.__package__ = name
            loader = types.ModuleType(f"{name}.{c.LOADER_MODULE}")
            setattr(module, c.LOADER_MODULE, execute(loader, self.loader_source))
        return execute(module, self.source)

    @property
    def forward(self) -> Callable[..., Any]:
        """The function of the module, `forward(params, *inputs)`.

        `params` is laid out as `params` of this model, `inputs` are arrays in the order
        of `input_types`, with their shapes. It returns one array, or a NamedTuple of
        them in the order of `output_names`; a sequence is a list. A model that draws
        random numbers takes `key=` besides. Errors are JAX's own.
        """
        forward: Callable[..., Any] = self.module.forward
        return forward

    @property
    def init_cache(self) -> Callable[..., Any]:
        """`init_cache(batch, length=N, dtype=...)` of a decoder with a cache.

        Raises AttributeError where the model has none.
        """
        init_cache: Callable[..., Any] = self.module.init_cache
        return init_cache

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the module to `path` and its parameters beside it, both or neither.

        The parameters go to the file of the same stem that ends in .safetensors or
        .npz, as `weights` of `compile` says, and safetensors_io.py beside them where
        the module imports it. Returns the path of the module.
        Raises OxideError where one of them is a file that was not generated, or was
        edited since, or the parameters beside it are from `save_params`; `force`
        replaces them. Raises it, too, where a file cannot be written.
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
        """What `oxide_xla inspect --format json` prints about the model: its inputs,
        outputs, nodes and parameters, with the shapes of the file. Raises OxideError.
        """
        return self._handle.inspect()

    @functools.cached_property
    def input_types(self) -> list[dict[str, Any]]:
        """The inputs of `forward` in order: their name in the model, kind, dtype and
        shape, of which each size is an int, a symbol, or None where it is not known."""
        inputs = self._handle.inspect(self._given.shapes)["inputs"]
        return [x for x in inputs if x["name"] not in self._given.input_values]

    @functools.cached_property
    def output_names(self) -> list[str]:
        """The names in the model of what `forward` returns, in order."""
        outputs = self._given.outputs
        return list(outputs) or [x["name"] for x in self.inspect()["outputs"]]

    def lower(
        self,
        *inputs: Any,
        platforms: Sequence[str] | None = None,
        weights: str = "safetensors",
        x64: bool | None = None,
        constraints: Sequence[str] = (),
    ) -> StableHlo:
        """StableHLO of `forward`, by JAX's own lowering; docs/stablehlo.md says more.

        `inputs` are arrays or `jax.ShapeDtypeStruct`s of the shapes to lower for; left
        out, they are what the model says, and its open dimensions stay open.
        `platforms` are of "cpu", "cuda", "rocm" and "tpu"; `weights` is where the
        parameters go, to arguments that `save` writes as "safetensors", to arguments
        of which "none" are written, or to constants, "inline"; `x64` keeps 64-bit
        types, by default as JAX's mode has it; `constraints` say what holds for
        symbols, as "seq >= 8" or "mod(seq, 2) == 0". Raises OxideError where JAX
        cannot lower it, ValueError for a word that is not listed here or another number
        of inputs than the model takes.
        """
        from oxide_xla.stablehlo.lowering import lower

        return lower(
            self,
            inputs,
            platforms=platforms,
            weights=weights,
            x64=x64,
            constraints=constraints,
        )

    def __repr__(self) -> str:
        summary = self._handle.lib.ox_summary(self._handle.pointer)
        return f"<CompiledModel {self.name}: {summary}>"


def compile(
    model: Model,
    *,
    params: str = "flat",
    shapes: Shapes | None = None,
    outputs: Sequence[str] | None = None,
    input_values: Mapping[str, Any] | None = None,
    bounds: Mapping[str, int] | None = None,
    weights: str = "safetensors",
    layers: str = "functions",
    sharding: str = "auto",
    rank_promotion: str = "allow",
    loader: str = "inline",
    cache: str | None = None,
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
    With `rank_promotion="raise"` the code runs under that `jax_numpy_rank_promotion`:
    arrays that broadcast have one rank, `x + b[None]`.
    `sharding` says whether the module has rules for meshes of devices: "on", "off" or
    "auto", for models with repeated blocks that tensor parallelism can split.
    `loader` says where the code is that reads, checks and writes weights: "inline", in
    the module, or "module", in safetensors_io.py, which `save` writes beside it, the
    same for every model.
    `cache` makes a decoder with a past a step with a cache of a fixed length, as
    "past_key_values.*=present.*:512": inputs, outputs, length.
    Raises OxideError with all messages where the model cannot be read or compiled,
    ValueError for a word that is not listed here, TypeError for what is no model.
    """
    options = make_options(
        params,
        shapes,
        outputs,
        input_values,
        bounds,
        weights,
        layers,
        sharding,
        rank_promotion,
        loader,
        cache,
    )
    handle = Handle(model, name)
    handle.check(handle.lib.ox_compile(handle.pointer, ctypes.byref(options)))
    if isinstance(model, (str, os.PathLike)):
        name = name or Path(model).stem
    given = Given(
        shapes=shape_texts(shapes),
        outputs=list(outputs or []),
        input_values=list(input_values or {}),
    )
    nested = params == "nested"
    return CompiledModel(handle, name or "model", nested, weights, given)


def to_stablehlo(
    model: Model | CompiledModel,
    *inputs: Any,
    platforms: Sequence[str] | None = None,
    weights: str = "safetensors",
    x64: bool | None = None,
    constraints: Sequence[str] = (),
    **options: Any,
) -> StableHlo:
    """StableHLO of a model: whatever `compile` takes, or what it has returned.

    `options` are those of `compile` (shapes, outputs, input_values, bounds, layers,
    name); the rest is as in `CompiledModel.lower`. Raises OxideError, ValueError for a
    word that is not known, and TypeError for options of a model that is compiled.
    """
    if not isinstance(model, CompiledModel):
        model = compile(model, **options)
    elif options:
        raise TypeError(f"the model is compiled already: {', '.join(options)}")
    return model.lower(
        *inputs,
        platforms=platforms,
        weights=weights,
        x64=x64,
        constraints=constraints,
    )


def inspect(model: Model, name: str | None = None) -> dict[str, Any]:
    """Describe a model as `oxide_xla inspect --format json` does.

    `model` is whatever `compile` takes; `name` stands for the file where there is none.
    Raises OxideError where it cannot be read, TypeError for what is no model.
    """
    return Handle(model, name).inspect()


def make_options(
    params: str,
    shapes: Shapes | None,
    outputs: Sequence[str] | None,
    input_values: Mapping[str, Any] | None,
    bounds: Mapping[str, int] | None,
    weights: str,
    layers: str,
    sharding: str,
    rank_promotion: str,
    loader: str,
    cache: str | None,
) -> c.Options:
    """The options as the library takes them; ValueError for words it does not know."""
    words = (
        (params, c.PARAMS),
        (weights, {**c.WEIGHTS, "none": 0}),
        (layers, c.LAYERS),
        (rank_promotion, c.RANKS),
        (sharding, c.SHARDING),
        (loader, c.LOADERS),
    )
    for given, known in words:
        if given not in known:
            raise ValueError(f"{given!r} is not one of {', '.join(known)}")
    sizes, returned = shape_texts(shapes), list(outputs or [])
    padded = [f"{key}={size}" for key, size in (bounds or {}).items()]
    values = [
        f"{key}={np.asarray(value).tolist()}"
        for key, value in (input_values or {}).items()
    ]
    return c.Options(
        params=c.PARAMS[params],
        shapes=c.strings(sizes),
        shape_count=len(sizes),
        outputs=c.strings(returned),
        output_count=len(returned),
        no_load_params=weights == "none",
        weights=c.WEIGHTS.get(weights, 0),
        bounds=c.strings(padded),
        bound_count=len(padded),
        input_values=c.strings(values),
        input_value_count=len(values),
        layers=c.LAYERS[layers],
        rank_promotion=c.RANKS[rank_promotion],
        sharding=c.SHARDING[sharding],
        loader=c.LOADERS[loader],
        cache=cache.encode() if cache is not None else None,
    )


def execute(module: types.ModuleType, source: str) -> types.ModuleType:
    """Run a generated file as the module; tracebacks show its source."""
    filename = f"<{module.__name__}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    module.__file__ = filename
    exec(builtins.compile(source, filename, "exec"), module.__dict__)
    return module


def shape_texts(shapes: Shapes | None) -> list[str]:
    """Shapes as the command line has them, NAME=D,D,..."""
    if isinstance(shapes, Mapping):
        return [f"{key}={','.join(map(str, dims))}" for key, dims in shapes.items()]
    return list(shapes or [])


def serialized(model: object) -> bytes:
    """The bytes of a ModelProto or of another buffer; TypeError for what is neither."""
    if hasattr(model, "SerializeToString"):
        data: bytes = model.SerializeToString()
        return data
    if isinstance(model, (bytearray, memoryview)):
        return bytes(model)
    kind = type(model).__name__
    raise TypeError(f"a path, bytes or an onnx.ModelProto, please, not a {kind}")


def elements_per_byte(dtype: np.dtype) -> int:
    """Of the packed layout of ONNX: more than one for types of 2 and 4 bits."""
    import jax.numpy as jnp

    integer = jnp.issubdtype(dtype, jnp.integer)
    known = integer or jnp.issubdtype(dtype, jnp.floating)
    bits = (jnp.iinfo if integer else jnp.finfo)(dtype).bits if known else 8
    return max(1, 8 // bits)


def as_param(key: str, array: np.ndarray) -> jax.Array:
    """The array in JAX; OverflowError where its mode would wrap integers."""
    import jax.numpy as jnp

    x = jnp.asarray(array)
    if array.dtype.name in ("int64", "uint64") and not np.array_equal(x, array):
        raise OverflowError(f"{key} needs 64-bit integers: set jax_enable_x64")
    return x
