"""What the engines are given: a model as a generated file and as ONNX, with inputs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import speed_models
from engines import Task
from speed_models import MODELS, zoo

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("OXIDE_XLA", ROOT / "build" / "oxide_xla"))
WORK = ROOT / "build" / "bench" / "run"


def exported(name: str, exporter: str) -> Path:
    """The ONNX file of a model with an open batch, made at the first call."""
    digest = hashlib.sha256(Path(speed_models.__file__).read_bytes()).hexdigest()[:12]
    beside = zoo.cache()
    folder = beside.with_name(f"{beside.name}-{digest}") / f"{name}-{exporter}"
    path = folder / f"{name}.onnx"
    if path.exists():
        return path
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".draft-") as draft:
        made = Path(draft) / folder.name
        made.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zoo.EXPORTERS[exporter](MODELS[name], made / path.name, True)
        made.rename(folder)
    return path


@cache
def compiled(onnx: Path, name: str) -> Path:
    """The module of a model, generated anew, with its weights beside it."""
    WORK.mkdir(parents=True, exist_ok=True)
    output = WORK / f"{name}.py"
    command = [PROGRAM, "compile", onnx, "--output", output, "--force"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return output


def task(name: str, batch: int, exporter: str, first_call: bool) -> Task:
    """A model with inputs; onnxruntime gets what PyTorch exports by default."""
    path = exported(name, exporter)
    inputs = MODELS[name].inputs(batch)
    return Task(
        name,
        compiled(path, name),
        exported(name, "dynamo"),
        tuple(x.numpy() for x in inputs),
        first_call,
    )
