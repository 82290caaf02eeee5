"""`oxide_xla verify` on the command line: what it needs is an extra of the package."""

import sys

from oxide_xla._extras import hint


def main() -> int:
    """Runs the command; the exit code is 2 where a package that it needs is missing."""
    try:
        from oxide_xla.verify.cli import main as verify
    except ModuleNotFoundError as error:
        print(f"error: oxide_xla verify needs {error.name}", file=sys.stderr)
        print(f"  help: {hint(error.name)}", file=sys.stderr)
        return 2
    return verify()
