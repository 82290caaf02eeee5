"""A transformers decoder as one step with a cache of a fixed length, for export.

`wrap(module, length)` gives the module a forward of plain tensors for as long as it is
entered:

    forward(input_ids, key_cache_0, ..., value_cache_0, ..., position, start)
        -> {logits, key_cache_0_next, ..., value_cache_0_next, ...}

A cache is (batch, heads, length, width), as transformers has it: products with queries
and weights then are over axes that lie as XLA wants them. `position` is the place
of the first new token, `start` the number of tokens at the front of each row that are
padding. New keys and values are written by an operator of ours (fx_operators), and what
the cache is stands in the model's metadata as `oxide_xla.cache`, a line each:

    length N                  of an empty cache, unless another is asked for
    optional NAME             an input that is zeros when it is not given
    FIELD PAST PRESENT        an input of the cache, and the output that takes its place
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if __package__:
    from . import fx_call, fx_fake, fx_operators
    from .fx_errors import ModelError, UsageError, reason
else:
    import fx_call
    import fx_fake
    import fx_operators
    from fx_errors import ModelError, UsageError, reason

if TYPE_CHECKING:
    import onnx
    import torch

CACHE = "oxide_xla.cache"
FIELDS = ("key", "value")
# Sizes of the example: no two are alike, and none is 1.
BATCH, TOKENS, LENGTH = 2, 3, 7


@dataclass(frozen=True)
class Step:
    """How to call the wrapped module, and what its tensors are."""

    call: fx_call.Call
    axes: fx_call.Axes
    length: int  # of an empty cache
    layers: int

    def describe(self) -> str:
        """The lines of the metadata."""
        names = [
            f"{field}\t{past}\t{past}_next"
            for field in FIELDS
            for past in cache_names(field, self.layers)
        ]
        return "\n".join([f"length\t{self.length}", "optional\tstart", *names])


def cache_names(field: str, layers: int) -> list[str]:
    return [f"{field}_cache_{i}" for i in range(layers)]


def annotate(model: onnx.ModelProto, step: Any) -> None:
    """Write into `model` which of its inputs and outputs are the cache."""
    model.metadata_props.add(key=CACHE, value=step.describe())


@contextlib.contextmanager
def wrap(module: torch.nn.Module, length: int) -> Iterator[Step]:
    """Give `module` the forward of one step with a cache; afterwards its own again.

    Raises UsageError where it is no decoder that can have one, ModelError where its
    results are others than without a cache. One with fake parameters has none: compare
    another of the same class.
    """
    check(module)
    check_length(length)
    shapes = cache_shapes(module)
    original, own = module.forward, "forward" in vars(module)
    rows = Rows()
    module.forward = _step_forward(original, len(shapes), rows)
    try:
        with masks_from_start(rows):
            if not fx_fake.has_fakes(module):
                verify(module, original, shapes)
            yield _example(module, shapes, length)
    finally:
        if own:
            module.forward = original
        else:
            del module.forward


# What can have a cache ---------------------------------------------------------------


def is_pretrained(module: torch.nn.Module) -> bool:
    """Whether the module is of transformers."""
    import transformers

    return isinstance(module, transformers.PreTrainedModel)


def check_length(length: int) -> None:
    """UsageError for what is no length."""
    if length < 1:
        raise UsageError(f"a cache of length {length}: give a positive number")


def check(module: torch.nn.Module) -> None:
    """UsageError with the reason where the module is no decoder with a plain cache."""
    name = type(module).__name__
    if not is_pretrained(module):
        raise UsageError(f"--cache is for decoders of transformers, and {name} is none")
    parameters = inspect.signature(module.forward).parameters
    for needed in ("input_ids", "past_key_values", "position_ids"):
        if needed not in parameters:
            raise UsageError(
                f"{name}.forward takes no {needed}, which a step with a cache needs"
            )


def cache_shapes(module: torch.nn.Module) -> list[tuple[tuple[int, int], ...]]:
    """(heads, width) of keys and of values, for each layer that has a cache.

    Found by running the module on a few tokens with the cache that it makes itself.
    """
    import torch

    ids = torch.zeros(1, 2, dtype=torch.int64)
    try:
        with torch.no_grad(), fx_fake.calls():
            result = module(input_ids=ids, use_cache=True)
        cache = result.past_key_values
    except Exception as error:
        raise ModelError(f"forward with a cache fails: {reason(error)}") from error
    layers = getattr(cache, "layers", None)
    if not layers:
        raise UsageError(f"{type(module).__name__} gives no cache of keys and values")
    shapes = []
    for i, layer in enumerate(layers):
        tensors = (getattr(layer, "keys", None), getattr(layer, "values", None))
        if any(not isinstance(t, torch.Tensor) or t.ndim != 4 for t in tensors):
            raise UsageError(
                f"layer {i} of {type(module).__name__} has a {type(layer).__name__} "
                "as its cache, not keys and values: that is not supported"
            )
        shapes.append(tuple((t.shape[1], t.shape[3]) for t in tensors))
    return shapes


# The step ----------------------------------------------------------------------------


@dataclass
class Rows:
    """Where the rows of the step that is running start, for its masks."""

    start: torch.Tensor | None = None
    always: bool = False  # a step is running, and none of them has padding in front


@functools.cache
def layer_class() -> Any:
    """A cache of transformers for one layer; the class is made where it is known."""
    import torch
    from transformers import cache_utils

    fx_operators.define()

    class Layer(cache_utils.CacheLayerMixin):
        """Keys and values of one layer, written at `position`."""

        is_compileable = True
        is_sliding = False

        def __init__(self, keys, values, position):
            super().__init__()
            self.keys, self.values, self.position = keys, values, position
            self.dtype, self.device = keys.dtype, keys.device
            self.is_initialized = True

        def lazy_initialization(self, key_states, value_states):
            pass

        def update(self, key_states, value_states, *args, **kwargs):
            write = torch.ops.oxide_xla.write_cache
            self.keys = write(self.keys, key_states, self.position)
            self.values = write(self.values, value_states, self.position)
            return self.keys, self.values

        def get_mask_sizes(self, query_length):
            return self.keys.shape[2], 0

        def get_seq_length(self):
            return self.position

        def get_max_length(self):
            return self.keys.shape[2]

    return Layer


def with_signature(run: Any, names: list[str]) -> Any:
    """A forward of tensors of these names that calls `run` with a dict of them."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])

    def forward(*args, **kwargs):
        return run(signature.bind(*args, **kwargs).arguments)

    forward.__signature__ = signature
    return forward


