"""Weights files of every element type, read back by the formats' own libraries and by
the loaders that generated modules contain."""

import os
import subprocess
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from onnx import TensorProto, helper, numpy_helper

from check_params import as_param
from read_npz import read_npz
from read_packed import read_packed
from read_safetensors import read_safetensors

pytestmark = pytest.mark.filterwarnings("error")

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(os.environ.get("OXIDE_XLA_TOOLS", ROOT / "build" / "debug" / "tests"))

# All but strings and the 6-bit floats, which JAX does not have.
OTHER = {"UNDEFINED", "STRING", "FLOAT6E2M3", "FLOAT6E3M2"}
DTYPES = sorted(set(TensorProto.DataType.keys()) - OTHER)
BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
NUMPY = set(
    "BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 "
    "FLOAT16 FLOAT DOUBLE COMPLEX64 COMPLEX128".split()
)


def loaded(arrays, dtype=None):
    """The arrays of a file in JAX, as load_params gives them."""
    return {key: as_param(key, x, dtype) for key, x in arrays.items()}


LOADERS = {
    "safetensors": lambda path, dtype=None: loaded(read_packed(path)[0], dtype),
    "npz": lambda path, dtype=None: loaded(read_npz(path), dtype),
}
HOSTILE = [
    "a'];import os#",
    'q"\n\\',
    "émoji 😀",
    "layer.0.weight",
    "../../up",
    "a.npy",
    "a",
]


def random_tensor(name, dtype, shape, seed=0, narrow=False):
    """A TensorProto of random bytes, whatever its type; `narrow`: integers of 64 bits
    that 32 bits hold."""
    number = getattr(TensorProto, dtype)
    count = int(np.prod(shape))
    if dtype in BITS:
        nbytes = -(-count * BITS[dtype] // 8)
    else:
        nbytes = count * helper.tensor_dtype_to_np_dtype(number).itemsize
    raw = np.random.default_rng(seed).integers(0, 256, nbytes, np.uint8)
    if dtype == "BOOL":
        raw &= 1
    if narrow and dtype in ("INT64", "UINT64"):
        half = raw.view(np.int32 if dtype == "INT64" else np.uint32)[::2]
        raw = half.astype(dtype.lower()).view(np.uint8)
    if used := count * BITS.get(dtype, 8) % 8:
        raw[-1] &= (1 << used) - 1
    return TensorProto(name=name, data_type=number, dims=shape, raw_data=raw.tobytes())


def write(folder, tensors, weights):
    graph = helper.make_graph([], "g", [], [], initializer=tensors)
    model = folder / "model.onnx"
    model.write_bytes(helper.make_model(graph).SerializeToString())
    output = folder / f"model.{weights}"
    tool = [TOOLS / "weights_tool", model, weights, output]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return output


def canonical(array):
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype))


