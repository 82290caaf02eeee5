"""The inputs of an architecture: names, dimensions, and examples to export with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from oxide_xla import _library as c
from oxide_xla._errors import OxideError

# Sizes of open dimensions while the model is exported, all different.
SIZES = {"batch": 2, "seq": 7, "target": 5, "samples": 1600, "frames": 400}
OTHER = 6
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Input:
    """A tensor that forward takes; open dimensions are names, others sizes."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str | None = None  # None: by the name

    @property
    def kind(self) -> str | None:
        """Its type if the name tells; None: that of the model."""
        return self.dtype or ("int64" if self.name.endswith(("ids", "mask")) else None)


def parse(text: str) -> Input:
    """NAME=D,D,...[:DTYPE], as in input_ids=batch,seq; OxideError for another text."""
    name, equals, rest = text.partition("=")
    dims, _, dtype = rest.partition(":")
    shape = tuple(int(d) if d.isdecimal() else d for d in dims.split(",") if d)
    fine = NAME.fullmatch(name) and all(
        isinstance(d, int) or NAME.fullmatch(d) for d in shape
    )
    if (
        not equals
        or not fine
        or not isinstance(getattr(torch, dtype or "int64", None), torch.dtype)
    ):
        raise OxideError(
            f"error: {text!r} is not NAME=D,D,...[:DTYPE], as input_ids=batch,seq",
            c.USAGE,
        )
    return Input(name, shape, dtype or None)


def choose(module: torch.nn.Module) -> list[Input]:
    """What the architecture takes: ids with their mask, images, sound.

    Raises OxideError where that is not known.
    """
    config: Any = module.config
    takes = inspect.signature(module.forward).parameters
    found = []
    if "input_ids" in takes:
        found.append(Input("input_ids", ("batch", "seq")))
    if "pixel_values" in takes:
        vision = getattr(config, "vision_config", config)
        found.append(Input("pixel_values", ("batch", *image_shape(vision))))
    if "input_values" in takes:
        found.append(Input("input_values", ("batch", "samples")))
    if "attention_mask" in takes and "input_ids" in takes:
        found.append(Input("attention_mask", ("batch", "seq")))
    if "decoder_input_ids" in takes:
        found.append(Input("decoder_input_ids", ("batch", "target")))
    if not found:
        raise OxideError(
            f"error: the inputs of {type(module).__name__} are not known\n"
            "  help: give each of them, as --input input_features=batch,80,3000",
            c.USAGE,
        )
    return found


def image_shape(config: Any) -> tuple[int, int, int]:
    """Channels, height and width of the images that a configuration is for."""
    size = getattr(config, "image_size", None) or 224
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    return getattr(config, "num_channels", None) or 3, height, width


def make(inputs: Sequence[Input], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Examples: token 1, masks of ones, noise."""
    examples = {}
    for x in inputs:
        shape = [SIZES.get(d, OTHER) if isinstance(d, str) else d for d in x.shape]
        kind = getattr(torch, x.kind) if x.kind else dtype
        integral = not kind.is_floating_point
        examples[x.name] = (
            torch.ones(shape, dtype=kind) if integral else torch.randn(shape).to(kind)
        )
    return examples


def open_axes(
    inputs: Sequence[Input], dynamic: Sequence[str] | None
) -> dict[str, dict[int, str]]:
    """The axes that stay open, by input; OxideError for a name that no input has."""
    known = {d for x in inputs for d in x.shape if isinstance(d, str)}
    if unknown := set(dynamic or ()) - known:
        raise OxideError(
            f"error: no input has a dimension {min(unknown)!r}, only "
            f"{', '.join(sorted(known))}",
            c.USAGE,
        )
    kept = known if dynamic is None else set(dynamic)
    axes = {
        x.name: {i: str(d) for i, d in enumerate(x.shape) if d in kept} for x in inputs
    }
    return {name: entry for name, entry in axes.items() if entry}
