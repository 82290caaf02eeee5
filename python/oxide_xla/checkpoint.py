"""`oxide_xla checkpoint`: a checkpoint that PyTorch has pickled, as safetensors.

    oxide_xla checkpoint pytorch_model.bin -o model.safetensors

It takes one file or the index of several, and writes one. Of the folder of a model of
transformers it makes the tensors that the module has (port/converting.py). Only tensors
are unpickled (`weights_only=True`). Of names for one tensor the first is kept:
`load_params` of a generated module knows the others.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from oxide_xla._errors import OxideError

OK, MODEL, USAGE, IO = range(4)
STATES = ("state_dict", "model_state_dict", "model")  # where trainers put the tensors


def convert(source: Path, target: Path) -> int:
    """Write the tensors of `source` to `target`; returns how many there are.

    Raises OxideError for what holds anything but tensors, OSError where a file cannot
    be read or written.
    """
    tensors = untied(read(source))
    draft = target.with_name(f"{target.name}.draft")
    try:
        save_file(tensors, draft, metadata={"format": "pt"})
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return len(tensors)


def read(source: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, or of all files that an index names."""
    if source.suffix != ".json":
        return read_file(source)
    try:
        shards = sorted(set(json.loads(source.read_text())["weight_map"].values()))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise OxideError(f"error: {source} is no index of shards: {error!r}") from error
    tensors: dict[str, torch.Tensor] = {}
    for shard in shards:
        tensors |= read_file(source.parent / shard)
    return tensors


def read_file(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file, which stay on disk where it is of today's format."""
    path.open("rb").close()  # a missing file is an OSError in every format
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
    try:
        state = torch.load(path, mmap=zipfile.is_zipfile(path), **options)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - torch raises all kinds
        lines = str(error).strip().splitlines() or [""]
        raise OxideError(f"error: {path} cannot be unpickled: {lines[0]}") from error
    for key in STATES:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    return checked(state, path)


def checked(state: object, path: Path) -> dict[str, torch.Tensor]:
    """The state_dict, if it is one; OxideError says what is not a tensor."""
    if not isinstance(state, Mapping):
        kind = type(state).__name__
        raise OxideError(f"error: {path} holds a {kind}, not a dict of tensors")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            kind = type(value).__name__
            raise OxideError(
                f"error: {path} holds a {kind} under {name!r}, not a tensor\n"
                "  help: save the state_dict() of the module alone"
            )
    return dict(state)


def untied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each tensor under the first of its names, in rows of its own memory."""
    seen: set[tuple[Any, ...]] = set()
    kept = {}
    for name, tensor in tensors.items():
        same = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and same in seen:
            continue
        seen.add(same)
        kept[name] = tensor.detach().contiguous()
    memory = {tensor.untyped_storage().data_ptr() for tensor in kept.values()}
    if len(memory) < len(kept):  # views of one storage, which safetensors refuses
        kept = {name: tensor.clone() for name, tensor in kept.items()}
    return kept


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="oxide_xla checkpoint",
        description="Write a checkpoint that PyTorch has pickled as safetensors.",
        epilog="Exit codes: 0 done, 1 it holds other things than tensors, 2 wrong use, "
        "3 a file cannot be read or written.",
    )
    parser.add_argument(
        "source",
        type=Path,
        metavar="FILE",
        help="pytorch_model.bin, or pytorch_model.bin.index.json for shards; or the "
        "folder of a model whose module has other tensors than its safetensors files",
    )
    parser.add_argument(
        "--task", help="of a folder, the task that `oxide_xla port` was given"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.safetensors"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = make_parser().parse_args(arguments)
    try:
        if options.source.is_dir():
            from oxide_xla.port.converting import convert_folder

            count = convert_folder(options.source, options.output, options.task)
        else:
            count = convert(options.source, options.output)
    except OxideError as error:
        print(error, file=sys.stderr)
        return MODEL
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return IO
    print(f"{options.output}: {count} tensors", file=sys.stderr)
    return OK
