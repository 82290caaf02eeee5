"""examples/gallery: what the compiler writes for eight models, read in review.

When a change is meant, `make gallery` writes the files again, as `--rebase` does; read
the diff.
"""

import os
import subprocess
import sys

import pytest

from models import gallery


@pytest.mark.parametrize("name", gallery.NAMES)
def test_golden(name, request):
    path, source = gallery.FOLDER / f"{name}_jax.py", gallery.port(name)
    if request.config.getoption("--rebase"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    assert path.read_text() == source


def test_the_table_is_of_these_files(request):
    sources = {n: (gallery.FOLDER / f"{n}_jax.py").read_text() for n in gallery.NAMES}
    path, text = gallery.FOLDER / "README.md", gallery.table(sources)
    if request.config.getoption("--rebase"):
        path.write_text(text)
    assert path.read_text() == text


def test_a_port_is_shown_beside_its_class():
    done = subprocess.run(
        [sys.executable, "-m", "models.gallery", "unet"],
        capture_output=True,
        text=True,
        check=True,
        cwd=gallery.FOLDER.parents[1] / "tests",
        env={**os.environ, "PYTHONPATH": "../python:../bridge:."},
    )
    assert "nn.Module" in done.stdout
    assert "def forward(params" in done.stdout
