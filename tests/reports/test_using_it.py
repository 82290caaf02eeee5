"""What people ran into around the compiler itself: files of other kinds, programs that
are not found, packages that are missing."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / "oxide_xla"
FIXTURE = ROOT / "tests" / "fixtures" / "linear.onnx"


def run(*command, **options):
    """The finished command, with text."""
    words = list(map(str, command))
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **options)


def zipped(*names):
    """A zip archive of empty files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return stream.getvalue()


def saved_by_torch(kind):
    """What PyTorch writes: a checkpoint, TorchScript, a program of torch.export."""
    import torch

    stream = io.BytesIO()
    module = torch.nn.Linear(2, 2).eval()
    x = torch.zeros(1, 2)
    if kind == "checkpoint":
        torch.save(module.state_dict(), stream)
    elif kind == "old checkpoint":
        torch.save(module.state_dict(), stream, _use_new_zipfile_serialization=False)
    elif kind == "TorchScript":
        torch.jit.save(torch.jit.trace(module, x), stream)
    else:
        torch.export.save(torch.export.export(module, (x,)), stream)
    return stream.getvalue()


# RangiLyu/nanodet#34: a checkpoint given to a tool that reads ONNX, "Field number 0 is
# illegal".
@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (lambda: saved_by_torch("checkpoint"), "this is a PyTorch checkpoint"),
        (lambda: saved_by_torch("old checkpoint"), "this is a PyTorch checkpoint"),
        (lambda: saved_by_torch("TorchScript"), "torch.jit.load(FILE)"),
        (lambda: saved_by_torch("torch.export"), "torch.export.load(FILE)"),
        (
            lambda: safetensors.numpy.save({"w": np.zeros(2, np.float32)}),
            "this is a safetensors file",
        ),
        (  # its first byte reads as the version of a model
            lambda: (264).to_bytes(8, "little") + b'{"w":{}}'.ljust(264),
            "this is a safetensors file",
        ),
        (lambda: b"\x1c\0\0\0TFL3" + bytes(64), "python -m tf2onnx.convert --tflite"),
        (
            lambda: zipped("metadata.json", "config.json", "model.weights.h5"),
            "this is a Keras model",
        ),
        (lambda: b"\x89HDF\r\n\x1a\n" + bytes(64), "this is a Keras model"),
        (lambda: zipped("readme.txt"), "this is a zip archive"),
        (lambda: gzip.compress(FIXTURE.read_bytes()), "this is a gzip file"),
    ],
)
def test_files_of_other_kinds_get_a_hint_of_their_own(content, hint, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content())
    done = run(PROGRAM, "compile", "m.onnx", cwd=tmp_path)
    assert done.returncode == 1
    assert "error[OX0101]" in done.stderr
    assert hint in done.stderr


def test_verify_is_found_beside_the_program(tmp_path):
    """A virtual environment that is not active is not on the PATH."""
    shutil.copy(PROGRAM, tmp_path)
    script = tmp_path / "oxide_xla-verify"
    script.write_text('#!/bin/sh\necho "verify $*"\n')
    script.chmod(0o755)
    link = tmp_path / "bin" / "oxide_xla"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "oxide_xla")
    for program in (tmp_path / "oxide_xla", link):
        done = run(program, "verify", "m.onnx", "--grad", env={"PATH": "/usr/bin:/bin"})
        assert (done.stdout, done.stderr) == ("verify m.onnx --grad\n", "")


def test_python_runs_the_program_as_a_module(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    module = [sys.executable, "-m", "oxide_xla"]
    done = run(*module, "compile", FIXTURE, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "linear_jax.py").exists()
    assert run(*module, "inspect", "none.onnx", env=environment).returncode == 3
    done = run(*module, "verify", "--help", env=environment)
    assert done.stdout.startswith("usage: oxide_xla verify")


# Each is importable where the tests run, so it is hidden.
@pytest.mark.parametrize("package", ["torch", "onnx", "onnxscript"])
def test_from_torch_says_which_package_is_missing(package, monkeypatch):
    import importlib.util

    import oxide_xla

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == package else find(name),
    )
    with pytest.raises(ImportError, match=r"pip install 'oxide_xla\[torch\]'") as info:
        oxide_xla.from_torch(object(), ())
    assert info.value.name == package


def test_requirements_that_the_bridge_names_are_there():
    hidden = "import sys; sys.modules['onnxscript'] = None; import fx_export; "
    command = "sys.exit(fx_export.main(['--model', 'torch.nn.ReLU', '--output', 'm']))"
    done = run(
        sys.executable, "-c", hidden + command, env={"PYTHONPATH": ROOT / "bridge"}
    )
    assert done.returncode == 1
    named = re.search(r"pip install -r (\S+)", done.stderr)
    assert named and Path(named[1]).exists(), done.stderr
