"""`verify`: compile, run both, and find the first node that differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oxide_xla
from oxide_xla.verify import gradients, inputs, locate, references
from oxide_xla.verify.candidate import Candidate, Compile, modes
from oxide_xla.verify.comparing import Track, compare, untracked
from oxide_xla.verify.metrics import Row
from oxide_xla.verify.network import Model, Network
from oxide_xla.verify.reproduction import Reproduction, reproduce


@dataclass
class Report:
    """What `verify` found."""

    #: The name of the model, and of the reference.
    name: str
    against: str
    #: Of the outputs, in their order.
    rows: list[Row]
    #: Of parameters and float inputs; empty unless asked for.
    gradients: list[Row] = field(default_factory=list)
    #: Of the values inside, in the order of the nodes: on a mismatch, or if asked for.
    layers: list[Row] = field(default_factory=list)
    #: Of the first node that differs, if that can be said.
    first: Row | None = None
    #: That node as a model of its own, where it was written.
    reproduction: Reproduction | None = None

    @property
    def passed(self) -> bool:
        """Whether every output, and every gradient, is within its tolerance."""
        return all(row.passed for row in [*self.rows, *self.gradients])


def verify(
    model: Model,
    *,
    against: str | None = None,
    module: Any = None,
    inputs_file: str | None = None,
    shapes: Sequence[str] = (),
    seed: int = 0,
    grad: bool = False,
    layers: bool = False,
    reproductions: str | Path | None = None,
    compile: Compile = oxide_xla.compile,
    track: Track | None = None,
) -> Report:
    """Compare the generated code with `against`: "onnxruntime", "reference", "torch".

    `model` is a path, bytes or a ModelProto. `module` is what torch runs: a module, or
    the dotted path of one. `inputs_file` is an npz with an array for every input;
    without it inputs are random, drawn from `seed`, and `shapes` gives open dimensions,
    as ["x=2,3,h,w"]. `grad` compares gradients, too, and `layers` every value of the
    graph. `reproductions` is the folder for the one-node model that is
    written on a mismatch (None: not written). `compile` takes the arguments `model` and
    `outputs` of `oxide_xla.compile`. `track(iterable, what, total)` shows progress.
    Raises VerifyError where nothing can be compared, OxideError where the model cannot
    be compiled, OSError where a file cannot be read or written.
    """
    network = Network(model)
    track = track or untracked
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
    if isinstance(reference, references.Torch):
        reference = references.make_onnx(references.best_onnx_reference(), network)
    search = locate.Search(candidate, reference, given, track)
    report.layers = search.rows(all_of_them=layers)
    report.first = next((row for row in report.layers if not row.passed), None)
    if report.first and reproductions is not None:
        report.reproduction = reproduce(
            search, report.first, Path(reproductions), compile
        )
    return report
