"""Generated modules on meshes of eight virtual devices: the same as on one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import oxide_xla
from models import compare, exports
from models.architectures import all_architectures

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 1e-10  # mean square of a difference, of numbers around one
LAYERS = 2  # of the models

PRODUCT = {"data": 2, "fsdp": 2, "tensor": 2}
SHAPES = (
    {"data": 8},
    {"fsdp": 8},
    {"tensor": 2},
    {"data": 4, "tensor": 2},
    {"fsdp": 4, "tensor": 2},
    PRODUCT,
)
EXPERTS = ({"expert": 4}, {"data": 2, "expert": 2, "tensor": 2})
FAST = {
    "llama": [
        {"kind": "Explicit", "shape": PRODUCT},
        {"kind": "Auto", "shape": {"tensor": 2}, "count": True},
    ],
    "bert": [
        {"kind": "Auto", "shape": PRODUCT},
        {"kind": "Explicit", "shape": {"tensor": 2}, "count": True},
    ],
}
SLOW = ("bert", "llama", "mixtral", "vit", "t5", "whisper_encoder")


def tall(name, axes, array):
    """The input for eight examples, each of which is another one."""
    axis = next((i for i, dim in axes.get(name, {}).items() if dim == "batch"), None)
    if axis is None:
        return array
    first = np.moveaxis(array, axis, 0)[:1]
    rows = [np.roll(first, i, axis=-1) for i in range(8)]
    return np.moveaxis(np.concatenate(rows), 0, axis)


def prepared(name, meshes, folder):
    """A job for mesh_program.py: the module and its inputs as files."""
    entry = all_architectures()[name]
    export = exports.exported(entry, "bridge")
    assert export.path, export.error
    model = oxide_xla.compile(export.path, sharding="on")
    module = folder / f"{name}_jax.py"
    model.save(module)
    inputs = {
        key: tall(key, entry.axes, compare.to_numpy(entry.make_inputs()[key]))
        for key in compare.input_names(export.path)
    }
    np.savez(folder / f"{name}.npz", **inputs)
    files = {"module": str(module), "inputs": str(folder / f"{name}.npz")}
    return {"name": name, "meshes": meshes, **files}


def run(jobs, folder):
    """What mesh_program.py says, in a process that has eight devices."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    program = ROOT / "tests" / "mesh_program.py"
    files = [str(folder / "jobs.json"), str(folder / "results.json")]
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, str(program), *files],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mesh")
    jobs = [prepared(name, meshes, folder) for name, meshes in FAST.items()]
    return run(jobs, folder)


def assert_equal(results):
    """Outputs and gradients are those of one device, and lie where parameters do."""
    for key, result in results.items():
        assert result["output"] < LIMIT, (key, result)
        assert result["gradient"] < LIMIT, (key, result)
        assert result["moved"] == [], (key, result)


def test_outputs_and_gradients(results):
    assert len(results) == 4
    assert_equal(results)


def test_parameters_are_split(results):
    """All matrices of the layers, in both models."""
    assert results["llama Explicit data fsdp tensor"]["split"] >= 7 * LAYERS
    assert results["bert Auto data fsdp tensor"]["split"] >= 6 * LAYERS


@pytest.mark.parametrize("key", ["llama Auto tensor", "bert Explicit tensor"])
def test_two_all_reduces_a_layer(results, key):
    """One after attention, one after the two matrices behind it; nothing else moves."""
    counts = results[key]["collectives"]
    assert counts["all-reduce"] == sum(counts.values()) == 2 * LAYERS, counts


@pytest.mark.models
@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
@pytest.mark.parametrize("name", SLOW)
def test_every_mesh(name, kind, tmp_path):
    shapes = SHAPES + (EXPERTS if name == "mixtral" else ())
    meshes = [{"kind": kind, "shape": shape} for shape in shapes]
    found = run([prepared(name, meshes, tmp_path)], tmp_path)
    assert len(found) == len(shapes)
    assert_equal(found)


