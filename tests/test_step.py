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
TINY = ["gpt2", "llama"]
OTHERS = ["mistral", "qwen3", "phi3", "opt"]
FAMILIES = [*TINY, *(pytest.param(n, marks=pytest.mark.models) for n in OTHERS)]


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
@pytest.mark.parametrize("name", FAMILIES)
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
@pytest.mark.parametrize("name", TINY)
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


@pytest.mark.models
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", TINY)
def test_masks_that_the_model_makes_of_sizes(name, exporter):
    """Without attention_mask and position_ids both follow from the past's length."""
    how = {"masked": False, "placed": False}
    module, model = exported(name, exporter, **how)[0], compiled(name, exporter, **how)
    assert "start" not in model.source.split("def forward(")[1].split(") ->")[0]
    prompts = decoding.PROMPTS[:1]
    wanted = decoding.expected(module, prompts, np.zeros(1, int))
    forward = model.forward
    cache = model.init_cache(1, decoding.LENGTH)
    tokens, at, new = [], 0, jnp.asarray(prompts)
    for _ in range(decoding.STEPS):
        logits, cache = forward(model.params, new, cache, at)
        at += new.shape[1]
        new = logits[:, -1:].argmax(-1)
        tokens.append(int(new[0, 0]))
    assert tokens == wanted[0].tolist()


@pytest.mark.models
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_eager_attention(exporter):
    module = exported("llama", exporter, attention="eager")[0]
    wanted = decoding.expected(module, decoding.PROMPTS, decoding.START)
    model = compiled("llama", exporter, attention="eager")
    tokens = decoding.decode(model, decoding.PROMPTS, decoding.START)
    np.testing.assert_array_equal(tokens, wanted)


def test_layers_can_be_a_scan():
    model = compiled("llama", "dynamo", "scan")
    module = exported("llama", "dynamo")[0]
    assert model.init_cache(2, 16)["key"].shape == (2, 2, 2, 16, 8)
    wanted = decoding.expected(module, decoding.PROMPTS, decoding.START)
    tokens = decoding.decode(model, decoding.PROMPTS, decoding.START)
    np.testing.assert_array_equal(tokens, wanted)


def test_the_code_is_that_of_the_bridge():
    """Arrays are written in place, masks filled once, and layers are one function."""
    source = compiled("llama", "dynamo").source
    assert "x, key_cache[i], value_cache[i] = " in source
    assert "key_cache = jax.lax.dynamic_update_slice_in_dim(" in source
    assert source.count("keep_first(") == 2
    assert "    position: jax.Array,\n    start: jax.Array | None = None,\n" in source
