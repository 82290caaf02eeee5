"""What `main` of a StableHLO module takes and returns, with the names of the model."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

Shape = tuple[int | str, ...]  # an open dimension is an expression of symbols


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One argument or result."""

    #: As in the model; x[0], x[1] for the arrays of a sequence x.
    name: str
    #: "platform" (an int32 scalar: the index of the platform it runs on), "param",
    #: "input", "key" (the raw data of what random numbers are drawn from) or "result".
    kind: str
    #: As numpy and ml_dtypes name it.
    dtype: str
    #: Sizes in elements; text for an open one, an expression of `dimensions`.
    shape: Shape
    #: The type in the model, where JAX's 32-bit mode has made it another.
    model_dtype: str = ""

    def __str__(self) -> str:
        return (
            f"{json.dumps(self.name)}: {self.dtype}[{','.join(map(str, self.shape))}]"
        )

    def as_json(self) -> dict[str, Any]:
        """Its entry in the JSON file, without `model_dtype` where that is `dtype`."""
        entry = dataclasses.asdict(self) | {"shape": list(self.shape)}
        if not self.model_dtype:
            del entry["model_dtype"]
        return entry


@dataclasses.dataclass(frozen=True)
class Signature:
    """Arguments and results of `main`, in order.

    The arguments are the platform's index where there are several platforms, then the
    parameters in the order of first use, the inputs in the order of the graph, and the
    key of a model that draws random numbers.
    """

    arguments: tuple[Tensor, ...]
    #: In the order of the model's outputs.
    results: tuple[Tensor, ...]
    #: The symbols of open dimensions, in the order of their first appearance.
    dimensions: tuple[str, ...] = ()
    #: What is taken for granted about them, beyond that each is at least 1.
    constraints: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> tuple[Tensor, ...]:
        """The arguments of one kind."""
        return tuple(t for t in self.arguments if t.kind == kind)

    def comment(self) -> list[str]:
        """Some lines for the head of a file, of ASCII letters."""
        params = self.of_kind("param")
        lines = ["main takes, by position:"]
        for tensor in self.arguments:
            if tensor.kind != "param":
                lines.append(f"  {tensor.kind} {tensor}")
            elif tensor is params[0]:
                last = f" to {params[-1]}" if len(params) > 1 else ""
                plural = "s" if len(params) > 1 else ""
                lines.append(f"  {len(params)} param{plural}, {tensor}{last}")
        lines.append("and returns:")
        lines += [f"  {tensor}" for tensor in self.results]
        if self.dimensions:
            lines.append(f"for every {', '.join(self.dimensions)} of at least 1")
        lines += [f"such that {json.dumps(text)}" for text in self.constraints]
        return lines

    def as_json(self) -> dict[str, Any]:
        """Its entries in the JSON file; docs/stablehlo.md says what they mean."""
        return {
            "arguments": [t.as_json() for t in self.arguments],
            "results": [
                {k: v for k, v in t.as_json().items() if k != "kind"}
                for t in self.results
            ],
            "dimensions": [{"name": name, "min": 1} for name in self.dimensions],
            "constraints": list(self.constraints),
        }
