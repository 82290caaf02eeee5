"""A checkpoint folder as one safetensors file that a ported module reads.

For architectures whose checkpoints have several tensors where the module has one, as
the experts of a mixture, or one in another layout. transformers says how; a tensor is
made, written and forgotten before the next.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from oxide_xla._errors import OxideError
from oxide_xla.port import names
from oxide_xla.port.porting import Options, build

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
Make = Callable[[Callable[[str], "Tensor"]], dict[str, "Tensor"]]


def convert_folder(folder: Path, target: Path, task: str | None = None) -> int:
    """Write the tensors of a folder as the module has them; returns how many there are.

    Raises OxideError where the architecture is not known or a part is missing, OSError
    where a file cannot be read or written.
    """
    module = build(folder, Options(task=task))
    places = names.places(folder)
    if not places:
        raise FileNotFoundError(f"{folder} has no model.safetensors, nor shards of it")
    found = names.sources(module, places)
    makers = [renaming(key, name) for key, name in found.renamed.items()]
    for name, (maker, parts) in found.converted.items():
        makers.append(conversion(maker, name, parts, module))
    with Shards(places) as shards:
        try:
            made = [(make, make(shards.described)) for make in makers]
            made.sort(key=lambda item: -max(x.itemsize for x in item[1].values()))
            kinds = {name: x for _, tensors in made for name, x in tensors.items()}
            if lacking := names.lacking(module, kinds.keys()):
                raise OxideError(f"error: {folder} lacks {lacking[0]}")
            write(target, kinds, (make(shards.read) for make, _ in made))
        except (ValueError, RuntimeError, KeyError) as error:
            raise OxideError(f"error: {folder}: {error}") from error
    return len(kinds)


def renaming(key: str, name: str) -> Make:
    """A tensor under another name."""
    return lambda get: {name: get(key)}


def conversion(
    maker: Any, target: str, parts: list[tuple[str, str]], module: torch.nn.Module
) -> Make:
    """What transformers makes of several tensors."""

    def make(get: Callable[[str], Tensor]) -> dict[str, Tensor]:
        work = copy.deepcopy(maker)
        for pattern, key in parts:
            work.add_tensor(target, key, pattern, get(key))
        made = work.convert(target, model=module, config=module.config)
        return {k: x[0] if isinstance(x, list) else x for k, x in made.items()}

    return make


class Shards(contextlib.ExitStack):
    """The tensors of a folder, by name."""

    def __init__(self, places: dict[str, Path]):
        super().__init__()
        self.places = places
        self.files: dict[Path, Any] = {}

    def file(self, key: str) -> Any:
        """The open file that has a tensor."""
        path = self.places[key]
        if path not in self.files:
            self.files[path] = self.enter_context(safe_open(path, "pt"))
        return self.files[path]

    def read(self, key: str) -> Tensor:
        """A tensor."""
        tensor: Tensor = self.file(key).get_tensor(key)
        return tensor

    def described(self, key: str) -> Tensor:
        """Its type and shape, without values."""
        part = self.file(key).get_slice(key)
        kind = next(k for k, name in KINDS.items() if name == part.get_dtype())
        return torch.empty(part.get_shape(), dtype=kind, device="meta")


def write(
    target: Path, kinds: dict[str, Tensor], tensors: Iterator[dict[str, Tensor]]
) -> None:
    """A safetensors file of these types and shapes; tensors are made one by one.

    Raises ValueError where they are others than was said, or one is made twice.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, x in kinds.items():
        start, end = end, end + x.nbytes
        kind = {"dtype": KINDS[x.dtype], "shape": [*x.shape]}
        header[name] = kind | {"data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draft = target.with_name(f"{target.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            left = dict(kinds)
            for name, x in (item for made in tensors for item in made.items()):
                kind = left.pop(name, None)
                if kind is None or (kind.dtype, kind.shape) != (x.dtype, x.shape):
                    raise ValueError(f"{name} is made twice, or not as was said")
                raw = x.contiguous().reshape(-1).view(torch.uint8)
                file.write(raw.numpy().data)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
