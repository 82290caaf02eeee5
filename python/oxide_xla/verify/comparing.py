"""Outputs against those of a reference, with the reference's own noise as tolerance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from oxide_xla.verify import metrics
from oxide_xla.verify.candidate import Candidate
from oxide_xla.verify.metrics import Row
from oxide_xla.verify.network import Arrays, Network, VerifyError
from oxide_xla.verify.references import Reference

T = TypeVar("T")


class Track(Protocol):
    """Shows the progress of a loop: gives its items, of which there may be `total`."""

    def __call__(
        self, items: Iterable[T], what: str, total: int | None, /
    ) -> Iterable[T]: ...


def untracked(items: Iterable[T], what: str, total: int | None, /) -> Iterable[T]:
    """A loop whose progress is not shown."""
    return items


def compare(
    candidate: Candidate, reference: Reference, given: Arrays, track: Track
) -> list[Row]:
    """The rows of the model's outputs."""
    expected = reference.run(given)
    samples = noisy_runs(reference.run, candidate.network, given, track)
    actual = candidate.run(given)
    names = candidate.network.outputs
    if len(actual) != len(names):
        raise VerifyError(f"forward returns {len(actual)} outputs, not {len(names)}")
    return [
        metrics.compare(name, got, want, [sample[i] for sample in samples])
        for i, (name, got, want) in enumerate(zip(names, actual, expected))
    ]


def noisy_runs(
    run: Callable[[Arrays, Arrays], T], network: Network, given: Arrays, track: Track
) -> list[T]:
    """What the reference gives when inputs and weights move by their rounding."""
    runs = []
    sources = metrics.generators(1)
    for rng in track(sources, "measuring the reference's noise", metrics.SAMPLES):
        moved = {k: metrics.perturbed(x, rng) for k, x in given.items()}
        weights = {
            k: metrics.perturbed(w, rng) for k, w in network.float_weights.items()
        }
        runs.append(run(moved, weights))
    return runs
