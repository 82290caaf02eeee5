"""`--loader module`: what reads and writes weights is a file that models share."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

import oxide_xla
from models import pillars

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
MODEL = ROOT / "tests" / "fixtures" / "repeated_layers.onnx"
SHARED = "safetensors_io.py"
FORMS = [
    (),
    ("--params", "nested"),
    ("--layers", "scan"),
    ("--weights", "npz"),
    ("--weights", "reference"),
    ("--sharding", "on"),
]

pytestmark = pytest.mark.filterwarnings("error")


def compile_to(folder, *options, model=MODEL, name="m_jax.py"):
    """Run the program; what it says."""
    folder.mkdir(exist_ok=True)
    command = [PROGRAM, "compile", model, "-o", folder / name, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def imported(monkeypatch):
    """A function that imports a module as a program in a folder does."""
    before = set(sys.modules)

    def find(folder, name):
        monkeypatch.syspath_prepend(folder)
        return importlib.import_module(name)

    yield find
    for name in set(sys.modules) - before:
        del sys.modules[name]


def as_bytes(params):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(params)]


@pytest.mark.parametrize("options", FORMS, ids=" ".join)
def test_it_loads_and_saves_as_the_code_in_the_module(options, tmp_path, imported):
    assert compile_to(tmp_path / "a", *options).returncode == 0
    inline = pillars.import_file(tmp_path / "a" / "m_jax.py")
    assert compile_to(tmp_path / "b", *options, "--loader=module").returncode == 0
    module = imported(tmp_path / "b", "m_jax")
    params = module.load_params()
    assert as_bytes(params) == as_bytes(inline.load_params())
    half = module.load_params(dtype="bfloat16")
    assert as_bytes(half) == as_bytes(inline.load_params(dtype="bfloat16"))
    if "--sharding" in options:
        assert module.abstract_params() == inline.abstract_params()
    assert hasattr(module, "save_params") == hasattr(inline, "save_params")
    if hasattr(module, "save_params"):
        module.save_params(params, tmp_path / "b.safetensors")
        inline.save_params(params, tmp_path / "a.safetensors")
        saved = [(tmp_path / f"{x}.safetensors").read_bytes() for x in "ab"]
        assert saved[0] == saved[1]
        again = module.load_params(tmp_path / "b.safetensors")
        assert as_bytes(again) == as_bytes(params)


def converted(folder):
    """Two layers, as a default export has them, of which one is tied to a table."""
    names = ["/a/MatMul", "/b/MatMul", "/b/MatMul_1"]
    w = np.arange(4, dtype=np.float32).reshape(2, 2)
    tensors = {"onnx::MatMul_7": w, "onnx::MatMul_8": w + 5, "onnx::MatMul_9": w + 5}
    nodes, value = [], "x"
    for i, (name, weight) in enumerate(zip(names, tensors, strict=True)):
        nodes.append(helper.make_node("MatMul", [value, weight], [f"p{i}"], name=name))
        value = f"p{i}"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info(value, TensorProto.FLOAT, None)
    arrays = [numpy_helper.from_array(a, k) for k, a in tensors.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], arrays)
    model = helper.make_model(graph, producer_name="pytorch")
    onnx.save(model, folder / "converted.onnx")
    return folder / "converted.onnx"


@pytest.mark.parametrize("name", ["conv_bn_relu", "converted"])
def test_models_that_convert_and_prepare(name, tmp_path, imported):
    """All that load_params and save_params call is in one file or the other."""
    if name == "converted":
        model = converted(tmp_path)
    else:
        model = ROOT / "tests" / "fixtures" / f"{name}.onnx"
    inline = oxide_xla.compile(model).module
    compile_to(tmp_path, "--loader=module", model=model)
    module = imported(tmp_path, "m_jax")
    params = module.load_params()
    saved = tmp_path / "saved.safetensors"
    module.save_params(params, saved)
    expected = saved.read_bytes()
    inline.save_params(params, saved)
    assert saved.read_bytes() == expected
    assert as_bytes(module.load_params(saved)) == as_bytes(params)
    assert as_bytes(inline.load_params(saved)) == as_bytes(params)
    if name == "converted":
        assert module.CHANGED
    else:
        with pytest.raises(ValueError, match="is prepared"):
            module.save_params(module.prepare(params), saved)


def about_weights(source):
    """The lines of load_params and save_params."""
    return source[source.index("def load_params") :].rstrip().splitlines()


def test_little_stays_in_the_module():
    lines = about_weights(oxide_xla.compile(MODEL, loader="module").source)
    assert len(lines) <= 25
    assert not any("json" in line for line in lines)


def test_a_package_finds_it_beside_the_module(tmp_path, imported):
    package = tmp_path / "package"
    compile_to(package, "--loader=module")
    (package / "__init__.py").touch()
    module = imported(tmp_path, "package.m_jax")
    assert module.load_params()
    assert "package.safetensors_io" in sys.modules
    assert "safetensors_io" not in sys.modules


def test_a_model_in_memory_has_its_own():
    model = oxide_xla.compile(MODEL, loader="module")
    assert model.loader_source.startswith("# Generated by OxideXLA")
    assert model.module.safetensors_io.read_checkpoint
    assert "safetensors_io" not in sys.modules
    with pytest.raises(FileNotFoundError):
        model.module.load_params("none.safetensors")


def test_all_models_share_it(tmp_path):
    compile_to(tmp_path, "--loader=module")
    written = (tmp_path / SHARED).stat()
    other = ROOT / "tests" / "fixtures" / "dtype_mix.onnx"
    for options in ((), ("--weights", "npz"), ("--params", "nested")):
        name = f"other{len(options)}_jax.py"
        done = compile_to(
            tmp_path, "--loader=module", "--force", *options, model=other, name=name
        )
        assert done.returncode == 0, done.stderr
    now = (tmp_path / SHARED).stat()
    assert (now.st_mtime_ns, now.st_ino) == (written.st_mtime_ns, written.st_ino)
    text = (tmp_path / SHARED).read_text()
    assert text == oxide_xla.compile(other, loader="module").loader_source


def test_save_writes_it_too(tmp_path, imported):
    oxide_xla.compile(MODEL, loader="module").save(tmp_path / "m_jax.py")
    assert (tmp_path / SHARED).exists()
    assert imported(tmp_path, "m_jax").load_params()


def test_an_edited_one_is_kept(tmp_path):
    compile_to(tmp_path, "--loader=module")
    shared = tmp_path / SHARED
    generated = shared.read_text()
    for theirs in (generated + "# mine\n", "mine = True\n"):
        shared.write_text(theirs)
        done = compile_to(tmp_path, "--loader=module", name="n_jax.py")
        assert done.returncode == 2
        assert "OX0006" in done.stderr and SHARED in done.stderr
        assert shared.read_text() == theirs
        assert not (tmp_path / "n_jax.py").exists()
    assert compile_to(tmp_path, "--loader=module", "--force").returncode == 0
    assert shared.read_text() == generated


def test_one_of_another_version_is_replaced(tmp_path):
    """What was generated and not edited is."""
    compile_to(tmp_path, name="old_jax.py")
    (tmp_path / "old_jax.py").rename(tmp_path / SHARED)
    assert compile_to(tmp_path, "--loader=module").returncode == 0
    text = oxide_xla.compile(MODEL, loader="module").loader_source
    assert (tmp_path / SHARED).read_text() == text


def test_no_file_where_nothing_imports_it(tmp_path):
    compile_to(tmp_path)
    nothing = helper.make_graph(
        [helper.make_node("Tanh", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    onnx.save(helper.make_model(nothing), tmp_path / "nothing.onnx")
    model = tmp_path / "nothing.onnx"
    compile_to(tmp_path, "--loader=module", model=model, name="nothing_jax.py")
    assert not (tmp_path / SHARED).exists()
    assert not oxide_xla.compile(model, loader="module").loader_source


def test_what_standard_output_lacks_is_said(tmp_path):
    command = [PROGRAM, "compile", MODEL, "-o-", "--loader=module"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "imports safetensors_io.py" in done.stderr
    assert not any(tmp_path.iterdir())


def test_options_that_do_not_fit(tmp_path):
    done = compile_to(tmp_path, "--loader=module", "--weights=none")
    assert done.returncode == 2 and "nothing to load" in done.stderr
    with pytest.raises(oxide_xla.OxideError, match="no --loader module"):
        oxide_xla.compile(MODEL, loader="module", weights="none")
    with pytest.raises(ValueError, match="'none' is not one of inline, module"):
        oxide_xla.compile(MODEL, loader="none")
    done = compile_to(tmp_path, "--target=stablehlo", "--loader=module", name="m.mlir")
    assert done.returncode == 2 and "--loader is not for" in done.stderr


def linear_with(tensor):
    """x + tensor: a model of one parameter."""
    shape, dtype = list(tensor.shape), helper.np_dtype_to_tensor_dtype(tensor.dtype)
    x, y = (helper.make_tensor_value_info(n, dtype, shape) for n in "xy")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    arrays = [numpy_helper.from_array(tensor, "w")]
    graph = helper.make_graph([node], "g", [x], [y], arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.parametrize("loader", ["inline", "module"])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_types_that_do_not_fit(dtype, loader, tmp_path):
    """The code for floating-point parameters alone is another."""
    w = np.arange(100, dtype=dtype) % 7 * 3
    module = oxide_xla.compile(linear_with(w), loader=loader).module
    path = tmp_path / "w.safetensors"
    kinds = [np.float16, np.float64, ml_dtypes.bfloat16, np.int32, np.int64, np.uint8]
    fits = ["float16", "float64", "bfloat16"]
    for kind in (*kinds, np.bool_):
        safetensors.numpy.save_file({"w": w.astype(kind)}, path)
        name = np.dtype(kind).name
        if name in (fits if dtype == np.float32 else ["int32", "int64"]):
            module.load_params(path)
        else:
            with pytest.raises(ValueError, match=rf"w is {name}\[100\], not"):
                module.load_params(path)
