"""Reads the npz file that lies beside a generated module."""

import json
import math
import zipfile

import jax.numpy as jnp
import numpy as np


def load_params_npz(path=None, dtype=None):
    """Read the parameters from the npz file beside this module, or at `path`.

    With `dtype`, floating-point parameters are cast to it. Types that the format lacks
    lie in it as bytes; a member that is not an array says what they are.
    """
    path = path or __file__.removesuffix(".py") + ".npz"
    params, packed = {}, {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                if member == "oxide_xla.packed":  # comes first
                    packed = json.load(file)
                    continue
                array = np.lib.format.read_array(file)
            key = member.removesuffix(".npy")
            if entry := packed.get(key):
                if bits := entry.get("bits"):  # elements share bytes, the first lowest
                    array = array[:, None] >> np.arange(0, 8, bits, np.uint8)
                    array = (array & (2**bits - 1)).ravel()[: math.prod(entry["shape"])]
                array = array.view(entry["dtype"]).reshape(entry["shape"])
            params[key] = jnp.asarray(array)
            floating = jnp.issubdtype(array.dtype, jnp.floating)
            if dtype is not None and floating:
                params[key] = params[key].astype(dtype)
    return params
