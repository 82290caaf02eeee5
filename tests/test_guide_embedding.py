"""docs/guides/embedding.md: the C in it compiles without a warning, and works."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "build" / "liboxide_xla.a"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]


def test_the_program_in_c(tmp_path):
    guide = (ROOT / "docs" / "guides" / "embedding.md").read_text()
    (code,) = re.findall(r"^```c\n(.*?)^```", guide, re.M | re.S)
    source, program = tmp_path / "embed.c", tmp_path / "embed"
    source.write_text(code)
    subprocess.run(["cc", *FLAGS, source, LIBRARY, "-lm", "-o", program], check=True)
    model = ROOT / "tests" / "fixtures" / "two_layer_mlp.onnx"
    done = subprocess.run([program, model], capture_output=True, text=True)
    assert done.returncode == 0 and "def forward(params: dict[" in done.stdout
    done = subprocess.run([program, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1 and "error[OX" in done.stderr
