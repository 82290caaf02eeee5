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


def blocks(language):
    """The code blocks of README."""
    readme = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.M | re.S)


@pytest.mark.torch
def test_the_python_of_readme_runs(tmp_path, monkeypatch):
    import numpy as np
    import torch

    (code,) = [block for block in blocks("python") if "from_torch" in block]
    monkeypatch.chdir(tmp_path)
    module = torch.nn.Linear(4, 2).eval()
    names = {"module": module, "example": torch.zeros(3, 4)}
    exec(code, names | {"x": np.zeros((3, 4), np.float32)})
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"model_jax.py", "model_jax.safetensors"}


def test_the_options_of_readme_exist():
    readme = (ROOT / "README.md").read_text()
    shown = blocks("sh") + re.findall(r"`(oxide_xla [^`]*)`", readme)
    commands = re.findall(r"oxide_xla (\w+)([^|>#\n]*)", "\n".join(shown))
    assert len(commands) >= 8
    for name, rest in commands:
        said = help_of(name)
        for option in re.findall(r"(?<= )--?[a-z][\w-]*", rest):
            assert re.search(rf"{option}\b", said), f"{name} {option}"


def help_of(name):
    """What --help says, of the program or of one of the Python package."""
    if name in programs_page.PROGRAMS:
        return programs_page.help_of(name)
    done = subprocess.run([PROGRAM, name, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, name
    return done.stdout
