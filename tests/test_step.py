"""--cache: decoders of other exporters that take a past and give a present become the
step with a cache of a fixed length that the bridge makes; what does not is refused.
"""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import decoding
import oxide_xla
import past_models

pytestmark = pytest.mark.torch
CACHE = "past_key_values.*=present.*:512"
EXPORTERS = {"script": False, "dynamo": True}


@functools.cache
def exported(name, exporter, masked=True, placed=True, attention="sdpa"):
    """The module, and the decoder with a past as ONNX."""
    module = decoding.build(name)
    model = past_models.export(
        module,
        dynamo=EXPORTERS[exporter],
        masked=masked,
        placed=placed,
        attention=attention,
    )
    return decoding.build(name), model


@functools.cache
def compiled(name, exporter, layers="functions", **how):
    model = exported(name, exporter, **how)[1]
    return oxide_xla.compile(model, cache=CACHE, layers=layers, name=name)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_tokens_are_those_of_generate(name, exporter):
    """64 steps in a while_loop with a donated cache, the second row padded in front."""
    module = exported(name, exporter)[0]
    wanted = decoding.expected(module, decoding.PROMPTS, decoding.START)
    assert len(np.unique(wanted)) > 8, "the model says the same all the time"
    model = compiled(name, exporter)
    tokens = decoding.decode(model, decoding.PROMPTS, decoding.START)
    np.testing.assert_array_equal(tokens, wanted)
    alone = decoding.decode(model, decoding.PROMPTS[:1], decoding.START[:1])
    np.testing.assert_array_equal(alone, wanted[:1])


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_prefill_in_parts_gives_what_recomputation_gives(name, exporter):
    module, model = exported(name, exporter)[0], compiled(name, exporter)
    ids = np.random.default_rng(0).integers(1, 99, (3, 12)).astype(np.int32)
    with torch.no_grad():
        wanted = module(torch.tensor(ids).long(), use_cache=False).logits.numpy()
    for split in ([12], [5, 4, 3], [1, 10, 1]):
        cache, at, parts = model.init_cache(3, 16), 0, []
        # What an earlier use has left behind the last token is not seen.
        cache = {field: [x + 3 for x in arrays] for field, arrays in cache.items()}
        for count in split:
            new = jnp.asarray(ids[:, at : at + count])
            logits, cache = model.forward(model.params, new, cache, at)
            parts.append(logits)
            at += count
        got = np.concatenate(parts, axis=1)
        atol = 2e-5 * np.abs(wanted).max()
        np.testing.assert_allclose(got, wanted, rtol=0, atol=atol)
