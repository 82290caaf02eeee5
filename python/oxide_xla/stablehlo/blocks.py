"""The functions of repeated modules, as functions of the lowered program.

A generated file calls `layer(params, x)` twelve times, and JAX would trace it twelve
times. Under `jax.jit` it is traced once for each set of types, and lowered as one
`func.func private` that is called twelve times.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable
from typing import Any

import jax

# How the docstring of such a function begins: "BertLayer, such as encoder.layer.0."
ORIGIN = re.compile(r"(Modules|\S+,)\s+such\s+as\s")

# A function that wants to know values, or returns what is no array, stays as it is.
NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


class NotArrays(Exception):
    """A function returned sizes or strings, which jit would turn into arrays."""


def outline(namespace: dict[str, Any]) -> None:
    """Replace the functions of repeated modules in a module by jitted ones."""
    for name, value in list(namespace.items()):
        if isinstance(value, types.FunctionType) and ORIGIN.match(value.__doc__ or ""):
            namespace[name] = outlined(value)


def outlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under jit; what is no array, as a size, is fixed for each call."""
    made: dict[Any, Any] = {}

    @functools.wraps(function)
    def call(*args: Any, **numbers: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, numbers))
        arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]
        fixed = [None if isinstance(x, jax.Array) else (type(x), x) for x in leaves]
        try:
            key = tree, tuple(fixed)
            jitted = made.setdefault(key, under_jit(function, tree, fixed))
        except TypeError:  # a value that has no hash
            return function(*args, **numbers)
        try:
            return jitted(*arrays) if jitted else function(*args, **numbers)
        except (NotArrays, *NEEDS_VALUES):
            made[key] = None
            return function(*args, **numbers)

    return call


def under_jit(function: Callable[..., Any], tree: Any, fixed: list[Any]) -> Any:
    """A jitted function of the arrays among the leaves of the arguments."""

    @functools.wraps(function)
    def body(*arrays: Any) -> Any:
        rest = iter(arrays)
        leaves = [next(rest) if entry is None else entry[1] for entry in fixed]
        args, numbers = jax.tree.unflatten(tree, leaves)
        result = function(*args, **numbers)
        if not all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(result)):
            raise NotArrays
        return result

    return jax.jit(body)
