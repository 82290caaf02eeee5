"""Reads parameters that lie in the files of the model itself, through an index."""

import json
import zlib
from pathlib import Path

import numpy as np

from read_packed import unpack
from read_safetensors import read_safetensors


def bytes_in_place(path, index):
    """Map the parameters that the index at `path` refers to, if nothing has changed."""
    advice = "compile the model again, or with --weights safetensors to have a copy"
    maps, found = [], {}
    for file in index["files"]:
        original = path.resolve().parent / file["path"]
        if not original.is_file():
            raise FileNotFoundError(
                f"{original}, to which {path} refers, is missing: put it back, or "
                f"{advice}"
            )
        if original.stat().st_size != file["size"]:
            raise ValueError(f"{original} is not what {path} was made of: {advice}")
        maps.append(np.memmap(original, mode="r"))
    for key, entry in index["params"].items():
        found[key] = data = maps[entry["file"]][slice(*entry["data_offsets"])]
        starts = range(0, data.size, max(256, data.size // 16))  # a sample of all
        if zlib.crc32(b"".join(data[i : i + 256] for i in starts)) != entry["crc32"]:
            raise ValueError(
                f"{key} in {maps[entry['file']].filename} has changed since {path} was "
                f"made: {advice}"
            )
    return found


def read_reference(path):
    """Map what an index refers to, or the file holds; the metadata of the file."""
    path = Path(path)
    arrays, notes = read_safetensors(path)
    packed = json.loads(notes.get("oxide_xla.packed", "{}"))
    index = json.loads(notes.get("oxide_xla.reference", '{"files": [], "params": {}}'))
    names = (
        "BOOL=bool U8=uint8 U16=uint16 U32=uint32 U64=uint64 I8=int8 I16=int16 "
        "I32=int32 I64=int64 F16=float16 BF16=bfloat16 F32=float32 F64=float64 "
        "C64=complex64 F8_E4M3=float8_e4m3fn F8_E5M2=float8_e5m2 F8_E8M0=float8_e8m0fnu"
    )
    names = dict(pair.split("=") for pair in names.split())
    arrays |= bytes_in_place(path, index)
    for key, entry in (packed | index["params"]).items():
        dtype = names.get(entry["dtype"], entry["dtype"])
        arrays[key] = unpack(arrays[key], entry | {"dtype": dtype})
    return arrays, notes
