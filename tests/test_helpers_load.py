"""The loaders that generated modules contain, on files that other programs wrote."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from oxide_xla.nest import nest
from read_safetensors import read_safetensors

pytestmark = pytest.mark.filterwarnings("error")

HELPERS = Path(__file__).resolve().parents[1] / "src" / "python" / "lib"


LOADER = """
import sys

sys.path.append({folder!r})
from check_params import as_param
from {reader} import {reader}


def load_params(path=None, dtype=None):
    path = path or __file__.removesuffix(".py") + ".{ending}"
    arrays = {reader}(path)
    arrays = arrays[0] if isinstance(arrays, tuple) else arrays
    return {{key: as_param(key, x, dtype) for key, x in arrays.items()}}
"""


def module_beside(folder, reader="read_safetensors"):
    """A module m.py in this folder that loads as generated ones do, imported."""
    path = folder / "m.py"
    ending = "npz" if reader == "read_npz" else "safetensors"
    path.write_text(LOADER.format(folder=str(HELPERS), reader=reader, ending=ending))
    spec = importlib.util.spec_from_file_location("m", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_beside_the_module_is_the_default(tmp_path):
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    safetensors.numpy.save_file({"fc.weight": weight}, tmp_path / "m.safetensors")
    params = module_beside(tmp_path).load_params()
    np.testing.assert_array_equal(params["fc.weight"], weight)
    assert isinstance(params["fc.weight"], jax.Array)


def test_the_npz_beside_the_module_is_the_default(tmp_path):
    np.savez(tmp_path / "m.npz", **{"fc.weight": np.ones((2, 3), np.float32)})
    params = module_beside(tmp_path, "read_npz").load_params()
    np.testing.assert_array_equal(params["fc.weight"], np.ones((2, 3)))


@pytest.mark.parametrize("reader", ["read_safetensors", "read_npz"])
def test_a_missing_file_is_named(tmp_path, reader):
    load = module_beside(tmp_path, reader).load_params
    with pytest.raises(FileNotFoundError, match="m[.](safetensors|npz)"):
        load()
    with pytest.raises(FileNotFoundError, match="other"):
        load(tmp_path / "other")


@pytest.mark.parametrize("reader", ["read_safetensors", "read_packed"])
def test_a_checkpoint_of_pytorch_loads(tmp_path, reader):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    state = {
        "bf16": torch.arange(4).to(torch.bfloat16),
        "f16": torch.arange(4).to(torch.float16),
        "i64": torch.arange(4),
        "flag": torch.tensor(True),
    }
    dtypes = {"bf16": "bfloat16", "f16": "float16", "i64": "int32", "flag": "bool"}
    state["f8"] = torch.arange(4).to(torch.float8_e4m3fn)
    state["f8.e5m2"] = torch.arange(4).to(torch.float8_e5m2)
    dtypes |= {"f8": "float8_e4m3fn", "f8.e5m2": "float8_e5m2"}
    path = tmp_path / "checkpoint.safetensors"
    save_file(state, path, {"format": "pt"})
    params = module_beside(tmp_path, reader).load_params(path)
    assert {key: str(value.dtype) for key, value in params.items()} == dtypes
    for key in dtypes.keys() - {"flag"}:
        np.testing.assert_array_equal(params[key].astype(jnp.float32), np.arange(4))


def test_a_rewritten_file_does_not_change_loaded_parameters(tmp_path):
    path = tmp_path / "m.safetensors"
    safetensors.numpy.save_file({"x": np.zeros(4096, np.float32)}, path)
    params = module_beside(tmp_path).load_params()
    with open(path, "r+b") as file:
        file.seek(-64, 2)
        file.write(b"\x7f" * 64)
    assert not params["x"].any()


def test_cast_covers_every_floating_type(tmp_path):
    types = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]
    arrays = {str(i): np.ones(2, dtype) for i, dtype in enumerate(types)}
    safetensors.numpy.save_file(arrays, tmp_path / "m.safetensors")
    params = module_beside(tmp_path).load_params(dtype="bfloat16")
    assert {str(value.dtype) for value in params.values()} == {"bfloat16"}


@pytest.mark.parametrize(
    "x64, expected", [("0", "int32 float32"), ("1", "int64 float64")]
)
def test_64_bit_types_follow_the_mode_of_jax_without_warnings(tmp_path, x64, expected):
    arrays = {"i": np.arange(3), "f": np.arange(3.0)}
    safetensors.numpy.save_file(arrays, tmp_path / "m.safetensors")
    module_beside(tmp_path)
    code = "import m; p = m.load_params(); print(p['i'].dtype, p['f'].dtype)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={"JAX_ENABLE_X64": x64, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr


def test_nest_splits_keys_at_dots():
    flat = {"a.0.weight": 1, "a.0.bias": 2, "a.1.weight": 3, "scale": 4}
    assert nest(flat) == {
        "a": {"0": {"weight": 1, "bias": 2}, "1": {"weight": 3}},
        "scale": 4,
    }
    assert nest({}) == {}


@pytest.mark.parametrize("offsets", [(0, 10**30), (0, -(10**30)), (0, 1.5)])
def test_offsets_outside_the_file_are_no_sound_file(tmp_path, offsets):
    header = {"x": {"dtype": "F32", "shape": [4], "data_offsets": offsets}}
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(16))
    with pytest.raises(ValueError, match="no sound safetensors file"):
        read_safetensors(path)
