"""Which library the checks of this folder compile with."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def library_beside_the_program():
    """What `make` or `make debug` put beside the program that is tested here."""
    from harness import PROGRAM

    from oxide_xla import _library

    beside = Path(PROGRAM).parent / _library.FILE_NAME
    os.environ.setdefault("OXIDE_XLA_LIBRARY", str(beside))
