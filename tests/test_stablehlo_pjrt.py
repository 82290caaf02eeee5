"""examples/pjrt_run.c: a module, its weights and inputs on a PJRT plugin, without
Python in the process."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import oxide_xla
from hlo import cases

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
SHORT = {"float32": "f32", "int32": "s32", "bool": "pred"}


def plugin():
    """The folder of the package xla-cpu-pjrt."""
    found = importlib.util.find_spec("xla_plugins")
    folders = found.submodule_search_locations if found else []
    places = [Path(folder) / "xla_cpu_pjrt" for folder in folders]
    return next((place for place in places if place.is_dir()), None)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The example, built without a warning of its own."""
    folder = plugin()
    compiler = shutil.which("cc")
    if folder is None or compiler is None:
        pytest.skip("needs xla-cpu-pjrt and a C compiler")
    path = tmp_path_factory.mktemp("pjrt") / "pjrt_run"
    command = [compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
    command += ["-isystem", folder / "include", ROOT / "examples" / "pjrt_run.c"]
    subprocess.run([*command, "-ldl", "-o", path], check=True)
    return path, folder / "xla_cpu_pjrt.so"


def spec(tensor, place):
    sizes = "x".join(map(str, tensor["shape"]))
    return f"{SHORT[tensor['dtype']]}:{sizes}:{place}"


@pytest.mark.parametrize("name", ["gelu_mlp", "multi_output"])
@pytest.mark.parametrize("format", ["text", "portable"])
def test_a_model_runs_without_python(program, tmp_path, name, format):
    """Composites and a function with several results, weights from the file beside."""
    pjrt_run, library = program
    model = oxide_xla.compile(FIXTURES / f"{name}.onnx", shapes=SHAPES[name])
    shape = model.input_types[0]["shape"]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x.tofile(tmp_path / "x.bin")
    model.lower().save(tmp_path / "m.mlir", format=format)
    about = json.loads((tmp_path / "m.json").read_text())
    specs = [
        spec(t, f"m.safetensors@{about['offsets'][t['name']]}")
        if t["kind"] == "param"
        else spec(t, "x.bin")
        for t in about["arguments"]
    ]
    command = [pjrt_run, library, "m.mlir", *specs]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = [
        np.fromfile(tmp_path / f"result_{i}.bin", t["dtype"]).reshape(t["shape"])
        for i, t in enumerate(about["results"])
    ]
    wanted = cases.expected(model, [x], x64=False)
    assert cases.compare(results, wanted) <= cases.ULPS


SHAPES = {"gelu_mlp": {"x": (2, 4)}, "multi_output": {"x": (3, 6)}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mlir"], "nowhere.mlir: cannot be read"),
        (["m.mlir", "f31::x.bin"], "f31: is no type"),
        (["m.mlir", "f32"], "f32: is not TYPE:SIZES:FILE"),
        (["m.mlir", "f32:99:x.bin"], "x.bin: is too short"),
        (["x.bin"], "error: "),
    ],
)
def test_mistakes_are_messages(program, tmp_path, arguments, message):
    pjrt_run, library = program
    oxide_xla.to_stablehlo(FIXTURES / "linear.onnx").save(tmp_path / "m.mlir")
    (tmp_path / "x.bin").write_bytes(b"12345678")
    command = [pjrt_run, library, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and message in done.stderr
