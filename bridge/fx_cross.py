"""A transformers encoder-decoder in two parts, for export with a cache.

`wrap(module, length, part)` gives the module one of two forwards of plain tensors for
as long as it is entered:

    encoder   forward(input_ids, attention_mask)
                  -> {cross_key_0, ..., cross_value_0, ...}
    decoder   forward(decoder_input_ids, attention_mask, cross_key_0, ..., key_cache_0,
                      ..., position) -> {logits, key_cache_0_next, ...}

The encoder runs once, and gives the keys and values of the decoder's cross attention,
which each step reads. What is encoded is the main input of the module: `input_ids`,
with `attention_mask` where there is padding, or `input_features` of a size that the
configuration has. The rest is as in fx_cache.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if __package__:
    from . import fx_cache, fx_call, fx_fake
    from .fx_errors import ModelError, UsageError, reason
else:
    import fx_cache
    import fx_call
    import fx_fake
    from fx_errors import ModelError, UsageError, reason

if TYPE_CHECKING:
    import torch

PARTS = ("decoder", "encoder")
SOURCE = 4  # positions of the example; unlike those of fx_cache
CROSS = tuple(f"cross_{field}" for field in fx_cache.FIELDS)


@dataclass(frozen=True)
class Part:
    """How to call one of the parts, and what its tensors are."""

    call: fx_call.Call
    axes: fx_call.Axes
    lines: tuple[str, ...]

    def describe(self) -> str:
        """The lines of the metadata."""
        return "\n".join(self.lines)


def cross_names(layers: int) -> list[str]:
    """The tensors that the encoder gives, in the order of forward."""
    return [f"{field}_{i}" for field in CROSS for i in range(layers)]


def step(module: torch.nn.Module, length: int, part: str | None = None) -> Any:
    """The context of fx_cache.wrap, or of `wrap` for an encoder-decoder."""
    if fx_cache.is_pretrained(module) and module.config.is_encoder_decoder:
        return wrap(module, length, part or PARTS[0])
    if part:
        raise UsageError(f"{type(module).__name__} has one part: give no {part!r}")
    return fx_cache.wrap(module, length)


@contextlib.contextmanager
def wrap(module: torch.nn.Module, length: int, part: str) -> Iterator[Part]:
    """Give `module` the forward of a part; afterwards its own again.

    Raises UsageError where it cannot have one, ModelError where the parts give other
    results than the whole.
    """
    if part not in PARTS:
        raise UsageError(f"no part {part!r}; there are {PARTS}")
    fx_cache.check_length(length)
    source = Source.of(module)
    original, own = module.forward, "forward" in vars(module)
    layers, shapes = caches(module, source)
    forwards = {
        "encoder": encoder_forward(original, source, layers),
        "decoder": decoder_forward(original, source, layers),
    }
    rows = fx_cache.Rows(always=True)
    try:
        with fx_cache.masks_from_start(rows):
            if not fx_fake.has_fakes(module):
                verify(module, source, original, forwards, shapes)
            module.forward = forwards[part]
            yield example(module, source, shapes, length, part)
    finally:
        if own:
            module.forward = original
        else:
            vars(module).pop("forward", None)


# What is encoded ----------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """The input of the encoder: its name, its shape behind the batch, and its mask."""

    name: str
    shape: tuple[int, ...] | None  # None: token ids, any number of them
    masked: bool

    @staticmethod
    def of(module: torch.nn.Module) -> Source:
        """That of a module, or UsageError."""
        kind, config = type(module).__name__, module.config
        name = module.main_input_name
        takes = inspect.signature(module.forward).parameters
        lacking = {"decoder_input_ids", "past_key_values", "encoder_outputs"} - {*takes}
        if lacking:
            raise UsageError(f"{kind}.forward takes no {min(lacking)}")
        if name == "input_ids":
            return Source(name, None, "attention_mask" in takes)
        bins, positions = (
            getattr(config, key, None)
            for key in ("num_mel_bins", "max_source_positions")
        )
        if name != "input_features" or not bins or not positions:
            raise UsageError(f"the size of {name} of {kind} is not known")
        return Source(name, (bins, 2 * positions), False)

    def make(self, module: torch.nn.Module, rows: int, tokens: int) -> dict[str, Any]:
        """An example; the last row of token ids ends with one that is padding."""
        import torch

        generator = torch.Generator().manual_seed(0)
        if self.shape is not None:
            x = torch.randn(rows, *self.shape, generator=generator)
            return {self.name: x.to(module.dtype)}
        words = module.get_input_embeddings().weight.shape[0]
        ids = torch.randint(2, words, (rows, tokens), generator=generator)
        mask = torch.ones(rows, tokens, dtype=torch.int64)
        mask[-1, -1] = 0
        return {self.name: ids} | ({"attention_mask": mask} if self.masked else {})


# The parts ----------------------------------------------------------------------------


def caches(module: torch.nn.Module, source: Source) -> tuple[int, dict[str, Any]]:
    """How many layers the decoder has, and (heads, places, width) of their caches."""
    import torch

    inputs = source.make(module, 1, SOURCE)
    begin = torch.zeros(1, 1, dtype=torch.int64)
    try:
        with torch.no_grad(), fx_fake.calls():
            result = module(**inputs, decoder_input_ids=begin, use_cache=True)
        found = result.past_key_values
        pairs = {"": found.self_attention_cache, "cross_": found.cross_attention_cache}
    except Exception as error:
        raise ModelError(f"forward with a cache fails: {reason(error)}") from error
    shapes = {}
    for prefix, cache in pairs.items():
        for i, layer in enumerate(cache.layers):
            for field in fx_cache.FIELDS:
                x = getattr(layer, f"{field}s")
                name = f"cross_{field}_{i}" if prefix else f"{field}_cache_{i}"
                shapes[name] = (x.shape[1], x.shape[2], x.shape[3])
    return len(found.self_attention_cache.layers), shapes


def encoder_forward(original: Callable, source: Source, layers: int) -> Callable:
    """What the encoder gives, as the decoder's cross attention takes it.

    The decoder begins to run; nothing that it gives later is read, so that no graph has
    it.
    """
    import torch
    from transformers import cache_utils

    names = [source.name, *(["attention_mask"] if source.masked else [])]

    def run(inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        cache = cache_utils.EncoderDecoderCache(
            cache_utils.DynamicCache(), cache_utils.DynamicCache()
        )
        batch = inputs[source.name].shape[0]
        begin = torch.zeros(batch, 1, dtype=torch.int64)
        original(
            **inputs, decoder_input_ids=begin, past_key_values=cache, use_cache=True
        )
        kept = cache.cross_attention_cache.layers
        return {
            f"cross_{field}_{i}": getattr(kept[i], f"{field}s")
            for field in fx_cache.FIELDS
            for i in range(layers)
        }

    return fx_cache.with_signature(run, names)


def decoder_forward(original: Callable, source: Source, layers: int) -> Callable:
    """A step of the decoder."""
    from transformers import cache_utils, modeling_outputs

    layer = fx_cache.layer_class()
    own = [n for field in fx_cache.FIELDS for n in fx_cache.cache_names(field, layers)]
    mask = ["attention_mask"] if source.masked else []
    names = ["decoder_input_ids", *mask, *own, *cross_names(layers), "position"]

    def run(inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        position = inputs["position"]
        own, cross = (
            cache_utils.Cache(
                layers=[
                    layer(*(inputs[form.format(f, i)] for f in fx_cache.FIELDS), place)
                    for i in range(layers)
                ]
            )
            for form, place in (("{}_cache_{}", position), ("cross_{}_{}", 1))
        )
        cache = cache_utils.EncoderDecoderCache(own, cross)
        cache.is_updated = dict.fromkeys(range(layers), True)
        keys = inputs["cross_key_0"]
        width = keys.shape[1] * keys.shape[3]  # whose values nothing reads
        states = keys.new_zeros(keys.shape[0], keys.shape[2], width)
        result = original(
            **{name: inputs[name] for name in mask},
            encoder_outputs=modeling_outputs.BaseModelOutput(states),
            decoder_input_ids=inputs["decoder_input_ids"],
            past_key_values=cache,
            use_cache=True,
            return_dict=True,
        )
        outputs = {"logits": result[0]}
        for field in fx_cache.FIELDS:
            for i, kept in enumerate(own.layers):
                outputs[f"{field}_cache_{i}_next"] = getattr(kept, f"{field}s")
        return outputs

    return fx_cache.with_signature(run, names)


# Whether they are right ---------------------------------------------------------------


def verify(
    module: torch.nn.Module,
    source: Source,
    original: Callable,
    forwards: Mapping[str, Callable],
    shapes: Mapping[str, Any],
) -> None:
    """ModelError where encoder and steps give other logits than the whole at once."""
    import torch

    count, cut = 8, 5
    generator = torch.Generator().manual_seed(1)
    words = module.get_input_embeddings().weight.shape[0]
    ids = torch.randint(2, words, (2, count), generator=generator)
    inputs = source.make(module, 2, SOURCE)
    mask = {k: x for k, x in inputs.items() if k == "attention_mask"}
    cache = {
        name: torch.zeros(2, heads, count, width, dtype=module.dtype)
        for name, (heads, _, width) in shapes.items()
        if "_cache_" in name
    }
    parts = []
    with torch.no_grad():
        wanted = original(**inputs, decoder_input_ids=ids, use_cache=False)[0]
        cross = forwards["encoder"](**inputs)
        for begin, end in ((0, cut), (cut, count)):
            step = forwards["decoder"](
                ids[:, begin:end],
                **mask,
                **cache,
                **cross,
                position=torch.tensor(begin),
            )
            cache = {name: step[f"{name}_next"] for name in cache}
            parts.append(step["logits"])
    fx_cache.compare(module, [torch.cat(parts, 1)], [wanted])


def example(
    module: torch.nn.Module,
    source: Source,
    shapes: Mapping[str, Any],
    length: int,
    part: str,
) -> Part:
    """The call to export, with what is open in it."""
    import torch

    inputs = source.make(module, fx_cache.BATCH, SOURCE)
    axes: fx_call.Axes = {
        k: {0: "batch"} | ({1: "source"} if source.shape is None else {})
        for k in inputs
    }
    cross = [name for name in shapes if name.startswith("cross_")]
    cross.sort(key=cross_names(len(cross) // 2).index)
    fields = [name.rpartition("_")[0] for name in cross]
    if part == "encoder":
        lines = [f"made\t{f}\t{name}" for f, name in zip(fields, cross)]
        return Part(fx_call.bind(module, (), inputs), axes, tuple(lines))
    inputs.pop(source.name)
    axes.pop(source.name)
    tokens = torch.zeros(fx_cache.BATCH, fx_cache.TOKENS, dtype=torch.int64)
    inputs = {"decoder_input_ids": tokens} | inputs
    axes["decoder_input_ids"] = {0: "batch", 1: "tokens"}
    lines = [f"length\t{length}"]
    for field in fx_cache.FIELDS:
        for name in fx_cache.cache_names(field, len(cross) // 2):
            heads, _, width = shapes[name]
            size = (fx_cache.BATCH, heads, fx_cache.LENGTH, width)
            inputs[name] = torch.zeros(size, dtype=module.dtype)
            axes[name] = {0: "batch", 2: "length"}
            lines.append(f"{field}\t{name}\t{name}_next")
    for field, name in zip(fields, cross):
        heads, places, width = shapes[name]
        size = (fx_cache.BATCH, heads, places, width)
        inputs[name] = torch.zeros(size, dtype=module.dtype)
        axes[name] = {0: "batch"} | ({2: "source"} if source.shape is None else {})
        lines.append(f"kept\t{field}\t{name}")
    inputs["position"] = torch.tensor(2)
    return Part(fx_call.bind(module, (), inputs), axes, tuple(lines))
