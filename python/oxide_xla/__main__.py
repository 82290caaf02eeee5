"""`python -m oxide_xla`: the program oxide_xla, wherever it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from oxide_xla import (
    _checkpoint_command,
    _port_command,
    _stablehlo_command,
    _verify_command,
)

NAME = "oxide_xla.exe" if sys.platform == "win32" else "oxide_xla"
# Those that are Python.
COMMANDS = {
    "checkpoint": _checkpoint_command.main,
    "port": _port_command.main,
    "stablehlo": _stablehlo_command.main,
    "verify": _verify_command.main,
}


def candidates() -> list[Path]:
    """Where the program may lie, the best place first."""
    package = Path(__file__).resolve().parent
    folders = [
        package.parents[1] / "build",  # the source tree
        Path(sysconfig.get_path("scripts")),
        # of pip install --user, and of --target
        Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))),
        package.parent / "bin",
    ]
    return [folder / NAME for folder in folders]


def main() -> int:
    """Run the program with this process's arguments; returns its exit status."""
    arguments = sys.argv[1:]
    if arguments and (command := COMMANDS.get(arguments[0])):
        sys.argv = [f"oxide_xla-{arguments[0]}", *arguments[1:]]
        return command()
    places = candidates()
    program = next((place for place in places if place.is_file()), None)
    if program is None:
        print(
            f"error: the program is not at {' or '.join(map(str, places))}",
            file=sys.stderr,
        )
        return 3
    command_line = [str(program), *arguments]
    if sys.platform == "win32":
        return subprocess.call(command_line)
    sys.stdout.flush()
    os.execv(program, command_line)


if __name__ == "__main__":
    sys.exit(main())
