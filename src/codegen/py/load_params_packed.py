"""Reads a safetensors file that also holds types which the format lacks, as bytes."""

import json
import math

import jax.numpy as jnp
import numpy as np

from load_params import read_safetensors


def load_params_packed(path=None, dtype=None):
    """Read the parameters from the safetensors file beside this module, or at `path`.

    With `dtype`, floating-point parameters are cast to it. The file is mapped; types
    that the format lacks lie in it as bytes, with a note that says what they are.
    """
    path = path or __file__.removesuffix(".py") + ".safetensors"
    arrays, metadata = read_safetensors(path)
    packed = json.loads(metadata.get("oxide_xla.packed", "{}"))
    params = {}
    for key, array in arrays.items():
        if entry := packed.get(key):
            if bits := entry.get("bits"):  # elements share bytes, the first one lowest
                array = array[:, None] >> np.arange(0, 8, bits, np.uint8)
                array = (array & (2**bits - 1)).ravel()[: math.prod(entry["shape"])]
            array = array.view(entry["dtype"]).reshape(entry["shape"])
        params[key] = jnp.asarray(array)
        if dtype is not None and jnp.issubdtype(array.dtype, jnp.floating):
            params[key] = params[key].astype(dtype)
    return params
