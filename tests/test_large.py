"""Models larger than memory and disk: 8 GB of weights in a file with holes, which takes
no room itself."""

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
OK, IO = 0, 3
LAYERS, SIDE = 32, 8192
LAYER_BYTES = SIDE * SIDE * 4
RESIDENT_LIMIT = 200e6


def layer_weight(i):
    tensor = TensorProto(name=f"layers.{i}.weight", dims=[SIDE, SIDE])
    tensor.data_type = TensorProto.FLOAT
    tensor.data_location = TensorProto.EXTERNAL
    place = {
        "location": "weights.bin",
        "offset": i * LAYER_BYTES,
        "length": LAYER_BYTES,
    }
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    with open(folder / "weights.bin", "wb") as file:
        file.truncate(LAYERS * LAYER_BYTES)
    nodes = [
        helper.make_node("MatMul", [f"h{i}", f"layers.{i}.weight"], [f"h{i + 1}"])
        for i in range(LAYERS)
    ]
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("h0", TensorProto.FLOAT, ["batch", SIDE])],
        [
            helper.make_tensor_value_info(
                f"h{LAYERS}", TensorProto.FLOAT, ["batch", SIDE]
            )
        ],
        [layer_weight(i) for i in range(LAYERS)],
    )
    opset = [helper.make_opsetid("", 20)]
    path = folder / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


@contextlib.contextmanager
def file_size_limit(nbytes):
    """What is started inside may not write larger files."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


# Linux counts what the starting process held as the child's own peak, so a small one
# starts the program, with the signals that a shell would give it.
LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def compile_large(model, output, *options):
    """The exit status, the messages, and the largest resident memory in bytes."""
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCH]
    command = [PROGRAM, "compile", str(model), "-o", str(output), *options]
    done = subprocess.run(
        launcher + command, capture_output=True, text=True, timeout=60, check=True
    )
    code, kib = done.stdout.split()
    return int(code), done.stderr, int(kib) * 1024


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def assert_reports_a_full_disk(result, folder):
    code, messages, resident = result
    assert code == IO, messages
    assert "error[OX0002]" in messages
    assert "m.safetensors" in messages
    assert "the file takes 8589.9 MB: make room" in messages
    assert resident < RESIDENT_LIMIT
    assert names(folder) == []


def test_eight_gigabytes_compile_in_little_memory(model, tmp_path):
    output = tmp_path / "m.py"
    code, messages, resident = compile_large(model, output, "--weights", "none")
    assert code == OK, messages
    assert names(tmp_path) == ["m.py"]
    assert f'params["layers.{LAYERS - 1}.weight"]' in output.read_text()
    assert resident < RESIDENT_LIMIT


def test_an_index_of_eight_gigabytes_is_small(model, tmp_path):
    with file_size_limit(1 << 20):
        code, messages, resident = compile_large(
            model, tmp_path / "m.py", "--weights", "reference"
        )
    assert code == OK, messages
    assert names(tmp_path) == ["m.py", "m.safetensors"]
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 1e6
    assert resident < RESIDENT_LIMIT


def test_an_index_that_cannot_be_written_leaves_nothing(model, tmp_path):
    with file_size_limit(4 << 10):
        code, messages, _ = compile_large(
            model, tmp_path / "m.py", "--weights", "reference"
        )
    assert code == IO, messages
    assert "m.safetensors" in messages
    assert names(tmp_path) == []


def test_a_limit_on_file_sizes_leaves_nothing(model, tmp_path):
    with file_size_limit(64 << 20):
        result = compile_large(model, tmp_path / "m.py")
    assert_reports_a_full_disk(result, tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a disk: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=60)


def test_a_full_disk_leaves_nothing(model, small_disk):
    result = compile_large(model, small_disk / "m.py")
    assert_reports_a_full_disk(result, small_disk)
    assert compile_large(model, small_disk / "m.py", "--weights", "none")[0] == OK


def test_a_full_disk_keeps_the_files_of_before(model, small_disk):
    before = {"m.py": b"# old", "m.safetensors": np.arange(9).tobytes()}
    for name, content in before.items():
        (small_disk / name).write_bytes(content)
    assert compile_large(model, small_disk / "m.py", "--force")[0] == IO
    assert {p.name: p.read_bytes() for p in small_disk.iterdir()} == before
