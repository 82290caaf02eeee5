"""examples/verify_deit.py under the name by which older documents call it."""

import runpy
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

if __name__ == "__main__":
    sys.path.insert(0, str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / Path(__file__).name), run_name="__main__")
