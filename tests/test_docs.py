"""The documentation says what the program prints."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
GENERATED = {
    "docs/operators.md": ("ops", "--format", "md"),
    "docs/errors.md": ("errors",),
}


@pytest.mark.parametrize("path", GENERATED)
def test_generated_documents_are_current(path):
    command = [PROGRAM, *GENERATED[path]]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ROOT / path).read_text() == printed.stdout, "run `make docs`"


def test_readme_shows_the_golden_file():
    readme = (ROOT / "README.md").read_text()
    golden = (ROOT / "tests" / "golden" / "two_layer_mlp.py").read_text()
    forward = re.search(r"@jax\.jit\n.*?(?=\n\n\ndef )", golden, re.S)
    assert forward, "the golden file has no forward"
    assert forward.group() in readme


def test_links_in_the_documents_lead_somewhere():
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
