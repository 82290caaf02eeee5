"""The scripts examples/verify_*.py, run small and without a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
EXAMPLES = TESTS.parent / "examples"


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        EXAMPLES / "verify_resnet18.py",
        pytest.param(TESTS / "verify_deit.py", marks=pytest.mark.models),
        pytest.param(EXAMPLES / "verify_bert.py", marks=pytest.mark.models),
    ],
    ids=lambda path: path.stem,  # that of tests/ runs the one in examples/
)
def test_the_class_matches(script, tmp_path):
    name = script.stem.removeprefix("verify_")
    command = [sys.executable, str(script), "--small", "--random"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Weights: random"
    torch_line, jax_line = lines[2:4]
    assert torch_line.removeprefix("PyTorch") == jax_line.removeprefix("JAX")
    assert lines[-1] == "Status: SUCCESS - Class match verified"
    assert {p.suffix for p in tmp_path.glob(f"{name}_jax.*")} == {".py", ".safetensors"}
