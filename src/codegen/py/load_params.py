"""Reads the safetensors file that lies beside a generated module."""

import json

import jax.numpy as jnp
import numpy as np


def load_params(path=None, dtype=None):
    """Read the parameters from the safetensors file beside this module, or at `path`.

    With `dtype`, floating-point parameters are cast to it. The file is mapped.
    """
    path = path or __file__.removesuffix(".py") + ".safetensors"
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    data = np.memmap(path, mode="r", offset=8 + size)
    kinds = {"BOOL": "bool", "BF": "bfloat", "F": "float", "I": "int", "U": "uint"}
    params = {}
    for key, entry in header.items():
        kind = entry["dtype"].rstrip("0123456789")
        name = kinds[kind] + entry["dtype"].removeprefix(kind)
        array = data[slice(*entry["data_offsets"])].view(name).reshape(entry["shape"])
        floating = jnp.issubdtype(array.dtype, jnp.floating)
        params[key] = jnp.asarray(array, dtype if floating else None)
        wide = array.dtype.name in ("int64", "uint64")
        if wide and not np.array_equal(params[key], array):
            raise OverflowError(f"{key} needs 64-bit integers: set jax_enable_x64")
    return params
