"""`oxide_xla compile --target stablehlo` on the command line: JAX lowers the model."""

import sys

HINT = "pip install 'oxide_xla[stablehlo]'"


def main() -> int:
    """Runs the command; the exit code is 2 where a package that it needs is missing."""
    try:
        from oxide_xla.stablehlo.cli import main as stablehlo
    except ModuleNotFoundError as error:
        print(f"error: --target stablehlo needs {error.name}", file=sys.stderr)
        print(f"  help: {HINT}", file=sys.stderr)
        return 2
    return stablehlo()
