"""Reads a safetensors file that also holds types which the format lacks, as bytes."""

import json
import math

import jax.numpy as jnp
import numpy as np


def load_params_packed(path=None, dtype=None):
    """Read the parameters from the safetensors file beside this module, or at `path`.

    With `dtype`, floating-point parameters are cast to it. The file is mapped; types
    that the format lacks lie in it as bytes, with a note that says what they are.
    """
    path = path or __file__.removesuffix(".py") + ".safetensors"
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    data = np.memmap(path, mode="r", offset=8 + size)
    packed = json.loads(header.pop("__metadata__", {}).get("oxide_xla.packed", "{}"))
    names = (
        "BOOL=bool U8=uint8 U16=uint16 U32=uint32 U64=uint64 I8=int8 I16=int16 "
        "I32=int32 I64=int64 F16=float16 BF16=bfloat16 F32=float32 F64=float64 "
        "C64=complex64 F8_E4M3=float8_e4m3fn F8_E5M2=float8_e5m2 F8_E8M0=float8_e8m0fnu"
    )
    names = dict(pair.split("=") for pair in names.split())
    params = {}
    for key, entry in header.items():
        array = data[slice(*entry["data_offsets"])]
        entry = packed.get(key, entry)
        if bits := entry.get("bits"):  # elements share bytes, the first one lowest
            array = array[:, None] >> np.arange(0, 8, bits, np.uint8)
            array = (array & (2**bits - 1)).ravel()[: math.prod(entry["shape"])]
        array = array.view(names.get(entry["dtype"], entry["dtype"]))
        params[key] = jnp.asarray(array.reshape(entry["shape"]))
        floating = jnp.issubdtype(array.dtype, jnp.floating)
        if dtype is not None and floating:
            params[key] = params[key].astype(dtype)
    return params
