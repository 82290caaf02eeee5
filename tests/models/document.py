"""Prints docs/models.md: every architecture of the zoo, measured.

`make models-doc`
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import jax

import oxide_xla
from models import compare, exports, param_names
from models.architectures import Architecture, all_architectures

HEAD = """# Model zoo

Printed by `make models-doc`, from the tables in `tests/models/zoo_*.py`: small
configurations with random weights. *Error* is the mean squared difference from PyTorch
eager over the variance of PyTorch's output, the worst of all outputs and of two sets of
input sizes; below 1e-10 is equal (1e-5 for float16, 1e-3 for bfloat16). *Open*: the
dimensions that one file serves at any size. *Lines*: of the generated file, and
*Unrolled*: of the one that `--layers unrolled` gives. *Names*: parameters that carry
the name of an entry of the `state_dict`. *Checkpoint*: whether `load_params` takes a
plain `state_dict` with other values, and gives what PyTorch gives with them, or refuses
it and says why: where the exporter has computed with weights, folded or merged them.

| Architecture | Exporter | Error | Open | Lines | Unrolled | Names | Checkpoint |
|---|---|---|---|---|---|---|---|"""


def open_dimensions(export: exports.Export, result: compare.Comparison) -> str:
    """The dimensions that vary, as far as the file keeps its promise."""
    names = {d: None for axes in export.axes.values() for d in axes.values()}
    text = ", ".join(names) or "none"
    return f"{text} (frozen by tracing)" if result.frozen else text


def named(entry: Architecture, export: exports.Export) -> str:
    """How many parameters have names of the state_dict."""
    keys = oxide_xla.compile(export.path).arrays
    known = param_names.torch_tensors(entry.build())
    found = sum(key in known for key in keys)
    return "all" if found == len(keys) else f"{found} of {len(keys)}"


def checkpoint(entry: Architecture, result: compare.Comparison) -> str:
    """What becomes of a plain state_dict."""
    if isinstance(result.trained, str):
        return "refused"
    return "loads" if result.trained < compare.limit(entry) else "differs"


def unrolled_lines(export: exports.Export) -> int:
    """The length of the file without functions for repeated modules."""
    return len(oxide_xla.compile(export.path, layers="unrolled").source.splitlines())


def rows(entry: Architecture) -> Iterable[str]:
    """One line for each exporter."""
    for exporter in exports.EXPORTERS:
        export = exports.exported(entry, exporter)
        start = f"| {entry.name} | {exporter} |"
        if export.path is None:
            yield f"{start} PyTorch cannot export it | | | | | |"
            continue
        try:
            result = compare.compare(entry, exporter)
        except (AssertionError, oxide_xla.OxideError) as refused:
            message = exports.one_line(str(refused).splitlines()[0])
            yield f"{start} refused: {message} | | | | | |"
            continue
        sizes = [result.error] if result.frozen else [result.error, result.second or 0]
        yield (
            f"{start} {max(sizes):.1e} | {open_dimensions(export, result)} "
            f"| {result.lines} | {unrolled_lines(export)} | {named(entry, export)} "
            f"| {checkpoint(entry, result)} |"
        )


def failures(entries: Iterable[Architecture]) -> Iterable[str]:
    """What PyTorch cannot export, with its error."""
    for entry in entries:
        for exporter in exports.EXPORTERS:
            export = exports.exported(entry, exporter)
            if export.error:
                what = "with fewer open dimensions" if export.path else "not at all"
                text = export.error[:160].replace("|", "\\|")
                yield f"| {entry.name} | {exporter} | {what} | {text} |"


def main() -> int:
    """Print the document."""
    entries = list(all_architectures().values())
    print(HEAD)
    for entry in entries:
        for row in rows(entry):
            print(row, flush=True)
        jax.clear_caches()  # the code of 200 models exhausts what may be mapped
    print("\n## What PyTorch cannot export\n")
    print("| Architecture | Exporter | Exported | Error |\n|---|---|---|---|")
    for row in failures(entries):
        print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
