"""Prints docs/programs.md: what the programs of the Python package say with --help."""

import contextlib
import importlib
import io
import os
import sys
from pathlib import Path
from unittest import mock

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
INTRO = """# Programs of the Python package

`oxide_xla NAME` runs these where the package is installed. Printed by `make docs`.
"""
PROGRAMS = ("port", "verify", "checkpoint", "stablehlo")


def help_of(name: str) -> str:
    """What a program says with --help, 80 columns wide."""
    program = importlib.import_module(f"oxide_xla._{name}_command")
    with (
        mock.patch.dict(os.environ, COLUMNS="80", NO_COLOR="1"),
        mock.patch.object(sys, "argv", [name, "--help"]),
        contextlib.redirect_stdout(io.StringIO()) as printed,
        contextlib.suppress(SystemExit),
    ):
        program.main()
    return printed.getvalue()


def page() -> str:
    """The document."""
    parts = [f"## {name}\n\n```text\n{help_of(name)}```\n" for name in PROGRAMS]
    return "\n".join([INTRO, *parts])


if __name__ == "__main__":
    print(page(), end="")
