"""The documentation says what the program prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import programs_page

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "examples"))
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


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="argparse writes otherwise")
def test_the_page_of_programs_is_current():
    page = (ROOT / "docs" / "programs.md").read_text()
    assert page == programs_page.page(), "run `make docs`"


def test_a_document_shows_the_golden_file():
    shown = (ROOT / "docs" / "generated.md").read_text()
    golden = (ROOT / "tests" / "golden" / "two_layer_mlp.py").read_text()
    forward = re.search(r"@jax\.jit\n.*?(?=\n\n\ndef )", golden, re.S)
    assert forward, "the golden file has no forward"
    assert forward.group() in shown


def test_links_in_the_documents_lead_somewhere():
    for document in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_readme_shows_the_encoder_and_its_code():
    import encoder

    readme = (ROOT / "README.md").read_text()
    source = (ROOT / "examples" / "encoder.py").read_text()
    shown = re.search(r"# README begins here\.\n(.*?)\n\n\nclass ", source, re.S)
    assert shown and shown.group(1) in readme
    model = encoder.compiled()
    assert encoder.functions(model.source) in readme
    helpers = set(re.findall(r"^def (\w+)", model.source.split("def block(")[0], re.M))
    assert len(helpers) == 4 and "four helpers" in readme
