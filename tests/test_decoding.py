"""Decoders with a static cache: the tokens of transformers' generate, one file for
prefill and single steps, and what is refused.

One export of each family serves all its tests.
"""

import functools
import importlib
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import decoding
import fx_errors
import fx_export
import oxide_xla
from models import pillars

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[1]
TINY = ["gpt2", "llama"]
OTHERS = [name for name in decoding.FAMILIES if name not in TINY]
FAMILIES = [*TINY, *(pytest.param(n, marks=pytest.mark.models) for n in OTHERS)]
# Those whose layers are not all alike: no scan goes over them.
MIXED = {"gemma2", "gemma3"}


@functools.cache
def exported(name):
    """The module, its step as ONNX, and the tokens that generate appends."""
    module = decoding.build(name)
    data = fx_export.export(module, cache=512)
    return module, data, decoding.expected(module, decoding.PROMPTS, decoding.START)


@functools.cache
def compiled(name, layers="functions"):
    return oxide_xla.compile(exported(name)[1], layers=layers, name=name)


@pytest.mark.parametrize(
    "layers", ["functions", pytest.param("scan", marks=pytest.mark.models)]
)
@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_are_those_of_generate(name, layers):
    """64 steps in a while_loop with a donated cache, the second row padded in front."""
    wanted = exported(name)[2]
    assert len(np.unique(wanted)) > 8, "the model says the same all the time"
    tokens = decoding.decode(compiled(name, layers), decoding.PROMPTS, decoding.START)
    np.testing.assert_array_equal(tokens, wanted)


@pytest.mark.parametrize("name", FAMILIES)
def test_prefill_in_parts_gives_what_recomputation_gives(name):
    """Logits of any split of the tokens are those of the module without a cache."""
    module, model = exported(name)[0], compiled(name)
    ids = np.random.default_rng(0).integers(1, 99, (3, 12)).astype(np.int32)
    with torch.no_grad():
        wanted = module(torch.tensor(ids).long(), use_cache=False).logits.numpy()
    for split in ([12], [5, 4, 3], [1, 10, 1]):
        cache, at, parts = model.init_cache(3, 16), 0, []
        for count in split:
            new = jnp.asarray(ids[:, at : at + count])
            logits, cache = model.forward(model.params, new, cache, at)
            parts.append(logits)
            at += count
        scale = np.abs(wanted).max()
        got = np.concatenate(parts, axis=1)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("name", TINY)
def test_names_are_those_of_the_state_dict(name):
    module, model = exported(name)[0], compiled(name)
    buffers = {name for name, _ in module.named_buffers()}
    assert set(model.params) <= set(module.state_dict()) | buffers


@pytest.mark.parametrize("name", TINY)
def test_layers_are_one_function_that_is_called_in_a_loop(name):
    source = compiled(name).source
    forward = source[source.index("\ndef forward(") :]
    assert "key_cache[i], value_cache[i] = " in forward
    assert "key_cache = jax.lax.dynamic_update_slice_in_dim(" in source
    assert "scatter" not in source
    assert not re.search(r"concatenate\(\[[^\]]*cache", source)


def test_attention_gives_the_cache_back_under_its_name():
    source = compiled("gpt2").source
    assert "    attended, key_cache, value_cache = gpt2_attention(\n" in source
    assert "    return x, key_cache, value_cache\n" in source


@pytest.mark.parametrize("name", TINY)
def test_scan_stacks_the_cache(name):
    model = compiled(name, "scan")
    assert re.search(r"jax\.lax\.scan\(\s*step, ", model.source)
    cache = model.init_cache(2, 16)
    assert cache["key"].shape[:2] == (2, 2)
    assert cache["key"].shape[3] == 16


@pytest.mark.parametrize("layers", ["functions", "scan"])
def test_cache_is_a_carry_of_scan(layers):
    """The tree, its shapes and its types stay what they are."""
    model = compiled("llama", layers)

    def step(carry, token):
        cache, position = carry
        logits, cache = model.forward(model.params, token[:, None], cache, position)
        return (cache, position + 1), logits[:, -1]

    tokens = jnp.asarray(decoding.PROMPTS.T)
    cache = model.init_cache(2, 16)
    _, logits = jax.lax.scan(step, (cache, jnp.int32(0)), tokens)
    whole, _ = model.forward(model.params, tokens.T, model.init_cache(2, 16), 0)
    np.testing.assert_allclose(logits.swapaxes(0, 1), whole, rtol=0, atol=1e-3)


def test_cache_takes_the_type_of_the_weights():
    model = compiled("llama")
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), model.params)
    cache = model.init_cache(2, 16, jnp.bfloat16)
    ids = jnp.asarray(decoding.PROMPTS)
    logits, after = model.forward(params, ids, cache, 0)
    assert logits.dtype == jnp.bfloat16
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, cache)
    assert {x.dtype for x in jax.tree.leaves(after)} == {jnp.dtype(jnp.bfloat16)}


def test_init_cache_has_the_length_of_the_export():
    cache = compiled("llama").init_cache(3)
    assert {x.shape for x in jax.tree.leaves(cache)} == {(3, 2, 512, 8)}
    assert len(cache["key"]) == len(cache["value"]) == 2


