"""Reads the parameters of a checkpoint, in one safetensors file or in shards."""

import json
from pathlib import Path

from read_safetensors import read_safetensors


def with_buffers(arrays, own, buffers):
    """Arrays, and the buffers that they lack from the file beside the module."""
    if lacking := set(buffers) - arrays.keys():
        found = read_safetensors(own)[0]
        arrays |= {key: found[key] for key in lacking & found.keys()}
    return arrays


def read_checkpoint(path):
    """Map a safetensors file, that in a folder, or all shards; and the metadata."""
    path = Path(path)
    if path.is_dir():
        names = ("model.safetensors", "pytorch_model.bin")
        paths = [path / (name + end) for end in ("", ".index.json") for name in names]
        path = next((place for place in paths if place.exists()), paths[0])
    if any(end in path.suffixes for end in (".bin", ".pt", ".pth")):
        hint = f"oxide_xla checkpoint {path} -o model.safetensors"
        raise ValueError(f"{path} is no safetensors file: run `{hint}`")
    if path.suffix != ".json":
        return read_safetensors(path)
    shards = sorted(set(json.loads(path.read_text())["weight_map"].values()))
    parts = [read_safetensors(path.parent / shard)[0] for shard in shards]
    return {key: x for part in parts for key, x in part.items()}, {}
