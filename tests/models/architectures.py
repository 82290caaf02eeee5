"""What the model zoo is made of: one entry per architecture, small and with random
weights.

The tables are in `zoo_text`, `zoo_media`, `zoo_torchvision` and `zoo_own`. A dimension
of an input is a number, or a name where the export leaves it open; every file is then
run at the sizes it was exported with and at a second set of sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from models import zoo

Axes = dict[str, dict[int, str]]  # input name -> axis -> dimension name

# The sizes at export, then those that the same file must serve as well.
SIZES = {
    "batch": (2, 3),
    "seq": (7, 5),
    "target": (4, 6),
    "frames": (400, 560),
    "samples": (1600, 2000),
}


# Architectures whose own initialisation lets the inputs fade: see zoo.enliven.
FADING = frozenset(
    "detr segformer yolos whisper_encoder speecht5_hifigan mobilevit sam dpt "
    "depth_anything tv_mobilenet_v2 tv_mobilenet_v3 tv_efficientnet tv_shufflenet "
    "tv_googlenet tv_regnet tv_mnasnet tv_deeplab_v3 tv_lraspp".split()
)


@dataclass(frozen=True)
class Input:
    """One tensor that the module takes."""

    name: str
    shape: tuple[int | str, ...]
    tokens: int = 0  # below which integers lie; 0: not integers
    kind: str = "normal"  # "normal", "unit" (0 to 1), "mask" (ones, then zeros), "ones"
    dtype: torch.dtype | None = None

    def make(self, sizes: Mapping[str, int], generator: torch.Generator):
        """An example of these sizes."""
        shape = [sizes[d] if isinstance(d, str) else d for d in self.shape]
        if self.tokens:
            tensor = torch.randint(1, self.tokens, shape, generator=generator)
        elif self.kind == "mask":
            tensor = torch.ones(shape, dtype=torch.int64)
            tensor[0, -2:] = 0
        elif self.kind == "ones":
            tensor = torch.ones(shape, dtype=torch.int64)
        elif self.kind == "unit":
            tensor = torch.rand(shape, generator=generator)
        else:
            tensor = torch.randn(shape, generator=generator)
        return tensor if self.dtype is None else tensor.to(self.dtype)

    @property
    def axes(self) -> dict[int, str]:
        """The dimensions that an export leaves open."""
        return {i: d for i, d in enumerate(self.shape) if isinstance(d, str)}


@dataclass(frozen=True)
class Architecture:
    """A module and its inputs."""

    name: str
    factory: Callable[[], nn.Module]
    inputs: tuple[Input, ...]
    fast: bool = False  # in `make test` too
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    half: torch.dtype | None = None  # the type of weights where it is not float32

    def build(self) -> nn.Module:
        """The module in inference mode, with the same weights at every call."""
        torch.manual_seed(0)
        module = self.factory()
        zoo.randomize(module)
        if config := getattr(module, "config", None):
            config.use_cache = False
        if self.name in FADING:
            zoo.enliven(module.eval(), self._make({"batch": 16}))
        return module.eval() if self.half is None else module.eval().to(self.half)

    def make_inputs(self, second: Axes | None = None) -> dict[str, torch.Tensor]:
        """The inputs by name; of the second size where a dimension of `second` is."""
        changed = {d for axes in (second or {}).values() for d in axes.values()}
        sizes = {d: pair[d in changed] for d, pair in {**SIZES, **self.sizes}.items()}
        return self._make(sizes)

    def _make(self, given: Mapping[str, int]) -> dict[str, torch.Tensor]:
        """The inputs of these sizes; others are those of the export."""
        sizes = {d: pair[0] for d, pair in {**SIZES, **self.sizes}.items()} | {**given}
        generator = torch.Generator().manual_seed(1)
        return {x.name: x.make(sizes, generator) for x in self.inputs}

    @property
    def axes(self) -> Axes:
        """What a dynamic export leaves open, by input."""
        return {x.name: x.axes for x in self.inputs if x.axes}


def all_architectures() -> dict[str, Architecture]:
    """Every entry by name, in the order of the tables."""
    from models import zoo_media, zoo_own, zoo_text, zoo_torchvision

    tables = (zoo_own.TABLE, zoo_text.TABLE, zoo_media.TABLE, zoo_torchvision.TABLE)
    entries = [entry for table in tables for entry in table]
    named = {entry.name: entry for entry in entries}
    assert len(named) == len(entries), "two architectures of one name"
    return named
