"""The pages of the site that are made when it is built: tools/docs_pages.py."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import docs_pages

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))


def printed(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    return done.stdout


def test_the_command_line_has_every_option():
    page = docs_pages.manual_page(printed("manual"))
    for command in ("compile", "inspect", "diff", "ops"):
        assert f"\n### {command} " in page
        for option in re.findall(r"^ .*?(--[a-z-]+)", printed(command, "--help"), re.M):
            assert option in page or option == "--help"
    assert "\\f" not in page and "\\-" not in page
    assert not re.search(r"^\.", page, re.M), "a macro was not read"


def test_a_definition_of_the_manual_is_one_of_markdown():
    roff = ".SH OPTIONS\n.TP\n.B \\-l\\fR, \\fB\\-\\-layers \\fIa|b\\fR\nrepeats, <x>\n"
    assert docs_pages.manual_page(roff).endswith(
        "## Options\n\n\n`-l, --layers a|b`\n:   repeats, &lt;x&gt;\n"
    )


def test_the_header_is_whole():
    header = (ROOT / "include" / "oxide_xla.h").read_text()
    page = docs_pages.header_page(header)
    for name in re.findall(r"\b(ox_\w+)\(\w", header):
        assert name in page
    for name in re.findall(r"\} (Ox\w+);", header):
        assert f"## {name}\n" in page
    assert "#define OX_API" not in page and "## ox_new\n" in page


def test_what_is_public_in_python_is_shown():
    import oxide_xla

    assert docs_pages.public_names() == str(oxide_xla.__all__).replace("'", '"')


@pytest.mark.parametrize(
    "target, repository, wanted",
    [
        ("../errors.md", None, "../errors.md"),
        ("../../CHANGELOG.md", None, "../reference/changelog.md"),
        ("../../README.md", None, "../index.md"),
        ("../../examples/serve.py", None, None),
        (
            "../../examples/serve.py",
            "https://x",
            "https://x/blob/main/examples/serve.py",
        ),
        ("../notebooks/vision.ipynb", None, "../notebooks/vision.md"),
        ("missing.md", None, "missing.md"),
    ],
)
def test_links_of_a_guide(target, repository, wanted):
    uri = "guides/serving.md"
    assert docs_pages.link(f"docs/{uri}", uri, target, repository) == wanted


def test_every_page_is_in_the_navigation():
    """By name, or by its folder."""
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    named = set(re.findall(r": ([\w/]+(?:\.md|/))$", navigation, re.M))
    folders = tuple(name for name in named if name.endswith("/"))
    docs = ROOT / "docs"
    pages = {str(path.relative_to(docs)) for path in docs.rglob("*.md")}
    assert not [p for p in pages - named if not p.startswith(folders)]
    assert not {p for p in named - pages if not p.startswith("reference/")} - {*folders}


def test_pages_of_a_folder_have_an_order(tmp_path):
    for name in ("zoo.md", "serving.md", "first_port.md", "picture.png"):
        (tmp_path / name).touch()
    assert docs_pages.pages_of(tmp_path) == ["first_port.md", "serving.md", "zoo.md"]


def test_the_first_page_shows_what_is_written():
    """The module of PyTorch on it, and the forward that is made of that."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    import oxide_xla

    text = (ROOT / "docs" / "index.md").read_text()
    module, written = re.findall(r"^```python\n# [^\n]*\n(.*?)^```", text, re.M | re.S)
    names = {"nn": nn, "F": F}
    exec(module, names)
    model = oxide_xla.from_torch(
        names["Mlp"]().eval(), (torch.zeros(2, 16),), dynamic_shapes="batch"
    )
    assert written in model.source