def test_module_is_left_as_it_was():
    module = exported("llama")[0]
    assert "forward" not in vars(module)
    assert module.config.use_cache


# ---- encoder-decoders ---------------------------------------------------------------


@functools.cache
def pair(name):
    """The module, what it encodes once, and its step."""
    module = decoding.build_cross(name)
    parts = [
        oxide_xla.from_torch(module, cache=512, part=part, name=name)
        for part in ("encoder", "decoder")
    ]
    return module, *parts


CROSS = [
    "t5",
    *(pytest.param(n, marks=pytest.mark.models) for n in ("bart", "whisper")),
]


@pytest.mark.parametrize("name", CROSS)
def test_an_encoder_decoder_gives_the_tokens_of_generate(name):
    """64 steps; what is encoded is padded in front of one row, behind another."""
    module, encoder, decoder = pair(name)
    inputs = decoding.source(name)
    wanted = decoding.expected_cross(module, inputs)
    assert len(np.unique(wanted)) > 8, "the model says the same all the time"
    tokens = decoding.decode_cross(encoder, decoder, inputs)
    np.testing.assert_array_equal(tokens, wanted)


@pytest.mark.parametrize("name", CROSS)
def test_steps_project_nothing_of_the_encoder(name, tmp_path):
    """Nor does the encoder have a head; both read one checkpoint."""
    module, encoder, decoder = pair(name)
    shared = encoder.params.keys() & decoder.params.keys()
    assert all("shared" in key or "embed" in key for key in shared)
    assert not any(".encoder." in f".{key}" for key in decoder.params)
    assert not any(".fc" in key for key in encoder.params if ".decoder." in f".{key}")
    module.save_pretrained(tmp_path)
    for part in (encoder, decoder):
        part.save(tmp_path / f"{name}_part.py")
        read = pillars.import_file(tmp_path / f"{name}_part.py").load_params(tmp_path)
        assert all(np.array_equal(x, part.params[key]) for key, x in read.items())


def test_layers_of_a_step_are_one_function_that_is_called_in_a_loop():
    """Also where the first makes a bias for all of them."""
    source = pair("t5")[2].source
    calls = (
        "    for i in range(2):\n        x, key_cache[i], value_cache[i] = t5_block("
    )
    assert source.count("def t5_block(") == 1 and calls in source
    assert "cross_key_cache[i]" in source and "cross_key_cache[0]" not in source


def test_cross_attention_is_read_and_handed_on():
    source = pair("t5")[2].source
    assert 'cross_key_cache = cache["cross_key"]' in source
    assert '"cross_key": cross_key_cache' in source
    made = pair("t5")[1].source
    assert ") -> dict[str, list[jax.Array]]:" in made and "class Outputs" not in made


def refused(module, **options):
    with pytest.raises(fx_errors.BridgeError) as caught:
        fx_export.export_model(module, **{"cache": 16, **options})
    return str(caught.value)


def test_what_is_no_decoder_is_refused():
    assert "Linear is none" in refused(torch.nn.Linear(2, 2))


def test_parts_are_those_of_encoder_decoders():
    llama = exported("llama")[0]
    assert "has one part" in refused(llama, part="encoder")
    assert "parts are those" in refused(llama, part="encoder", cache=None)
    assert "no part 'head'" in refused(decoding.build_cross("t5"), part="head")


def test_inputs_with_a_cache_are_refused():
    module = exported("llama")[0]
    assert "are given" in refused(module, args=(torch.zeros(1, 2).long(),))
    assert "positive" in refused(module, cache=0)


def test_outputs_that_take_the_cache_apart_are_refused():
    with pytest.raises(oxide_xla.OxideError, match="part of the cache"):
        oxide_xla.compile(exported("llama")[1], outputs=["logits"])


# ---- the example and the guide ------------------------------------------------------


@pytest.fixture(scope="module")
def example():
    return importlib.import_module("examples.generate")


def test_example_is_greedy_by_default(example):
    model = compiled("llama")
    prompts, start = jnp.asarray(decoding.PROMPTS), jnp.asarray(decoding.START)
    tokens = example.generate(model, model.params, prompts, decoding.STEPS, start)
    np.testing.assert_array_equal(tokens, exported("llama")[2])


def test_example_draws_from_the_likeliest(example):
    logits = jnp.log(jnp.array([[0.5, 0.3, 0.15, 0.05]]))
    keys = jax.random.split(jax.random.key(0), 200)

    def drawn(temperature=1.0, top_k=0, top_p=1.0):
        draw = functools.partial(
            example.sample, temperature=temperature, top_k=top_k, top_p=top_p
        )
        return set(np.ravel(jax.vmap(draw, (None, 0))(logits, keys)).tolist())

    assert drawn() == {0, 1, 2, 3}
    assert drawn(top_k=2) == {0, 1}
    assert drawn(top_p=0.6) == {0, 1}
    assert drawn(top_p=0.4) == {0}
    assert drawn(temperature=0.0) == {0}
