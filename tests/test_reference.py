"""`--weights reference`: parameters that stay in the files of the model, found through
an index, and what happens when those files change."""

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

from read_packed import read_packed
from read_reference import read_reference

pytestmark = pytest.mark.filterwarnings("error")

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
OK, USAGE, IO = 0, 2, 3
serial = itertools.count()


def run(*args, **options):
    command = [PROGRAM, "compile", *args]
    return subprocess.run(command, capture_output=True, timeout=60, **options)


def compile_model(model, output, *options):
    done = run(model, "-o", output, *options)
    assert done.returncode == OK, done.stderr.decode()
    return output


def import_file(path):
    spec = importlib.util.spec_from_file_location(f"m{next(serial)}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def index_of(output):
    """What the weights file of a module says lies elsewhere, and what it holds."""
    data = output.with_suffix(".safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header.pop("__metadata__")["oxide_xla.reference"]), header


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, jax.Array)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def random_array(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


WEIGHTS = {
    "fc1.weight": random_array((4, 3000), 1),
    "fc1.bias": random_array((3000,), 2),
    "fc2.weight": random_array((3000, 3), 3),
}


def make_external(tensor, location, file):
    """Move the data of a tensor to the end of a file."""
    start = file.tell()
    file.write(tensor.raw_data)
    place = {"location": location, "offset": start, "length": len(tensor.raw_data)}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))