def assert_same_bits(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert np.asarray(actual).tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(3, 5), (), (1,), (0, 4)], ids=str)
@pytest.mark.parametrize("weights", LOADERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_load_params_gives_the_tensor_of_the_model(tmp_path, dtype, weights, shape):
    tensor = random_tensor("x", dtype, shape, narrow=True)
    path = write(tmp_path, [tensor], weights)
    with np.errstate(all="ignore"), jax.enable_x64(False):
        params = LOADERS[weights](path)
        expected = canonical(numpy_helper.to_array(tensor))
    assert list(params) == ["x"]
    assert isinstance(params["x"], jax.Array)
    if expected.dtype.kind in "fc" and expected.itemsize < tensor.ByteSize():
        np.testing.assert_array_equal(np.asarray(params["x"]), expected)
    else:
        assert_same_bits(params["x"], expected)


@pytest.mark.parametrize("weights", LOADERS)
@pytest.mark.parametrize("dtype", ["INT64", "UINT64"])
def test_integers_do_not_wrap_around(tmp_path, dtype, weights):
    path = write(tmp_path, [random_tensor("x", dtype, (7,))], weights)
    with jax.enable_x64(False), pytest.raises(OverflowError, match="x needs 64-bit"):
        LOADERS[weights](path)


@pytest.mark.parametrize("weights", LOADERS)
@pytest.mark.parametrize("dtype", ["INT64", "UINT64", "DOUBLE", "COMPLEX128"])
def test_64_bit_types_are_exact_under_x64(tmp_path, dtype, weights):
    tensor = random_tensor("x", dtype, (7,))
    path = write(tmp_path, [tensor], weights)
    with jax.enable_x64(True):
        assert_same_bits(LOADERS[weights](path)["x"], numpy_helper.to_array(tensor))


# The types that most models have, for which generated files carry the shorter loader.
PLAIN = "FLOAT DOUBLE FLOAT16 BFLOAT16 BOOL".split()
PLAIN += [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]


@pytest.mark.parametrize("dtype", PLAIN)
def test_the_short_loader_reads_plain_types(tmp_path, dtype):
    tensor = random_tensor("x", dtype, (3, 5))
    path = write(tmp_path, [tensor], "safetensors")
    with jax.enable_x64(True):
        assert_same_bits(
            loaded(read_safetensors(path)[0])["x"], numpy_helper.to_array(tensor)
        )


def test_safetensors_reads_the_file(tmp_path):
    tensors = [random_tensor(dtype, dtype, (3, 5)) for dtype in DTYPES]
    data = write(tmp_path, tensors, "safetensors").read_bytes()
    stored = dict(safetensors.deserialize(data))
    assert sorted(stored) == sorted(DTYPES)
    packed = 0
    for tensor in tensors:
        entry = stored[tensor.name]
        assert bytes(entry["data"]) == tensor.raw_data
        if entry["dtype"] == "U8" and tensor.name != "UINT8":
            packed += 1
            assert entry["shape"] == [len(tensor.raw_data)]
        else:
            assert entry["shape"] == [3, 5]
    # complex128, two 8-bit floats, three of 4 bits, two of 2 bits
    assert packed == 8


def test_every_tensor_lies_on_its_element_size(tmp_path):
    tensors = [random_tensor(dtype, dtype, (3, 5)) for dtype in DTYPES]
    data = write(tmp_path, tensors, "safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    assert start % 64 == 0
    for tensor in tensors:
        itemsize = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        assert (data.index(tensor.raw_data, start) - start) % itemsize == 0


@pytest.mark.parametrize("weights", LOADERS)
def test_hostile_names_come_back(tmp_path, weights):
    tensors = [
        random_tensor(name, dtype, (2, 2), seed)
        for seed, name in enumerate(HOSTILE)
        for dtype in [["FLOAT", "INT4"][seed % 2]]
    ]
    params = LOADERS[weights](write(tmp_path, tensors, weights))
    assert sorted(params) == sorted(HOSTILE)
    for tensor in tensors:
        assert_same_bits(params[tensor.name], numpy_helper.to_array(tensor))


def test_numpy_reads_the_npz(tmp_path):
    tensors = [random_tensor(dtype, dtype, (3, 5)) for dtype in DTYPES]
    path = write(tmp_path, tensors, "npz")
    assert zipfile.ZipFile(path).testzip() is None
    with np.load(path) as arrays:
        assert sorted(arrays) == sorted([*DTYPES, "oxide_xla.packed"])
        for tensor in tensors:
            array = arrays[tensor.name]
            assert array.tobytes() == tensor.raw_data
            if tensor.name in NUMPY:
                assert_same_bits(array, numpy_helper.to_array(tensor))


def test_an_npz_may_have_more_members_than_plain_zip(tmp_path):
    tensors = [random_tensor(f"p{i}", "FLOAT", (1,), i) for i in range(70_000)]
    path = write(tmp_path, tensors, "npz")
    with np.load(path) as arrays:
        assert len(arrays.files) == 70_000
        assert_same_bits(arrays["p69999"], numpy_helper.to_array(tensors[-1]))


def test_files_are_the_same_every_time(tmp_path):
    tensors = [random_tensor(dtype, dtype, (3, 5)) for dtype in DTYPES]
    for weights in LOADERS:
        first = write(tmp_path, tensors, weights).read_bytes()
        assert write(tmp_path, tensors, weights).read_bytes() == first


def test_cast_leaves_integers_alone(tmp_path):
    tensors = [
        random_tensor(dtype, dtype, (2,)) for dtype in ("FLOAT", "INT32", "BOOL")
    ]
    for weights, loader in LOADERS.items():
        params = loader(write(tmp_path, tensors, weights), dtype=jnp.bfloat16)
        assert {key: str(value.dtype) for key, value in params.items()} == {
            "FLOAT": "bfloat16",
            "INT32": "int32",
            "BOOL": "bool",
        }
