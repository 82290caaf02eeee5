"""From a compiled model to a StableHLO module: jax.export of the generated function."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from oxide_xla._errors import OxideError
from oxide_xla.nest import nest
from oxide_xla.stablehlo import blocks, editing
from oxide_xla.stablehlo.lowered import StableHlo
from oxide_xla.stablehlo.signature import Signature, Tensor

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
WEIGHTS = ("safetensors", "inline", "none")

MORE_ABOUT_SIZES = (
    "give sizes with --shape (shapes= in Python), or say what holds for all with "
    "--constraint (constraints=), such as 'seq >= 8' or 'mod(seq, 2) == 0'"
)
FIX_VALUES = (
    "fix what decides with --input-value (input_values=), or bound it with --bound "
    "(bounds=)"
)


class Compiled(Protocol):
    """What of `oxide_xla.CompiledModel` is lowered."""

    name: str
    source: str
    nested: bool

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The parameters, in the order of first use."""

    @property
    def input_types(self) -> list[dict[str, Any]]:
        """The inputs in order: name, kind, dtype, shape."""

    @property
    def output_names(self) -> list[str]:
        """The names of what `forward` returns, in order."""


@dataclasses.dataclass
class Job:
    """A model on its way: what its function takes, and under which names."""

    model: Compiled
    forward: Callable[..., Any]
    params: dict[str, jax.ShapeDtypeStruct]  # in the order of first use
    values: Callable[[], dict[str, np.ndarray]]
    inputs: list[Any]  # trees of ShapeDtypeStruct, one for each input
    draws: bool  # whether forward takes a key


def lower(
    model: Compiled,
    inputs: Sequence[Any] = (),
    *,
    platforms: Sequence[str] | None = None,
    weights: str = "safetensors",
    x64: bool | None = None,
    constraints: Sequence[str] = (),
) -> StableHlo:
    """What `CompiledModel.lower` returns, which says what is taken and raised."""
    platforms = list(platforms or ["cpu"])
    for word, known in [(weights, WEIGHTS), *((p, PLATFORMS) for p in platforms)]:
        if word not in known:
            raise ValueError(f"{word!r} is not one of {', '.join(known)}")
    wide = keeps_64_bits() if x64 is None else x64
    with jax.enable_x64(wide):
        scope = export.SymbolicScope(list(constraints))
        job = make_job(model, inputs, scope)
        exported = run_export(job, platforms, inline=weights == "inline")
        context, module = editing.load(exported)
        leading = editing.takes_platform(module)
        signature = describe(job, exported, weights == "inline", leading)
        signature = dataclasses.replace(signature, constraints=tuple(constraints))
        editing.edit(context, module, signature, model.name)
    return StableHlo(
        context,
        module,
        signature,
        origin=model.source.partition("\n")[0].removeprefix("# "),
        name=model.name,
        platforms=tuple(platforms),
        x64=wide,
        weights=weights,
        values=functools.partial(in_mode, wide, job.values),
    )


def keeps_64_bits() -> bool:
    """Whether JAX's mode has 64-bit types."""
    return bool(jax.dtypes.canonicalize_dtype(np.int64) == np.int64)


def in_mode(wide: bool, function: Callable[[], Any]) -> Any:
    """What the function returns with 64-bit types, or without."""
    with jax.enable_x64(wide):
        return function()


# ---- what the function takes ---------------------------------------------------------


def make_job(model: Compiled, inputs: Sequence[Any], scope: Any) -> Job:
    """The model's function and the types of what it takes; ValueError where the number
    of inputs is another."""
    module = execute(model.source, model.name)
    if hasattr(module, "init_cache"):
        raise OxideError(
            "a step with a key-value cache is not lowered: jit its forward, or lower "
            "that with jax.jit(forward).lower"
        )
    flat = {key: struct(array) for key, array in model.arrays.items()}
    check_integers(model.arrays)
    stacked = getattr(module, "stacked", None)
    params = stacked_structs(stacked, flat) if stacked else flat

    def values() -> dict[str, np.ndarray]:
        arrays: Mapping[str, Any] = {
            key: array.astype(flat[key].dtype) for key, array in model.arrays.items()
        }
        arrays = stacked(arrays) if stacked else arrays
        return {key: np.asarray(arrays[key]) for key in params}

    parameters = inspect.signature(module.forward).parameters.values()
    draws = any(p.kind is p.KEYWORD_ONLY and p.name == "key" for p in parameters)
    count = len(parameters) - 1 - draws
    types_ = model.input_types
    if len(types_) != count or (inputs and len(inputs) != count):
        given = len(inputs) if inputs else len(types_)
        raise ValueError(f"{given} inputs for a model that takes {count}")
    if inputs:
        trees = [jax.tree.map(struct, tree) for tree in inputs]
    else:
        dims = Dimensions(scope, types_)
        trees = [dims.struct(entry) for entry in types_]
    return Job(
        model=model,
        forward=inspect.unwrap(module.forward),
        params=params,
        values=values,
        inputs=trees,
        draws=draws,
    )


