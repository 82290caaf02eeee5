"""docs/notebooks/*.ipynb: the cells of each run, one after the other, as in a kernel.

The cells hold plain Python, so no kernel is needed. What they print is kept in them and
compared without its figures; `--rebase` writes it. The output of a cell with the tag
"varies" may be another on another machine.
"""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

import torchvision_cpu

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def read(path):
    return json.loads(path.read_text())


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(path):
    """What each cell of code prints."""
    names, printed = {"__name__": "__main__"}, []
    for number, cell in enumerate(code_cells(read(path))):
        code = compile("".join(cell["source"]), f"{path.name}[{number}]", "exec")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, names)
        printed.append(out.getvalue())
    return printed


def kept(cell):
    """The output that a cell has."""
    return "".join(line for output in cell["outputs"] for line in output["text"])


def compared(text):
    """The text with one figure for all."""
    return re.sub(r"\d+(\.\d+)?", "0", text)


def keep(path, printed):
    """Write what the cells have printed into them."""
    notebook = read(path)
    for cell, text in zip(code_cells(notebook), printed, strict=True):
        lines = text.splitlines(keepends=True)
        output = {"name": "stdout", "output_type": "stream", "text": lines}
        cell["outputs"] = [output] if text else []
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.models
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_and_prints_what_it_has(path, tmp_path, monkeypatch, request):
    torchvision_cpu.repair()  # a torchvision that does not fit is no notebook's fault
    monkeypatch.chdir(tmp_path)
    printed = run(path)
    if request.config.getoption("--rebase"):
        keep(path, printed)
    for cell, text in zip(code_cells(read(path)), printed, strict=True):
        if "varies" not in cell["metadata"].get("tags", []):
            assert compared(kept(cell)) == compared(text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_form_of_a_notebook(path):
    notebook = read(path)
    assert notebook["nbformat"] == 4
    assert notebook["cells"][0]["cell_type"] == "markdown"  # the title
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in code_cells(notebook):
        assert cell["execution_count"] is None
        assert "print(" not in "".join(cell["source"]) or kept(cell)
