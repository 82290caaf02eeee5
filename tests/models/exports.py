"""ONNX files of the model zoo, made once: path, or why PyTorch cannot export it.

    python -m models.exports [NAME...]    makes them all, and prints what fails

`dynamo` and `torchscript` are PyTorch's exporters with their default options; `bridge`
is ours, which keeps names. The files lie under $OXIDE_XLA_ZOO_CACHE (build/zoo).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import fx_call
import fx_errors
import fx_export
import fx_exporters
from models import architectures
from models.architectures import Architecture, Axes

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Export:
    """The result of one exporter for one architecture."""

    path: Path | None  # None: it fails
    axes: Axes  # the dimensions that are open in the file
    error: str  # why it fails, or why not all dimensions could be left open

    @property
    def dynamic(self) -> bool:
        return bool(self.axes)


def _call(entry: Architecture, module: torch.nn.Module) -> fx_call.Call:
    return fx_call.bind(module, (), entry.make_inputs())


def export_dynamo(entry: Architecture, path: Path, axes: Axes) -> None:
    """Export through torch.export, with its default options."""
    module = entry.build()
    call = _call(entry, module)
    shapes = {name: axes.get(name) for name in call.kwargs} if axes else None
    with torch.no_grad():
        torch.onnx.export(
            module,
            (),
            path,
            kwargs=call.kwargs,
            dynamo=True,
            verbose=False,
            dynamic_shapes=shapes,
        )


def export_torchscript(entry: Architecture, path: Path, axes: Axes) -> None:
    """Export by tracing, with its default options."""
    module = entry.build()
    call = _call(entry, module)
    tensors = call.tensors()
    with fx_exporters.tensors_only(module, call), torch.no_grad():
        torch.onnx.export(
            module,
            tuple(tensors.values()),
            path,
            dynamo=False,
            input_names=list(tensors),
            dynamic_axes=axes or None,
        )


def export_bridge(entry: Architecture, path: Path, axes: Axes) -> None:
    """Export with the bridge, by whichever exporter manages."""
    data = fx_export.export(
        entry.build(), (), entry.make_inputs(), dynamic_shapes=axes or None
    )
    path.write_bytes(data)


EXPORTERS: dict[str, Callable[[Architecture, Path, Axes], None]] = {
    "dynamo": export_dynamo,
    "torchscript": export_torchscript,
    "bridge": export_bridge,
}


def exported(entry: Architecture, exporter: str) -> Export:
    """This export, made at the first call."""
    folder = cache() / f"{entry.name}-{exporter}"
    note = folder / "export.json"
    if not note.exists():
        _make(entry, exporter, folder)
    result = json.loads(note.read_text())
    axes = {k: {int(i): d for i, d in v.items()} for k, v in result["axes"].items()}
    path = folder / f"{entry.name}.onnx"
    return Export(path if path.exists() else None, axes, result["error"])


def _attempts(entry: Architecture) -> Iterator[Axes]:
    """All dimensions open, then the batch alone, then none."""
    batch = {
        k: {i: d for i, d in v.items() if d == "batch"} for k, v in entry.axes.items()
    }
    seen: list[Axes] = []
    for axes in (entry.axes, {k: v for k, v in batch.items() if v}, {}):
        if axes not in seen:
            seen.append(axes)
            yield axes


def _make(entry: Architecture, exporter: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".draft-") as draft:
        made = Path(draft) / folder.name
        made.mkdir()
        error = ""
        for axes in _attempts(entry):
            failure = _try(exporter, entry, made / f"{entry.name}.onnx", axes)
            error = error or failure
            if not failure:
                break
        result = {"axes": axes, "error": error}
        (made / "export.json").write_text(json.dumps(result))
        with contextlib.suppress(OSError):  # another process was first
            made.rename(folder)


def _try(exporter: str, entry: Architecture, path: Path, axes: Axes) -> str:
    """Export; the reason, in one line, if that fails."""
    with warnings.catch_warnings(), fx_exporters.quiet():
        warnings.simplefilter("ignore")
        try:
            EXPORTERS[exporter](entry, path, axes)
        except Exception as error:  # noqa: BLE001 - exporters raise all kinds
            for part in path.parent.iterdir():
                part.unlink()
            return one_line(fx_errors.reason(error))
    return ""


def one_line(text: str) -> str:
    """An error without folders of this machine, in one line."""
    text = re.sub(r"\x1b\[\d*m", "", text)
    text = re.sub(r"(?:/[\w.+-]+)+/site-packages/", "", text)
    return " ".join(text.split())


def cache() -> Path:
    """The folder of the exports that these sources and packages make."""
    base = Path(os.environ.get("OXIDE_XLA_ZOO_CACHE") or ROOT / "build" / "zoo")
    sources = sorted((ROOT / "bridge").glob("*.py"))
    sources += sorted(Path(__file__).parent.glob("zoo*.py"))
    sources += [Path(__file__), Path(architectures.__file__)]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return base / f"torch-{torch.__version__}-{digest.hexdigest()[:12]}"


def main(names: list[str]) -> None:
    """Make exports and print one line for each."""
    for entry in architectures.all_architectures().values():
        if names and entry.name not in names:
            continue
        for exporter in EXPORTERS:
            made = exported(entry, exporter)
            state = ("dynamic" if made.dynamic else "fixed") if made.path else "FAILED"
            print(f"{entry.name:24} {exporter:12} {state:8} {made.error}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
