"""The program and the library that the checks of this folder compile with."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def newest_program():
    """What `make debug` or `make` has built last: a debug build also looks for slips in
    the rows and callbacks of operators."""
    built = [ROOT / "build" / "debug" / "oxide_xla", ROOT / "build" / "oxide_xla"]
    found = [path for path in built if path.exists()]
    return str(max(found, key=lambda path: path.stat().st_mtime, default=built[-1]))


PROGRAM = os.environ.get("OXIDE_XLA") or newest_program()
# What the same build has put beside it.
ENDING = "dylib" if sys.platform == "darwin" else "so"
LIBRARY = str(Path(PROGRAM).parent / f"liboxide_xla.{ENDING}")
