"""Reads a safetensors file that also holds types which the format lacks, as bytes."""

import json
import math

import numpy as np

from read_safetensors import read_safetensors


def unpack(array, entry):
    """The array that lies in these bytes; elements may share them, the first lowest."""
    if bits := entry.get("bits"):
        array = array[:, None] >> np.arange(0, 8, bits, np.uint8)
        array = (array & (2**bits - 1)).ravel()[: math.prod(entry["shape"])]
    return array.view(entry["dtype"]).reshape(entry["shape"])


def read_packed(path):
    """Map a safetensors file, also with types that the format lacks; its metadata."""
    arrays, metadata = read_safetensors(path)
    packed = json.loads(metadata.get("oxide_xla.packed", "{}"))
    return arrays | {k: unpack(arrays[k], packed[k]) for k in packed}, metadata
