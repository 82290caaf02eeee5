"""`oxide_xla port` on the command line: it needs an extra of the package."""

import sys

from oxide_xla._extras import hint


def main() -> int:
    """Runs the command; the exit code is 2 where a package that it needs is missing."""
    try:
        from oxide_xla.port.cli import main as port

        return port()
    except ModuleNotFoundError as error:
        print(f"error: oxide_xla port needs {error.name}", file=sys.stderr)
        print(f"  help: {hint(error.name)}", file=sys.stderr)
        return 2