def _step_forward(original: Any, layers: int, rows: Rows) -> Any:
    """forward(input_ids, *cache, position, start), with a signature that says so."""
    import torch
    from transformers import cache_utils

    Layer = layer_class()
    names = [name for field in FIELDS for name in cache_names(field, layers)]

    def run(inputs):
        input_ids, position, start = (
            inputs[name] for name in ("input_ids", "position", "start")
        )
        cache = cache_utils.Cache(
            layers=[
                Layer(*(inputs[f"{field}_cache_{i}"] for field in FIELDS), position)
                for i in range(layers)
            ]
        )
        places = (position + torch.arange(input_ids.shape[1]))[None]
        zero = torch.zeros((), dtype=torch.int64)  # padding is at some place, too
        rows.start = start
        result = original(
            input_ids=input_ids,
            position_ids=torch.maximum(places - start[:, None], zero),
            past_key_values=cache,
            use_cache=True,
            return_dict=True,
        )
        rows.start = None
        outputs = {"logits": result[0]}
        for field in FIELDS:
            for i, layer in enumerate(cache.layers):
                outputs[f"{field}_cache_{i}_next"] = getattr(layer, f"{field}s")
        return outputs

    return with_signature(run, ["input_ids", *names, "position", "start"])


@contextlib.contextmanager
def masks_from_start(rows: Rows) -> Iterator[None]:
    """Have transformers make its masks by their rules, and hide the padding in front.

    Their own way is a mask of all the cache, from which each entry is gathered.
    """
    from transformers import masking_utils

    table = masking_utils.ALL_MASK_ATTENTION_FUNCTIONS
    kinds = {"sdpa": masking_utils.sdpa_mask, "eager": masking_utils.eager_mask}

    def starting(make: Any) -> Any:
        def mask(*args, mask_function, **kwargs):
            start = rows.start
            if start is None and not rows.always:
                return make(*args, mask_function=mask_function, **kwargs)

            def rule(batch, head, query, key):
                return mask_function(batch, head, query, key) & (
                    key >= start[:, None, None, None]
                )

            kwargs["allow_is_causal_skip"] = False  # no mask would show the padding
            function = mask_function if start is None else rule
            return make(*args, mask_function=function, **kwargs)

        return mask

    for kind, make in kinds.items():
        table[kind] = starting(make)
    try:
        yield
    finally:
        for kind in kinds:
            del table[kind]


