"""Steps with a cache, compared with all positions at once, before a decoder is ported.

A module without weights cannot be compared. So one of the same class is made with
random ones: the same where that is small, else with the first layers, one of each kind,
and with fewer words.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from oxide_xla._errors import OxideError

SMALL = 2**28  # parameters that are no burden: 1 GiB in float32
WORDS = 1024
LAYERS = 2


def check_steps(module: torch.nn.Module, length: int) -> None:
    """OxideError where steps with a cache would give other logits than none."""
    from oxide_xla.bridge import fx_cross, fx_errors

    try:
        with fx_cross.step(with_weights(module), length):
            pass
    except fx_errors.BridgeError as error:
        raise OxideError(f"error: {type(module).__name__}: {error}") from error


def with_weights(module: torch.nn.Module) -> torch.nn.Module:
    """A module of this class that has weights, random ones."""
    count = sum(x.numel() for x in module.parameters())
    kind: Any = type(module)
    config: Any = copy.deepcopy(module.config)
    if count > SMALL:
        shorten(config)
    try:
        made: torch.nn.Module = kind._from_config(config, dtype=torch.float32)
    except Exception as error:  # noqa: BLE001 - what a class raises for its configuration
        raise OxideError(
            f"error: {kind.__name__} cannot be made with fewer layers to compare its "
            f"steps with a cache: {error}"
        ) from error
    return made.eval()


def shorten(config: Any) -> None:
    """Few layers, one of each kind, and few words."""
    kinds = list(getattr(config, "layer_types", None) or [])
    layers = max([LAYERS, *(kinds.index(kind) + 1 for kind in set(kinds))])
    if kinds:
        config.layer_types = kinds[:layers]
    config.num_hidden_layers = min(layers, config.num_hidden_layers)
    config.vocab_size = min(WORDS, config.vocab_size)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        token = getattr(config, name, None)
        if isinstance(token, list) or (token or 0) >= config.vocab_size:
            setattr(config, name, None)