def stacked_structs(
    stacked: Callable[..., dict[str, Any]], flat: dict[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.ShapeDtypeStruct]:
    """The parameters of a scan, stacked as load_params does, in its order."""
    keys: list[str] = []

    def listed(*arrays: Any) -> list[Any]:
        result = stacked(dict(zip(flat, arrays, strict=True)))
        keys.extend(result)
        return list(result.values())

    structs = jax.eval_shape(listed, *flat.values())
    return dict(zip(keys, structs, strict=True))


def execute(source: str, name: str) -> types.ModuleType:
    """The generated module, its blocks as functions of the program to be."""
    module = types.ModuleType("stablehlo_" + re.sub(r"\W", "_", name))
    module.__file__ = f"<{module.__name__}>"
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    blocks.outline(module.__dict__)
    return module


def struct(x: Any) -> jax.ShapeDtypeStruct:
    """Shape and type, the type as JAX's mode has it."""
    dtype = jax.dtypes.canonicalize_dtype(x.dtype)
    return jax.ShapeDtypeStruct(x.shape, dtype)


def check_integers(arrays: Mapping[str, np.ndarray]) -> None:
    """OxideError where 32 bits would wrap a parameter."""
    if keeps_64_bits():
        return
    for key, array in arrays.items():
        if array.dtype.name not in ("int64", "uint64"):
            continue
        narrow = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
        if not np.array_equal(narrow.astype(array.dtype), array):
            raise OxideError(
                f"error: the parameter {key!r} needs 64-bit integers\n"
                "  help: --x64 (x64=True in Python) keeps them"
            )


class Dimensions:
    """The symbols of open dimensions, under names that JAX takes."""

    IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
    RESERVED = {"mod", "floordiv", "max", "min", "non_negative"}

    def __init__(self, scope: Any, entries: Sequence[dict[str, Any]]):
        self.scope = scope
        self.names: dict[str, str] = {}
        sizes = [size for entry in entries for size in entry.get("shape") or ()]
        #: Symbols that are a dimension by themselves.
        self.plain = {str(x) for x in sizes if self.IDENTIFIER.fullmatch(str(x))}
        self.plain -= self.RESERVED

    def struct(self, entry: dict[str, Any]) -> jax.ShapeDtypeStruct:
        """An input as `oxide_xla inspect` describes it."""
        name, shape = entry["name"], entry.get("shape")
        if entry["kind"] != "tensor" or shape is None:
            is_tensor = entry["kind"] == "tensor"
            what = "of unknown rank" if is_tensor else f"no tensor: {entry['kind']}"
            raise OxideError(
                f"error: the input {name!r} is {what}\n"
                "  help: give the ranks with --shape, or in Python examples of all "
                "inputs: model.lower(*inputs)"
            )
        dims = [
            size if isinstance(size, int) else self.dim(size or f"{name}_{axis}")
            for axis, size in enumerate(shape)
        ]
        dtype = jax.dtypes.canonicalize_dtype(jnp.dtype(entry["dtype"]))
        return jax.ShapeDtypeStruct(tuple(dims), dtype)

    def dim(self, text: str) -> Any:
        """The dimension that a text stands for: an expression, or else a name."""
        if not self.is_expression(text):
            text = self.named(text)
        (dim,) = export.symbolic_shape(text, scope=self.scope)
        return dim

    def is_expression(self, text: str) -> bool:
        """Whether it says the size by those of other dimensions: past + 1."""
        if not set(self.IDENTIFIER.findall(text)) - self.RESERVED <= self.plain:
            return False
        if not re.fullmatch(r"[\w +*()-]+", text, re.ASCII):
            return False
        try:
            return len(export.symbolic_shape(text, scope=self.scope)) == 1
        except ValueError:
            return False

    def named(self, text: str) -> str:
        """An identifier for a name that is none, another for each name."""
        if text not in self.names:
            name = base = "d_" + re.sub(r"\W", "_", text, flags=re.ASCII)
            number = 1
            while name in self.names.values():
                number += 1
                name = f"{base}_{number}"
            self.names[text] = name
        return self.names[text]


# ---- lowering ------------------------------------------------------------------------


def run_export(job: Job, platforms: Sequence[str], inline: bool) -> export.Exported:
    """jax.export of a function that takes everything by position."""
    keys = [] if inline else list(job.params)
    constants = job.values() if inline else {}

    def main(*arguments: Any) -> tuple[Any, ...]:
        rest = iter(arguments)
        params = {key: next(rest) for key in keys} if keys else as_jax(constants)
        options = {}
        inputs = [next(rest) for _ in job.inputs]
        if job.draws:
            options["key"] = jax.random.wrap_key_data(next(rest))
        tree = nest(params) if job.model.nested else params
        result = job.forward(tree, *inputs, **options)
        return tuple(result) if isinstance(result, tuple) else (result,)

    specs = [job.params[key] for key in keys] + job.inputs
    if job.draws:
        specs.append(struct(jax.random.key_data(jax.random.key(0))))
    sizes = [leaf.shape for leaf in jax.tree.leaves(specs)]
    with reported(job.model, bool(symbols(sizes))):
        jitted = jax.jit(main, keep_unused=True)
        # What custom calls remain is reported, not refused.
        checks = [export.DisabledSafetyCheck.custom_call("ALL")]
        exporter = export.export(jitted, platforms=platforms, disabled_checks=checks)
        return exporter(*specs)


def as_jax(arrays: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Arrays as constants of a program, under their names."""
    return {key: jnp.asarray(array) for key, array in arrays.items()}


@contextlib.contextmanager
def reported(model: Compiled, is_open: bool) -> Iterator[None]:
    """What JAX cannot trace or lower, as an error of the model with a hint."""
    try:
        yield
    except OxideError:
        raise
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        why = reasons(model.source)
        if isinstance(error, blocks.NEEDS_VALUES) or why:
            lines = [
                f"error: {model.name} cannot be lowered: run-time values are shapes"
            ]
            lines += [f"  {line}" for line in why]
            lines.append(f"  help: {FIX_VALUES}")
        else:
            text = str(error).strip().partition("\n")[0]
            name = type(error).__name__
            lines = [f"error: {model.name} cannot be lowered: {name}: {text}"]
            lines += [f"  help: {MORE_ABOUT_SIZES}"] if is_open else []
        raise OxideError("\n".join(lines)) from error


def reasons(source: str) -> list[str]:
    """The comments in `forward` that say which nodes keep it from being jitted."""
    body = source.partition("\ndef forward(")[2].partition("\n\n\n")[0]
    comments = re.findall(r"^    # Not jitted: (.*(?:\n    # (?!Not).*)*)", body, re.M)
    return [text.replace("\n    # ", " ") for text in comments]


# ---- names ---------------------------------------------------------------------------


def describe(
    job: Job, exported: export.Exported, inline: bool, platform: bool
) -> Signature:
    """The names and types of what the exported function takes and returns."""
    names = [] if inline else [(key, "param", job.params[key]) for key in job.params]
    model_types = {key: array.dtype.name for key, array in job.model.arrays.items()}
    for entry, tree in zip(job.model.input_types, job.inputs, strict=True):
        for name, leaf in named_leaves(entry["name"], tree):
            names.append((name, "input", leaf))
            model_types[name] = entry.get("dtype") or ""
    if job.draws:
        names.append(("key", "key", struct(jax.random.key_data(jax.random.key(0)))))
    arguments = [
        Tensor(name, kind, leaf.dtype.name, dims(leaf.shape), "")
        for name, kind, leaf in names
    ]
    arguments = [
        dataclasses.replace(t, model_dtype=model_types.get(t.name, ""))
        if model_types.get(t.name, t.dtype) != t.dtype
        else t
        for t in arguments
    ]
    if platform:
        arguments.insert(0, Tensor("platform", "platform", "int32", ()))
    outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    results = [
        Tensor(name, "result", leaf.dtype.name, dims(leaf.shape))
        for output, tree in zip(output_names(job, len(outputs)), outputs, strict=True)
        for name, leaf in named_leaves(output, tree)
    ]
    shapes = [leaf.shape for _, _, leaf in names]
    return Signature(tuple(arguments), tuple(results), symbols(shapes))


def output_names(job: Job, count: int) -> list[str]:
    """The model's names of what `forward` returns; numbers if their count differs."""
    names = job.model.output_names
    return names if len(names) == count else [f"output_{i}" for i in range(count)]


def named_leaves(name: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of a value: itself, or x[0], x[1] of a sequence."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    for path, leaf in leaves:
        yield name + jax.tree_util.keystr(path), leaf


def dims(shape: Sequence[Any]) -> tuple[int | str, ...]:
    """A shape as `Tensor` has it: open sizes as text."""
    return tuple(size if isinstance(size, int) else str(size) for size in shape)


def symbols(shapes: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """The symbols of these shapes, in the order of their first appearance."""
    found: dict[str, None] = {}
    for size in (size for shape in shapes for size in shape):
        if not isinstance(size, int):
            names = Dimensions.IDENTIFIER.findall(str(size))
            found |= dict.fromkeys(n for n in names if n not in Dimensions.RESERVED)
    return tuple(found)
