"""What docs/performance.md and docs/generated.md show of the use of a module runs.

Guides, README and docs/stablehlo.md have tests of their own; docs/generated.md shows
generated files besides.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import oxide_xla

ROOT = Path(__file__).resolve().parents[1]
FIRST = "import jax\nimport jax.numpy as jnp\n"


def blocks(document, language):
    text = (ROOT / "docs" / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def folder(tmp_path):
    """A folder with a generated module of two convolutions, and its weights."""
    model = oxide_xla.compile(ROOT / "examples" / "digits_cnn.onnx")
    model.save(tmp_path / "model_jax.py")
    return tmp_path


def run(folder, program, command=(sys.executable, "program.py")):
    """The program, in a process of its own: it configures JAX."""
    (folder / "program.py").write_text(program)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "HOME": str(folder)}
    subprocess.run(command, cwd=folder, env=env, check=True, timeout=300)


def test_settings_and_prepared_parameters(folder):
    """The program of the line in sh is made of the blocks in Python."""
    settings, jitted, prepared = blocks("performance.md", "python")
    names = "def update(params, state):\n    return params, state\n\nimport model_jax\n"
    check = "assert step(params, {})[0].keys() != model_jax.load_params().keys()\n"
    program = [FIRST, settings, names, jitted, prepared, check]
    (line,) = blocks("performance.md", "sh")
    run(folder, "".join(program), ["sh", "-c", line])


def test_training_in_another_type(folder):
    weights = folder / "model_jax.safetensors"
    (folder / "pytorch_model.safetensors").write_bytes(weights.read_bytes())
    names = (
        "import model_jax\nloss_of, x = jnp.sum, jnp.ones((2, 1, 8, 8), 'bfloat16')\n"
    )
    *_, use = blocks("generated.md", "python")
    check = "assert gradients.keys() == model_jax.trainable(params).keys()\n"
    run(folder, FIRST + names + use + check)
    assert (folder / "tuned.safetensors").stat().st_size < weights.stat().st_size
