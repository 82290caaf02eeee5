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


def pytest_collection_modifyitems(config, items):
    """Leave out the slow tier of the model zoo unless `-m` or a test id asks for it."""
    named = any("::" in argument for argument in config.args)
    if "models" in config.getoption("markexpr") or named:
        return
    left_out = [item for item in items if item.get_closest_marker("models")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("models")]