def write_model(folder, tensors, name="net.onnx"):
    nodes = [
        helper.make_node("Gemm", ["x", "fc1.weight", "fc1.bias"], ["h"]),
        helper.make_node("MatMul", ["h", "fc2.weight"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        tensors,
    )
    opset = [helper.make_opsetid("", 20)]
    path = folder / name
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    )
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder `models` with models, and a folder `out` beside it."""
    for name in ("models", "out"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def inline(folder):
    tensors = [numpy_helper.from_array(w, key) for key, w in WEIGHTS.items()]
    return write_model(folder / "models", tensors)


@pytest.fixture
def external(folder):
    """Two files of data; the bias stays in the model."""
    tensors = [numpy_helper.from_array(w, key) for key, w in WEIGHTS.items()]
    for tensor, location in ((tensors[0], "a.bin"), (tensors[2], "b.bin")):
        with open(folder / "models" / location, "wb") as file:
            file.write(b"odd")  # data need not lie on its element size
            make_external(tensor, location, file)
    return write_model(folder / "models", tensors)


def compiled_both_ways(model, folder, *options):
    """The modules with an index and with a copy."""
    paths = [folder / "out" / f"{stem}.py" for stem in ("index", "copy")]
    compile_model(model, paths[0], "--weights", "reference", *options)
    compile_model(model, paths[1], *options)
    return [import_file(path) for path in paths]


# ---- values --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["inline", "external"])
@pytest.mark.parametrize("params", ["flat", "nested"])
def test_an_index_gives_the_parameters_of_a_copy(kind, params, folder, request):
    model = request.getfixturevalue(kind)
    index, copy = compiled_both_ways(model, folder, "--params", params)
    assert_same(index.load_params(), copy.load_params())
    assert_same(index.load_params(dtype="bfloat16"), copy.load_params(dtype="bfloat16"))
    x = random_array((2, 4), 0)
    y = index.forward(index.load_params(), x)
    h = x @ WEIGHTS["fc1.weight"] + WEIGHTS["fc1.bias"]
    np.testing.assert_allclose(y, h @ WEIGHTS["fc2.weight"], rtol=1e-4, atol=1e-3)


def test_nothing_is_copied(external, folder):
    output = compile_model(external, folder / "out" / "m.py", "--weights", "reference")
    index, header = index_of(output)
    assert header == {}
    assert {file["path"]: file["size"] for file in index["files"]} == {
        f"../models/{name}": (folder / "models" / name).stat().st_size
        for name in ("net.onnx", "a.bin", "b.bin")
    }
    assert output.with_suffix(".safetensors").stat().st_size < 2000
    assert index["params"].keys() == WEIGHTS.keys()


def test_what_lies_nowhere_is_in_the_index(folder):
    """Varints are no array of bytes; what float_data packs is one."""
    bias = TensorProto(name="fc1.bias", dims=[3000], data_type=TensorProto.FLOAT)
    bias.float_data[:] = WEIGHTS["fc1.bias"]
    half = WEIGHTS["fc2.weight"].astype(np.float16)
    tensors = [
        numpy_helper.from_array(WEIGHTS["fc1.weight"].astype(np.float16), "fc1.weight"),
        TensorProto(name="fc1.bias", dims=[3000], data_type=TensorProto.FLOAT16),
        numpy_helper.from_array(half, "fc2.weight"),
    ]
    tensors[1].int32_data[:] = [7] * 3000
    model = write_model(folder / "models", tensors)
    model = onnx.load(model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    path = folder / "models" / "half.onnx"
    onnx.save(model, path)
    index, copy = compiled_both_ways(path, folder)
    assert_same(index.load_params(), copy.load_params())
    note, header = index_of(folder / "out" / "index.py")
    assert header.keys() == {"fc1.bias"}
    assert note["params"].keys() == {"fc1.weight", "fc2.weight"}

    tensors = [numpy_helper.from_array(w, key) for key, w in WEIGHTS.items()]
    tensors[1] = bias
    path = write_model(folder / "models", tensors)
    index, copy = compiled_both_ways(path, folder)
    assert_same(index.load_params(), copy.load_params())
    note, header = index_of(folder / "out" / "index.py")
    assert header == {}


def test_made_parameters_are_in_the_index(folder):
    """Those of attributes, and sparse ones made dense, lie in no file as arrays."""
    values = numpy_helper.from_array(np.float32([1, 2, 3]), "sparse.weight")
    places = numpy_helper.from_array(np.array([5, 50, 100]), "places")
    nodes = [
        helper.make_node("MatMul", ["x", "dense.weight"], ["a"]),
        helper.make_node("MatMul", ["x", "sparse.weight"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["h"]),
        helper.make_node(
            "LinearRegressor",
            ["h"],
            ["y"],
            domain="ai.onnx.ml",
            coefficients=random_array(90, 4).tolist(),
            targets=3,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(random_array((20, 30), 5), "dense.weight")],
        sparse_initializer=[helper.make_sparse_tensor(values, places, [20, 30])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    path = folder / "models" / "made.onnx"
    path.write_bytes(model.SerializeToString())
    index, copy = compiled_both_ways(path, folder)
    note, header = index_of(folder / "out" / "index.py")
    assert note["params"].keys() == {"dense.weight"}
    assert len(header) == 2 and "sparse.weight" in header
    assert_same(index.load_params(), copy.load_params())


RARE = [
    "INT4 UINT4 FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E8M0 BFLOAT16 FLOAT16",
    "BOOL INT8 UINT8 UINT16 INT32 INT64 DOUBLE COMPLEX64 COMPLEX128 INT2 UINT2 "
    "FLOAT4E2M1",
]


@pytest.mark.parametrize("dtypes", RARE, ids=["small", "other"])
@pytest.mark.parametrize("location", [None, "data.bin"], ids=["inline", "external"])
def test_every_element_type(folder, dtypes, location):
    """Outputs that are parameters, at odd offsets."""
    from test_weights import random_tensor

    tensors = [
        random_tensor(f"w.{dtype}", dtype, (37, 9), seed, narrow=True)
        for seed, dtype in enumerate(dtypes.split())
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", [t.name], [f"y.{t.name}"]) for t in tensors],
        "g",
        [],
        [
            helper.make_tensor_value_info(f"y.{t.name}", t.data_type, t.dims)
            for t in tensors
        ],
        tensors,
    )
    if location:
        with open(folder / "models" / location, "wb") as file:
            file.write(b"odd")
            for tensor in graph.initializer:
                make_external(tensor, location, file)
    opset = [helper.make_opsetid("", 25)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=13)
    path = folder / "models" / "types.onnx"
    path.write_bytes(model.SerializeToString())
    index, copy = compiled_both_ways(path, folder)
    note, header = index_of(folder / "out" / "index.py")
    assert note["params"] and not header
    with np.errstate(all="ignore"):
        assert_same(index.load_params(), copy.load_params())
        with jax.enable_x64(True):
            assert_same(index.load_params(), copy.load_params())


@pytest.mark.parametrize("options", [(), ("--params", "nested"), ("--layers", "scan")])
def test_the_module_is_clean(folder, options):
    model = ROOT / "tests" / "fixtures" / "repeated_layers.onnx"
    output = folder / "out" / "m.py"
    compile_model(model, output, "--weights", "reference", *options)
    for check in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *check, "--isolated", output]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_layers_are_stacked(folder):
    model = ROOT / "tests" / "fixtures" / "repeated_layers.onnx"
    index, copy = compiled_both_ways(model, folder, "--layers", "scan")
    assert "stacked(params)" in (folder / "out" / "index.py").read_text()
    assert_same(index.load_params(), copy.load_params())


def test_names_of_any_kind(folder):
    """Keys and paths with quotes, line ends, and what JSON escapes."""
    shutil.copy(ROOT / "tests" / "fixtures" / "hostile_names.onnx", folder / "models")
    odd = folder / "q\"uo'te\n\\{} é"
    (folder / "models").rename(odd)
    index, copy = compiled_both_ways(odd / "hostile_names.onnx", folder)
    assert_same(index.load_params(), copy.load_params())


# ---- files that move or change -------------------------------------------------------


@pytest.fixture
def output(external, folder):
    """A module that refers to net.onnx, a.bin and b.bin."""
    return compile_model(external, folder / "out" / "m.py", "--weights", "reference")


def assert_weights(params):
    assert_same(params, {key: jnp.asarray(w) for key, w in WEIGHTS.items()})


def test_a_folder_moves_with_all_in_it(output, folder, monkeypatch):
    moved = folder / "moved"
    moved.mkdir()
    for name in ("models", "out"):
        (folder / name).rename(moved / name)
    assert_weights(import_file(moved / "out" / "m.py").load_params())
    monkeypatch.chdir(moved / "out")
    assert_weights(import_file(Path("m.py")).load_params())
    assert_weights(import_file(Path("m.py")).load_params("m.safetensors"))


def test_links_are_followed_to_the_real_files(external, folder):
    """A model cache links to where the files are; folders may be links too."""
    (folder / "cache").mkdir()
    (folder / "cache" / "net.onnx").symlink_to("../deep/models/net.onnx")
    (folder / "deep").mkdir()
    (folder / "models").rename(folder / "deep" / "models")
    for name in ("a.bin", "b.bin"):
        shutil.copy(folder / "deep" / "models" / name, folder / "cache")
    (folder / "there").symlink_to("out")
    output = compile_model(
        folder / "cache" / "net.onnx", folder / "there" / "m.py", "-w", "reference"
    )
    assert_weights(import_file(output).load_params())
    elsewhere = folder / "some" / "where"
    elsewhere.mkdir(parents=True)
    for ending in (".py", ".safetensors"):
        (elsewhere / f"m{ending}").symlink_to(f"../../out/m{ending}")
    assert_weights(import_file(elsewhere / "m.py").load_params())
    paths = {file["path"] for file in index_of(output)[0]["files"]}
    assert "../deep/models/net.onnx" in paths


def test_a_missing_file_is_named(output, folder):
    (folder / "models" / "b.bin").unlink()
    with pytest.raises(FileNotFoundError, match="b.bin, to which .*m.saf.* is missing"):
        import_file(output).load_params()


@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_another_size_is_an_error(output, folder, change):
    path = folder / "models" / "a.bin"
    os.truncate(path, path.stat().st_size + change)
    with pytest.raises(
        ValueError, match="a.bin is not what .* compile the model again"
    ):
        import_file(output).load_params()


@pytest.mark.parametrize("name", ["net.onnx", "a.bin", "b.bin"])
def test_retrained_weights_are_an_error(output, folder, name):
    """As large as before, with other weights."""
    path = folder / "models" / name
    data = bytearray(path.read_bytes())
    for key, weight in WEIGHTS.items():
        start = data.find(weight.tobytes())
        if start >= 0:
            trained = weight - np.float32(1e-3) * random_array(weight.shape, 9)
            data[start : start + weight.nbytes] = trained.tobytes()
            changed = key
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{changed} in .*{name} has changed since"):
        import_file(output).load_params()


@pytest.mark.parametrize("at", [0, 2047, 4095])
def test_any_change_of_a_small_weight_is_an_error(folder, at):
    shapes = {"fc1.weight": (4, 256), "fc1.bias": (256,), "fc2.weight": (256, 3)}
    tensors = [
        numpy_helper.from_array(np.ones(shape, np.float32), key)
        for key, shape in shapes.items()
    ]
    model = write_model(folder / "models", tensors)
    output = compile_model(model, folder / "out" / "m.py", "--weights", "reference")
    start = index_of(output)[0]["params"]["fc1.weight"]["data_offsets"][0]
    with open(model, "r+b") as file:
        file.seek(start + at)
        file.write(b"\x55")
    with pytest.raises(ValueError, match="fc1.weight in .* has changed"):
        import_file(output).load_params()


def test_loaded_parameters_do_not_change_with_the_file(output, folder):
    params = import_file(output).load_params()
    path = folder / "models" / "a.bin"
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert_weights(params)


# ---- other files ---------------------------------------------------------------------


def test_a_plain_checkpoint_loads(output, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    safetensors.numpy.save_file(WEIGHTS, path, {"format": "pt"})
    assert_weights(import_file(output).load_params(path))
    assert_weights(import_file(output).load_params(str(path)))


def test_the_loader_reads_whole_files(tmp_path):
    """What read_packed reads, this one reads alike."""
    path = tmp_path / "m.safetensors"
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros((0, 4), np.int8)}
    safetensors.numpy.save_file(arrays, path)
    (read, _), (packed, _) = read_reference(path), read_packed(path)
    assert read.keys() == packed.keys() == arrays.keys()
    for key, array in packed.items():
        assert read[key].dtype == array.dtype
        np.testing.assert_array_equal(read[key], array)


def test_saving_makes_the_index_a_whole_file(output, folder):
    module = import_file(output)
    before = {p: p.read_bytes() for p in (folder / "models").iterdir()}
    module.save_params(module.load_params(), output.with_suffix(".safetensors"))
    assert {p: p.read_bytes() for p in (folder / "models").iterdir()} == before
    shutil.rmtree(folder / "models")
    assert_weights(module.load_params())
    stored = safetensors.numpy.load_file(output.with_suffix(".safetensors"))
    assert stored.keys() == WEIGHTS.keys()


def test_exported_layouts_are_known(folder):
    """A parameter that the exporter turned is not turned again."""
    torch = pytest.importorskip("torch")
    layer = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Linear(6, 3))
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["h"], name="/0/MatMul"),
        helper.make_node("Add", ["0.bias", "h"], ["y"], name="/0/Add"),
    ]
    tensors = [
        numpy_helper.from_array(
            layer[0].weight.detach().numpy().T.copy(), "onnx::MatMul_7"
        ),
        numpy_helper.from_array(layer[0].bias.detach().numpy(), "0.bias"),
    ]
    graph = helper.make_graph(
        nodes,
        "main_graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 6])],
        tensors,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(
        graph, opset_imports=opset, ir_version=8, producer_name="pytorch"
    )
    path = folder / "models" / "turned.onnx"
    path.write_bytes(model.SerializeToString())
    index, copy = compiled_both_ways(path, folder)
    assert "CHANGED" in (folder / "out" / "index.py").read_text()
    assert_same(index.load_params(), copy.load_params())
    state = {k: v for k, v in layer.state_dict().items() if k.startswith("0.")}
    checkpoint = folder / "state.safetensors"
    safetensors.numpy.save_file({k: v.numpy() for k, v in state.items()}, checkpoint)
    assert_same(index.load_params(checkpoint), copy.load_params(checkpoint))
    assert_same(index.load_params(checkpoint), index.load_params())
    index.save_params(index.load_params(), folder / "saved.safetensors")
    assert_same(index.load_params(folder / "saved.safetensors"), copy.load_params())


# ---- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize("output", ["-", "m.py"])
def test_standard_input_is_refused(inline, tmp_path, output):
    done = run(
        *("-", "-o", output, "--weights", "reference"),
        input=inline.read_bytes(),
        cwd=tmp_path,
    )
    assert done.returncode == USAGE
    assert b"needs a model in a file" in done.stderr
    assert b"help: give the path of the model" in done.stderr
    assert not (tmp_path / "m.py").exists()


def test_a_redirected_file_is_refused(inline, tmp_path):
    with open(inline, "rb") as file:
        done = run(
            "-", "-o", "m.py", "--weights", "reference", stdin=file, cwd=tmp_path
        )
    assert done.returncode == USAGE
    assert b"needs a model in a file" in done.stderr


def test_no_index_goes_to_standard_output(inline):
    done = run(inline, "-o", "-", "--weights", "reference")
    assert done.returncode == OK
    assert b"weights were not written" in done.stderr
    assert b"def bytes_in_place(" in done.stdout


def test_a_name_that_is_no_text_is_refused(inline, folder):
    odd = os.fsencode(folder) + b"/odd\xff"
    os.rename(folder / "models", odd)
    model = odd + b"/net.onnx"
    done = run(model, "-o", folder / "out" / "m.py", "--weights", "reference")
    assert done.returncode == USAGE
    assert b"the name is not UTF-8" in done.stderr
    assert list((folder / "out").iterdir()) == []
    # Beside each other, the name of the folder does not matter.
    done = run(model, "-o", odd + b"/m.py", "--weights", "reference")
    assert done.returncode == OK


@pytest.mark.parametrize("weights", ["reference", "safetensors"])
@pytest.mark.parametrize("linked", [False, True], ids=["file", "link"])
def test_files_of_the_model_are_not_replaced(folder, weights, linked):
    """External data may have any name, that of the weights file too."""
    tensors = [numpy_helper.from_array(w, key) for key, w in WEIGHTS.items()]
    data = folder / "models" / "m.safetensors"
    with open(data, "wb") as file:
        make_external(tensors[0], data.name, file)
    model = write_model(folder / "models", tensors)
    before = data.read_bytes()
    output = folder / "models" / "m.py"
    if linked:
        output = folder / "out" / "m.py"
        (folder / "out" / "m.safetensors").symlink_to("../models/m.safetensors")
    done = run(model, "-o", output, "--weights", weights)
    assert done.returncode == USAGE
    assert b"is a file of the model itself" in done.stderr
    assert data.read_bytes() == before
    assert not output.exists()


def test_a_missing_folder_is_an_error(inline, tmp_path):
    done = run(inline, "-o", tmp_path / "no" / "m.py", "--weights", "reference")
    assert done.returncode == IO
    assert b"cannot be written: No such file or directory" in done.stderr
