"""What all Python tests share: where the helpers of the generated code lie."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# At the end: a helper file may have the name of a module of the standard library.
sys.path.append(str(ROOT / "src" / "codegen" / "py"))


def pytest_addoption(parser):
    """`--rebase` rewrites the golden files."""
    parser.addoption("--rebase", action="store_true", help="rewrite golden files")
