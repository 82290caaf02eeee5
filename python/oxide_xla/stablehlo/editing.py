"""What jax.export gives, as others want to read it.

The artifact of jax.export holds StableHLO alone: what JAX calls chlo is there as
`stablehlo.composite`, whose decomposition is a function. To it come the names of
arguments and results, and what only JAX reads goes: assertions about shapes, which are
custom calls, the places of the Python source, and attributes of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from jax import export
from jax.interpreters import mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo
from jaxlib.mlir.passmanager import PassManager

from oxide_xla.stablehlo.signature import Signature

NAME = "oxide_xla.name"  # the attribute of arguments and results
PLATFORM = "_platform_index"  # what jax.export calls the argument
CONSTANT = "jax.global_constant"
ASSERTION = "shape_assertion"
OF_JAX = ("mhlo.num_partitions", "mhlo.num_replicas", "jax.uses_shape_polymorphism")
INNER = "_wrapped_jax_export_main"  # what `main` calls with the open dimensions


def load(exported: export.Exported) -> tuple[ir.Context, ir.Module]:
    """The module of an exported function, in a context of its own."""
    context = mlir.make_ir_context()
    with context:
        artifact = bytes(exported.mlir_module_serialized)
        return context, stablehlo.deserialize_portable_artifact(context, artifact)


def takes_platform(module: ir.Module) -> bool:
    """Whether `main` takes the index of the platform before everything else."""
    main = function(module, "main")
    if "arg_attrs" not in main.attributes or not len(main.arguments):
        return False
    first = ir.DictAttr(ir.ArrayAttr(main.attributes["arg_attrs"])[0])
    return CONSTANT in first and ir.StringAttr(first[CONSTANT]).value == PLATFORM


def edit(
    context: ir.Context, module: ir.Module, signature: Signature, name: str
) -> None:
    """Give the module of `load` its names, and take out what only JAX reads."""
    with context, ir.Location.unknown():
        attributes = module.operation.attributes
        for key in [key for key in OF_JAX if key in attributes]:
            del attributes[key]
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        attributes["sym_name"] = ir.StringAttr.get(plain)
        main = function(module, "main")
        drop_assertions(main)
        PassManager.parse("builtin.module(symbol-dce,strip-debuginfo)").run(
            module.operation
        )
        set_names(main, signature)
        if inside := function(module, INNER):
            set_names(inside, signature, inner=True)
        module.operation.verify()


def function(module: ir.Module, name: str) -> Any:
    """The function of this name, None where there is none."""
    for op in module.body.operations:
        if ir.StringAttr(op.attributes["sym_name"]).value == name:
            return op
    return None


def drop_assertions(main: Any) -> None:
    """Remove the custom calls that check shapes, and what only they read."""
    ops = list(main.regions[0].blocks[0].operations)
    kept = [op for op in ops if target(op) != ASSERTION]
    for op in [op for op in ops if target(op) == ASSERTION]:
        op.operation.erase()
    for op in reversed(kept):
        results = list(op.operation.results)
        unread = results and not any(list(result.uses) for result in results)
        if unread:
            op.operation.erase()


def set_names(main: Any, signature: Signature, *, inner: bool = False) -> None:
    """Arguments and results get their names as attributes, arguments in the text, too.

    The inner function takes the platform and sizes first; they keep their attributes.
    """
    tensors = list(signature.arguments)
    if inner:
        tensors = [t for t in tensors if t.kind != "platform"]
    arguments = list(main.arguments)
    first = len(arguments) - len(tensors)
    old = list(ir.ArrayAttr(main.attributes["arg_attrs"]))[:first] if first else []
    for argument, attributes in zip(arguments, old, strict=False):
        if CONSTANT in (fields := ir.DictAttr(attributes)):
            constant = ir.StringAttr(fields[CONSTANT]).value
            argument.set_location(ir.Location.name(constant))
    for argument, tensor in zip(arguments[first:], tensors, strict=True):
        argument.set_location(ir.Location.name(tensor.name))
    made = old + [named(t.name) for t in tensors]
    results = [named(t.name) for t in signature.results]
    main.attributes["arg_attrs"] = ir.ArrayAttr.get(made)
    main.attributes["res_attrs"] = ir.ArrayAttr.get(results)


def named(name: str) -> ir.DictAttr:
    """The attributes of an argument or result of this name."""
    return ir.DictAttr.get({NAME: ir.StringAttr.get(name)})


# ---- what is in a module -------------------------------------------------------------


def target(op: Any) -> str:
    """Whom an operation calls that is a custom call; else ""."""
    if op.operation.name != "stablehlo.custom_call":
        return ""
    return ir.StringAttr(op.operation.attributes["call_target_name"]).value


def operations(op: Any) -> Iterator[Any]:
    """All operations below this one."""
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield inner.operation
                yield from operations(inner.operation)


def census(module: ir.Module) -> tuple[dict[str, int], dict[str, int], list[str]]:
    """How often it calls which target outside of StableHLO, and which composites; and
    the dialects of its operations."""
    calls: Counter[str] = Counter()
    composites: Counter[str] = Counter()
    dialects = set()
    for op in operations(module.operation):
        dialects.add(op.name.partition(".")[0])
        if op.name == "stablehlo.custom_call":
            calls[target(op)] += 1
        elif op.name == "stablehlo.composite":
            composites[ir.StringAttr(op.attributes["name"]).value] += 1
    return (
        dict(sorted(calls.items())),
        dict(sorted(composites.items())),
        sorted(dialects),
    )