# Whether it is right ------------------------------------------------------------------


def verify(module: torch.nn.Module, original: Any, shapes: Any) -> None:
    """ModelError where steps with a cache give other logits than all tokens at once.

    So would a module whose positions or masks come from elsewhere than `position_ids`
    and the cache. One row of the two begins with padding.
    """
    import torch

    dtype = module.dtype
    count, padding, cut = 8, 2, 5
    generator = torch.Generator().manual_seed(0)
    words = module.get_input_embeddings().weight.shape[0]
    ids = torch.randint(0, words, (2, count), generator=generator)
    names = [n for field in FIELDS for n in cache_names(field, len(shapes))]
    sizes = [shape[k] for k in range(len(FIELDS)) for shape in shapes]
    cache = [torch.zeros(2, heads, count, width, dtype=dtype) for heads, width in sizes]
    start, parts = torch.tensor([0, padding]), []
    with torch.no_grad():
        rows = [ids[:1], ids[1:, padding:]]
        wanted = [original(input_ids=row, use_cache=False)[0] for row in rows]
        for begin, end in ((0, cut), (cut, count)):
            inputs = dict(zip(names, cache), position=torch.tensor(begin), start=start)
            step = module.forward(input_ids=ids[:, begin:end], **inputs)
            cache = [step[f"{name}_next"] for name in names]
            parts.append(step["logits"])
    logits = torch.cat(parts, 1)
    got = [logits[:1], logits[1:, padding:]]
    compare(module, got, wanted)


def compare(module: torch.nn.Module, got: Any, wanted: Any) -> None:
    """ModelError where logits of steps are others than those of all tokens at once."""
    import torch

    error = max((a - b).abs().max().item() for a, b in zip(got, wanted))
    scale = max(b.abs().max().item() for b in wanted)
    limit = 1e-3 if module.dtype in (torch.float32, torch.float64) else 5e-2
    if not error <= limit * scale:
        raise ModelError(
            f"{type(module).__name__} gives other logits with a cache than without, by "
            f"{error:.2g} of {scale:.2g}: its positions or its mask do not come from "
            "position_ids and the cache, so that a step cannot be exported"
        )


def _example(module: torch.nn.Module, shapes: Any, length: int) -> Step:
    """The call to export, with what is open in it."""
    import torch

    dtype = module.dtype
    layers = len(shapes)
    inputs: dict[str, Any] = {"input_ids": torch.zeros(BATCH, TOKENS).long()}
    axes: fx_call.Axes = {"input_ids": {0: "batch", 1: "tokens"}}
    for k, field in enumerate(FIELDS):
        for name, shape in zip(cache_names(field, layers), shapes):
            heads, width = shape[k]
            inputs[name] = torch.zeros(BATCH, heads, LENGTH, width, dtype=dtype)
            axes[name] = {0: "batch", 2: "length"}
    inputs["position"] = torch.tensor(2)
    inputs["start"] = torch.tensor([0, 1])
    axes["start"] = {0: "batch"}
    return Step(fx_call.bind(module, (), inputs), axes, length, layers)
