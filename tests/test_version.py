"""The header says the version; all else takes it from there, or agrees with it."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import oxide_xla

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
HEADER = (ROOT / "include" / "oxide_xla.h").read_text()
VERSION = re.search(r'define OX_VERSION "(.*)"', HEADER)[1]


def test_the_program_and_the_library():
    done = subprocess.run([PROGRAM, "version"], capture_output=True, text=True)
    assert done.stdout.split() == ["oxide_xla", VERSION]
    assert oxide_xla.__version__ == VERSION


def test_the_python_package():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    taken = pyproject["tool"]["scikit-build"]["metadata"]["version"]
    assert "version" in pyproject["project"]["dynamic"]
    found = re.search(taken["regex"], (ROOT / taken["input"]).read_text())
    assert found["value"] == VERSION


def test_the_npm_package():
    folder = ROOT / "web" / "compiler"
    lock = json.loads((folder / "package-lock.json").read_text())
    package = json.loads((folder / "package.json").read_text())
    said = package["version"], lock["version"], lock["packages"][""]["version"]
    assert {*said} == {VERSION}


def test_the_changelog_and_the_citation():
    changes = (ROOT / "CHANGELOG.md").read_text()
    version, date = re.findall(r"^## \[(\d.*)\] - ([\d-]+)$", changes, re.M)[0]
    assert version == VERSION
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {VERSION}\ndate-released: {date}\n" in citation
