"""Reads the npz file that lies beside a generated module."""

import json
import zipfile
import zlib

import numpy as np

from read_packed import unpack


def read_npz(path):
    """Read the arrays of an npz file; types that the format lacks lie in it as bytes.

    A ValueError names a file that is cut off, damaged or of another format.
    """
    arrays, packed = {}, {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    if member == "oxide_xla.packed":  # says what the bytes are
                        packed = json.load(file)
                    else:
                        key = member.removesuffix(".npy")
                        arrays[key] = np.lib.format.read_array(file)
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no sound npz file: {error!r}") from error
    return arrays | {key: unpack(arrays[key], packed[key]) for key in packed}
