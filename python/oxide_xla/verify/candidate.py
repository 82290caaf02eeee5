"""The generated code of a model as a function of inputs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np

import oxide_xla
from oxide_xla.verify.network import Arrays, Network, VerifyError, serialized

#: `oxide_xla.compile`, or what stands for it: takes a model and `outputs`.
Compile: TypeAlias = Callable[..., oxide_xla.CompiledModel]


@dataclass
class Candidate:
    """The generated code as a function of inputs."""

    network: Network
    compile: Compile
    mode: Callable[[], contextlib.AbstractContextManager[None]]

    def run(
        self, given: Arrays, values: Sequence[str] | None = None
    ) -> list[np.ndarray]:
        """The outputs of the model, or other values of it."""
        if values is None:
            model = self.compile(self.network.source)
        else:
            data = serialized(self.network.proto)
            model = self.compile(data, outputs=list(values))
        try:
            with self.mode():
                return listed(self.call(model, given))
        except OverflowError:  # a 64-bit constant that is no output of the model
            if values is None:
                raise
        with modes(double=True):
            return listed(self.call(model, given))

    def call(
        self,
        model: oxide_xla.CompiledModel,
        given: Mapping[str, Any],
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """forward(params, *inputs)."""
        refuse_random(model.forward)
        if hasattr(model.module, "init_cache"):
            raise VerifyError("a step with a key-value cache is not compared")
        params = model.params if params is None else params
        try:
            return model.forward(params, *given.values())
        except OverflowError:
            raise
        except Exception as error:  # the reference has run: this is a mismatch
            text = str(error).strip().splitlines() or [""]
            kind = type(error).__name__
            raise VerifyError(f"the generated code fails: {kind}: {text[0]}", 1) from (
                error
            )


@contextlib.contextmanager
def modes(double: bool) -> Iterator[None]:
    """64-bit types where the model needs them, and float32 products in full."""
    with jax.default_matmul_precision("highest"):
        if not double:
            yield
            return
        with jax.enable_x64(True):
            yield


def refuse_random(forward: Callable[..., Any]) -> None:
    """Random operators agree with nobody."""
    if "key" in inspect.signature(forward).parameters:
        key = inspect.signature(forward).parameters["key"]
        if key.kind is key.KEYWORD_ONLY:
            raise VerifyError("the model draws random numbers: nothing to compare")


def listed(result: Any) -> list[np.ndarray]:
    """The outputs of forward: one bare, or several as a NamedTuple."""
    outputs = result if isinstance(result, tuple) else (result,)
    for output in outputs:
        if not hasattr(output, "dtype"):
            raise VerifyError("an output is a sequence: only tensors are compared")
    return [np.asarray(output) for output in outputs]
