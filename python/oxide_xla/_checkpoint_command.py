"""`oxide_xla checkpoint` on the command line: it needs an extra of the package."""

import sys

from oxide_xla._extras import hint


def main() -> int:
    """Runs the command; the exit code is 2 where a package that it needs is missing."""
    try:
        from oxide_xla.checkpoint import main as checkpoint
    except ModuleNotFoundError as error:
        print(f"error: oxide_xla checkpoint needs {error.name}", file=sys.stderr)
        print(f"  help: {hint(error.name)}", file=sys.stderr)
        return 2
    return checkpoint()
