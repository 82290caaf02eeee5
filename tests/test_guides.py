"""docs/guides/*.md: the blocks of each guide run, one after the other.

Python blocks share their names, as in one session; sh blocks run in bash, in the same
folder, which has the bridge and nothing else at first. Blocks of other languages are
shown and not run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import torchvision_cpu

ROOT = Path(__file__).resolve().parents[1]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.M | re.S)


def install(folder: Path) -> str:
    """The programs of an installed package in this folder; a PATH that begins there."""
    folder.mkdir()
    for name in ("stablehlo", "verify", "port", "checkpoint"):
        program = folder / f"oxide_xla-{name}"
        code = f"from oxide_xla._{name}_command import main; raise SystemExit(main())"
        program.write_text(f"#!{sys.executable}\n{code}\n")
        program.chmod(0o755)
    # python, too: a link would leave the virtual environment
    for name, program in (("oxide_xla", PROGRAM), ("python", sys.executable)):
        (folder / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


# Those that export models of some size; `make test-models` runs them, too.
LONG = ("hugging_face", "fine_tuning", "decoding", "speech", "debugging", "meshes")


def guide_parameter(path: Path):
    marks = [pytest.mark.models] if path.stem in LONG else []
    return pytest.param(path, id=path.stem, marks=marks)


def run_python(code: str, names: dict, guide: str, line: int) -> None:
    """Run a block; tracebacks have the lines of the guide."""
    exec(compile("\n" * line + code, guide, "exec"), names)


def forget_modules(folder: Path) -> None:
    """Another guide may give its modules the same names."""
    for name, module in [*sys.modules.items()]:
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.mark.parametrize("guide", [guide_parameter(path) for path in GUIDES])
def test_every_block_runs(guide, tmp_path, monkeypatch):
    text, names = guide.read_text(), {"__name__": "__main__"}
    if "transformers" in text:
        torchvision_cpu.repair()  # a torchvision that does not fit is no guide's fault
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "bridge").symlink_to(ROOT / "bridge")  # as in a clone
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PATH", install(tmp_path / "bin"))
    packages = [str(ROOT / "python"), *os.environ.get("PYTHONPATH", "").split(":")]
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, packages)))
    blocks = [*BLOCK.finditer(text)]
    assert blocks, "the guide has no block that runs"
    if "XLA_FLAGS" in text:  # JAX reads them once: a process of its own
        code = "\n".join(b[2] for b in blocks if b[1] == "python")
        subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
        return
    forget_modules(tmp_path.parent)
    for block in blocks:
        language, code = block.groups()
        line = text[: block.start()].count("\n") + 1
        if language == "python":
            run_python(code, names, str(guide), line)
        else:
            subprocess.run(["bash", "-ec", code], check=True)
