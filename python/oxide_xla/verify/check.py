"""The comparison itself: compile, run both, and find the first node that differs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

import oxide_xla
from oxide_xla.verify import gradients, inputs, locate, metrics, references
from oxide_xla.verify.metrics import Row
from oxide_xla.verify.network import Network, VerifyError, serialized
from oxide_xla.verify.reproduction import Reproduction, reproduce

Arrays = dict[str, np.ndarray]
Track = Callable[[Any, str, int | None], Any]


@dataclass
class Report:
    """What `verify` found."""

    name: str
    against: str
    rows: list[Row]
    gradients: list[Row] = field(default_factory=list)
    layers: list[Row] = field(default_factory=list)
    first: Row | None = None  # of the first node that differs, if that can be said
    reproduction: Reproduction | None = None

    @property
    def passed(self) -> bool:
        return all(row.passed for row in [*self.rows, *self.gradients])


@dataclass
class Candidate:
    """The generated code as a function of inputs."""

    network: Network
    compile: Callable[..., oxide_xla.CompiledModel]
    mode: Callable[[], Any]

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

    def call(self, model, given: Arrays, params=None):
        """forward(params, *inputs)."""
        refuse_random(model.forward)
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


def verify(
    model: Any,
    *,
    against: str | None = None,
    module: Any = None,
    inputs_file: str | None = None,
    shapes: Sequence[str] = (),
    seed: int = 0,
    grad: bool = False,
    layers: bool = False,
    reproductions: str | Path | None = None,
    compile: Callable[..., oxide_xla.CompiledModel] = oxide_xla.compile,
    track: Track | None = None,
) -> Report:
    """Compare the generated code with `against`: "onnxruntime", "reference", "torch".

    `model` is a path, bytes or a ModelProto. `module` is what torch runs: a module, or
    the dotted path of one. `reproductions` is the folder for the one-node model that is
    written on a mismatch (None: not written). `compile` takes the arguments `model` and
    `outputs` of `oxide_xla.compile`. `track(iterable, what, total)` shows progress.
    Raises VerifyError where nothing can be compared, OxideError where the model cannot
    be compiled.
    """
    network = Network(model)
    track = track or (lambda items, what, total: items)
    kind = against or references.best_onnx_reference()
    reference = references.make(kind, network, module)
    given = (
        inputs.load_inputs(network, inputs_file)
        if inputs_file
        else inputs.random_inputs(network, shapes, seed)
    )
    candidate = Candidate(network, compile, lambda: modes(network.uses_double))
    report = Report(network.name, kind, compare(candidate, reference, given, track))
    if grad:
        report.gradients = gradients.compare(candidate, reference, given, track)
    if not layers and all(row.passed for row in report.rows):
        return report
    # torch does not know the values by the names of the file.
    if kind == references.Torch.name:
        reference = references.make(references.best_onnx_reference(), network)
    search = locate.Search(candidate, reference, given, track)
    report.layers = search.rows(all_of_them=layers)
    report.first = next((row for row in report.layers if not row.passed), None)
    if report.first and reproductions is not None:
        report.reproduction = reproduce(
            search, report.first, Path(reproductions), compile
        )
    return report


def compare(candidate: Candidate, reference, given: Arrays, track: Track) -> list[Row]:
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


def noisy_runs(run, network: Network, given: Arrays, track: Track) -> list[Any]:
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


@contextlib.contextmanager
def modes(double: bool):
    """64-bit types where the model needs them, and float32 products in full."""
    with jax.default_matmul_precision("highest"):
        if not double:
            yield
            return
        with jax.enable_x64(True):
            yield


def refuse_random(forward) -> None:
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
