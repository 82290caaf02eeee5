"""Draws a terminal in which commands were typed, docs/images/terminal.svg of README:
`make pictures`.  They run in a pseudo-terminal, so that they have their colours.
"""

import io
import os
import pty
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 88
COMMANDS = ["oxide_xla inspect digits_cnn.onnx", "oxide_xla compile digits_cnn.onnx"]


def printed(command, folder):
    """What a command prints on a terminal, standard error included."""
    ours, theirs = pty.openpty()
    env = {
        **os.environ,
        "PATH": f"{ROOT / 'build'}:{os.environ['PATH']}",
        "TERM": "xterm-256color",
        "COLUMNS": str(WIDTH),
    }
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        command.split(), stdout=theirs, stderr=theirs, cwd=folder, env=env
    )
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 1 << 16):
            parts.append(part)
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    if process.wait():
        raise SystemExit(f"{command}: exit code {process.returncode}")
    return b"".join(parts).decode().replace("\r\n", "\n")


def main():
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "examples" / "digits_cnn.onnx", folder)
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(printed(command, folder)))
    svg = console.export_svg(title="OxideXLA", unique_id="terminal")
    # A page that shows it fetches no fonts.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    svg = svg.replace(
        "Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace"
    )
    (ROOT / "docs" / "images" / "terminal.svg").write_text(svg)


if __name__ == "__main__":
    main()
