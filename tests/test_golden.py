"""Golden tests: a fixture and the exact module it compiles to, or the exact messages.

tests/fixtures/NAME.onnx goes with tests/golden/NAME.py or NAME.err. After a change that
is meant, `pytest tests/test_golden.py --rebase` rewrites them; read the diff.
"""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest

import generated

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
GOLDEN = ROOT / "tests" / "golden"
FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("*.onnx"))
each_fixture = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda p: p.stem)


def compile_fixture(fixture, folder):
    """Run the program beside a copy of the fixture, so that messages name no folder."""
    (folder / fixture.name).write_bytes(fixture.read_bytes())
    command = [PROGRAM, "compile", fixture.name, "--output", f"{fixture.stem}.py"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )


def random_inputs(graph, seed=0):
    """Small random arrays for the inputs; every symbol is 4, tokens stay below 8."""
    rng = np.random.default_rng(seed)
    initializers = {t.name for t in graph.initializer}
    arrays = {}
    for value in graph.input:
        if value.name in initializers:
            continue
        tensor = value.type.tensor_type
        shape = [d.dim_value or 4 for d in tensor.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if dtype.kind == "f":
            arrays[value.name] = rng.standard_normal(shape).astype(dtype)
        else:
            arrays[value.name] = rng.integers(0, 2, shape).astype(dtype)
    return arrays


@each_fixture
def test_golden(fixture, tmp_path, request):
    done = compile_fixture(fixture, tmp_path)
    made = tmp_path / f"{fixture.stem}.py"
    actual = made.read_text() if done.returncode == 0 else done.stderr
    golden = GOLDEN / f"{fixture.stem}{'.py' if done.returncode == 0 else '.err'}"
    if request.config.getoption("--rebase"):
        golden.write_text(actual)
    assert golden.exists(), f"no golden file; the output is\n{actual}"
    assert actual == golden.read_text()


@each_fixture
def test_golden_computes_what_onnx_says(fixture, tmp_path):
    if compile_fixture(fixture, tmp_path).returncode != 0:
        assert (GOLDEN / f"{fixture.stem}.err").exists()
        return
    from models.pillars import import_file

    model = onnx.load(fixture)
    inputs = random_inputs(model.graph)
    expected = onnx.reference.ReferenceEvaluator(model).run(None, inputs)
    generated = import_file(tmp_path / f"{fixture.stem}.py")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = generated.load_params()
        result = generated.forward(params, *inputs.values())
    outputs = result if isinstance(result, tuple) else (result,)
    assert len(outputs) == len(expected)
    for actual, wanted in zip(outputs, expected, strict=True):
        assert actual.shape == wanted.shape
        np.testing.assert_allclose(
            np.asarray(actual).astype(np.float64), wanted, rtol=1e-5, atol=1e-6
        )


@each_fixture
def test_golden_is_clean(fixture):
    golden = GOLDEN / f"{fixture.stem}.py"
    if not golden.exists():
        assert (GOLDEN / f"{fixture.stem}.err").exists()
        return
    assert not generated.faults(golden.read_text())
    for check in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *check, "--isolated", str(golden)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_fixtures_are_what_their_script_writes(tmp_path):
    script = ROOT / "tests" / "generate_fixtures.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    written = {p.name: p.read_bytes() for p in tmp_path.glob("*.onnx")}
    assert written == {p.name: p.read_bytes() for p in FIXTURES}


def test_every_golden_has_a_fixture():
    stems = {p.stem for p in FIXTURES}
    assert {p.stem for p in GOLDEN.iterdir() if p.suffix != ".txt"} == stems