@pytest.mark.torch
@pytest.mark.models
def test_a_decode_loop_gives_the_tokens_of_one_device(tmp_path):
    """Rows and their caches lie along data and fsdp; axes are Auto, and Explicit."""
    import decoding

    model = oxide_xla.from_torch(decoding.build("llama"), cache=80, sharding="on")
    model.save(tmp_path / "step.py")
    command = [sys.executable, ROOT / "tests" / "mesh_decode.py", tmp_path / "step.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    tokens = json.loads(done.stdout)
    one = tokens.pop("one")
    assert len({token for row in one for token in row}) > 8
    assert len(tokens) == 10
    for key, found in tokens.items():
        assert found == one, key


# ---- rules ---------------------------------------------------------------------------


def source(fixture, **options):
    path = ROOT / "tests" / "fixtures" / f"{fixture}.onnx"
    return oxide_xla.compile(path, **options).source


def test_the_option():
    """Files of small models stay short, unless it is asked for."""
    assert "PARTITION_RULES" not in source("two_layer_mlp")
    assert "PARTITION_RULES" in source("two_layer_mlp", sharding="on")
    assert "PARTITION_RULES" in source("repeated_layers")
    for text in (
        source("repeated_layers", sharding="off"),
        source("repeated_layers", layers="unrolled"),
    ):
        assert "PARTITION_RULES" not in text and "on_mesh" not in text
    with pytest.raises(ValueError, match="sideways"):
        source("two_layer_mlp", sharding="sideways")


def test_roles_are_not_those_of_names():
    """Matrices (in, out): the first is split by columns, the second by rows."""
    rules = source("repeated_layers").split("PARTITION_RULES = ")[1].split("\n\n\n")[0]
    rules = eval(rules)  # noqa: S307 - a dict of tuples
    assert rules[("fsdp", "tensor")] == (".up.weight",)
    assert rules[("tensor",)] == (".up.bias",)
    assert rules[("tensor", "fsdp")] == (".down.weight",)


@pytest.mark.parametrize(
    "options", [{}, {"params": "nested"}, {"layers": "scan"}], ids=str
)
def test_shardings_have_the_form_of_params(options, tmp_path):
    """Flat, nested and stacked; described or loaded."""
    import jax

    path = ROOT / "tests" / "fixtures" / "repeated_layers.onnx"
    model = oxide_xla.compile(path, **options)
    model.save(tmp_path / "layers_jax.py")
    namespace = {"__file__": str(tmp_path / "layers_jax.py"), "__name__": "layers"}
    exec(compile(model.source, "layers_jax.py", "exec"), namespace)  # noqa: S102
    mesh = jax.make_mesh((1, 1), ("tensor", "fsdp"))
    params, kinds = namespace["load_params"](), namespace["abstract_params"]()
    described = jax.tree.map(lambda x: (x.shape, x.dtype), kinds)
    assert described == jax.tree.map(lambda x: (x.shape, x.dtype), params)
    placed = namespace["shardings"](kinds, mesh)
    assert placed == namespace["shardings"](params, mesh)
    specs = [tuple(s.spec) for s in jax.tree.leaves(placed)]
    stacked = (None,) if options.get("layers") == "scan" else ()
    assert (*stacked, "fsdp", "tensor") in specs
    assert (*stacked, "tensor", "fsdp") in specs


# ---- several processes ---------------------------------------------------------------


def free_address():
    """A port of this machine that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def trained(module, folder, count):
    """What each of `count` processes, eight devices in all, has after ten steps."""
    program, address = ROOT / "tests" / "mesh_processes.py", free_address()
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    answers = [folder / f"{count}_{i}.json" for i in range(count)]
    running = []
    for i, answer in enumerate(answers):
        words = [str(count), str(i), address] if count > 1 else []
        command = [sys.executable, str(program), str(module), str(answer), *words]
        running.append(subprocess.Popen(command, env=environment))
    try:
        assert [process.wait(timeout=600) for process in running] == [0] * count
    finally:
        for process in running:
            process.kill()
    return [json.loads(answer.read_text()) for answer in answers]


def test_two_processes_train_as_one(tmp_path):
    """Ten steps on data, FSDP and tensor axes; each process reads its own shards."""
    path = ROOT / "tests" / "fixtures" / "repeated_layers.onnx"
    oxide_xla.compile(path, sharding="on").save(tmp_path / "layers_jax.py")
    (alone,) = trained(tmp_path / "layers_jax.py", tmp_path, 1)
    assert alone["losses"][-1] < alone["losses"][0]
    for answer in trained(tmp_path / "layers_jax.py", tmp_path, 2):
        np.testing.assert_allclose(answer["losses"], alone["losses"], rtol=1e-5)
        np.testing.assert_allclose(answer["sums"], alone["sums"], rtol=1e-5)
