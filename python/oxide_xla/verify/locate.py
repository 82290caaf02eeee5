"""Finds the first node whose inputs agree and whose output does not.

Every value of the graph becomes an output on both sides, a chunk at a time in the order
of the nodes, so that memory stays bounded and the search stops early.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import onnx

from oxide_xla.verify import metrics
from oxide_xla.verify.candidate import Candidate
from oxide_xla.verify.comparing import Track, noisy_runs, untracked
from oxide_xla.verify.metrics import Row
from oxide_xla.verify.network import Arrays, Network
from oxide_xla.verify.references import OnnxReference

CHUNK_BYTES = 256 * 2**20  # of values that are held at once, on each side
CHUNK_VALUES = 400
UNKNOWN = 4096  # elements of a value whose shape is not known


class Search:
    """Compares the values inside a model."""

    def __init__(
        self,
        candidate: Candidate,
        reference: OnnxReference,
        given: Arrays,
        track: Track,
    ):
        self.candidate = candidate
        self.reference = reference
        self.given = given
        self.track = track
        self.network = candidate.network
        self.makers = {
            name: node for node in self.network.graph.node for name in node.output
        }

    def rows(self, all_of_them: bool) -> list[Row]:
        """A row for each value; up to the chunk of the first failure unless asked."""
        parts = list(chunks(self.network))
        found: list[Row] = []
        for names in self.track(parts, "comparing values", len(parts)):
            found += self.compare(names)
            if not all_of_them and any(not row.passed for row in found):
                break
        return found

    def compare(self, names: Sequence[str]) -> list[Row]:
        """The rows of these values, which both sides return at once."""

        def run(given: Arrays, weights: Arrays | None = None) -> list[np.ndarray]:
            return self.reference.run(given, weights, names)

        expected = run(self.given)
        samples = noisy_runs(run, self.network, self.given, untracked)
        actual = self.candidate.run(self.given, names)
        return [
            metrics.compare(
                name,
                actual[i],
                expected[i],
                [sample[i] for sample in samples],
                node=label(self.makers[name]),
            )
            for i, name in enumerate(names)
        ]

    def values(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """What the reference computes for these values, inputs and weights."""
        inner = [name for name in names if name in self.makers]
        made = self.reference.run(self.given, None, inner) if inner else []
        known = {**self.network.weights, **self.given, **dict(zip(inner, made))}
        return {name: known[name] for name in names}


def chunks(network: Network) -> Iterator[list[str]]:
    """The inner values in order, so many at a time that they fit in memory."""
    part: list[str] = []
    size = 0
    for name in network.inner_values():
        own = nbytes(network, name)
        if part and (size + own > CHUNK_BYTES or len(part) == CHUNK_VALUES):
            yield part
            part, size = [], 0
        part.append(name)
        size += own
    if part:
        yield part


def nbytes(network: Network, name: str) -> int:
    """About how much memory a value needs."""
    kind = network.types.get(name)
    if kind is None or not kind.tensor_type.HasField("shape"):
        return 4 * UNKNOWN
    dims: Sequence[int] = [max(d.dim_value, 1) for d in kind.tensor_type.shape.dim]
    return 4 * math.prod(dims)


def label(node: onnx.NodeProto) -> str:
    """The node as messages name it."""
    return f"{node.op_type} {node.name}".strip()
