"""What all Python tests share: where the helpers of the generated code lie."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# At the end: a helper file may have the name of a module of the standard library.
sys.path.append(str(ROOT / "src" / "codegen" / "py"))


def pytest_addoption(parser):
    """`--rebase` rewrites the golden files."""
    parser.addoption("--rebase", action="store_true", help="rewrite golden files")


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_code():
    """Drop what JAX has compiled for a file of tests: thousands of programs add up."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
