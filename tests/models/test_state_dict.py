"""Checkpoints of PyTorch: a plain state_dict loads into a compiled module, whatever the
exporter did to names and layouts, and `save_params` writes one that PyTorch loads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models import compare, exports, pillars
from models.architectures import all_architectures

ENTRIES = all_architectures()
LOADABLE = ["mlp", "mlp_mixer", "bert", "vit", "transformer", "llama"]
FOLDED = [("cnn", "dynamo"), ("cnn", "torchscript"), ("lstm_seq2seq", "dynamo")]

each_exporter = pytest.mark.parametrize("exporter", exports.EXPORTERS)


def compiled(entry, exporter, folder):
    """The generated module, with its weights beside it."""
    return compare.compile_to(folder, entry, exports.exported(entry, exporter).path)


def error(entry, generated, params, module):
    """The error of the generated module with these parameters."""
    inputs = entry.make_inputs()
    expected = compare.eager(module, inputs)
    names = compare.input_names(exports.exported(entry, "bridge").path)
    return compare.worst_error(generated, params, names, inputs, expected)


@pytest.mark.parametrize("name", LOADABLE)
@each_exporter
def test_a_plain_state_dict_loads(name, exporter, tmp_path):
    entry = ENTRIES[name]
    generated, module = compiled(entry, exporter, tmp_path), compare.trained(entry)
    compare.save_plain(module, tmp_path / "trained.safetensors")
    params = generated.load_params(tmp_path / "trained.safetensors")
    assert error(entry, generated, params, module) < compare.LIMIT


@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        *((name, "bridge") for name in ("bert", "gpt2", "mamba")),
        *(("llama", exporter) for exporter in exports.EXPORTERS),
    ],
)
def test_what_save_pretrained_writes_loads(name, exporter, tmp_path):
    """transformers writes one name of a tied pair; the other one may be there, too."""
    entry = ENTRIES[name]
    generated, module = compiled(entry, exporter, tmp_path), compare.trained(entry)
    module.save_pretrained(tmp_path / "checkpoint")
    params = generated.load_params(tmp_path / "checkpoint" / "model.safetensors")
    assert error(entry, generated, params, module) < compare.LIMIT
    if exporter == "bridge":
        saved = load_file(tmp_path / "checkpoint" / "model.safetensors")
        known = generated.load_params()
        assert known.keys() == saved.keys() | set(getattr(generated, "BUFFERS", ()))
        trained = {k for k, _ in module.named_parameters()}
        assert generated.trainable(known).keys() == trained


@pytest.mark.parametrize("name", LOADABLE)
@each_exporter
def test_saved_parameters_load_in_pytorch(name, exporter, tmp_path):
    entry = ENTRIES[name]
    generated, module = compiled(entry, exporter, tmp_path), compare.trained(entry)
    generated.save_params(generated.load_params(), tmp_path / "out.safetensors")
    saved = load_file(tmp_path / "out.safetensors")
    assert not module.load_state_dict(saved, strict=False).unexpected_keys
    params = generated.load_params(tmp_path / "out.safetensors")
    assert error(entry, generated, params, module) < compare.LIMIT
    original = compare.eager(entry.build(), entry.make_inputs())
    now = compare.eager(module, entry.make_inputs())
    assert all(torch.allclose(a, b) for a, b in zip(original, now))


@pytest.mark.parametrize(("name", "exporter"), FOLDED)
def test_computed_parameters_refuse_a_state_dict(name, exporter, tmp_path):
    entry = ENTRIES[name]
    generated = compiled(entry, exporter, tmp_path)
    compare.save_plain(compare.trained(entry), tmp_path / "trained.safetensors")
    with pytest.raises(ValueError, match="folded|computed|packed"):
        generated.load_params(tmp_path / "trained.safetensors")
    with pytest.raises(ValueError, match="folded|computed|packed"):
        generated.save_params(generated.load_params(), tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_tied_parameters_refuse_values_that_differ(tmp_path):
    entry = ENTRIES["bert"]
    generated, module = compiled(entry, "dynamo", tmp_path), entry.build()
    tied = list(generated.TIED)
    state = {k: v.clone().contiguous() for k, v in module.state_dict().items()}
    state[tied[0]] += 1
    save_file(state, tmp_path / "trained.safetensors")
    with pytest.raises(ValueError, match="one parameter here"):
        generated.load_params(tmp_path / "trained.safetensors")


@each_exporter
def test_parameters_in_bfloat16(exporter, tmp_path):
    entry = ENTRIES["mlp_mixer"]
    generated = compiled(entry, exporter, tmp_path)
    params = generated.load_params(dtype=jnp.bfloat16)
    assert {x.dtype for x in params.values()} == {jnp.dtype(jnp.bfloat16)}
    inputs = [x.numpy().astype(jnp.bfloat16) for x in entry.make_inputs().values()]
    result = generated.forward(params, *inputs)
    assert result.dtype == jnp.bfloat16
    expected = compare.eager(entry.build(), entry.make_inputs())[0].numpy()
    error = np.mean((np.asarray(result, np.float64) - expected) ** 2)
    assert error < 1e-2 * np.var(expected)


def test_own_weights_may_be_given_by_path(tmp_path):
    entry = ENTRIES["bert"]
    generated = compiled(entry, "dynamo", tmp_path)
    (tmp_path / "bert_jax.safetensors").rename(tmp_path / "moved.safetensors")
    params = generated.load_params(tmp_path / "moved.safetensors")
    assert error(entry, generated, params, entry.build()) < compare.LIMIT


@pytest.mark.parametrize("params", ["flat", "nested"])
def test_buffers_stay_beside_the_module(params, tmp_path):
    """Checkpoints lack what a module computes for itself; its own file does not."""
    path = exports.exported(ENTRIES["llama"], "bridge").path
    generated = pillars.compile_file(
        path, tmp_path / "llama_jax.py", "--params", params
    )
    assert generated.BUFFERS == ("model.rotary_emb.inv_freq",)
    before = jax.tree.leaves(generated.load_params())
    generated.save_params(generated.load_params(), tmp_path / "other.safetensors")
    known = set(ENTRIES["llama"].build().state_dict())
    assert known >= set(load_file(tmp_path / "other.safetensors"))
    own = generated.__file__.removesuffix(".py") + ".safetensors"
    for saved in ("other.safetensors", own):
        generated.save_params(generated.load_params(), tmp_path / saved)
        after = jax.tree.leaves(generated.load_params(tmp_path / saved))
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_saving_over_the_file_that_is_mapped(tmp_path):
    entry = ENTRIES["mlp"]
    generated = compiled(entry, "bridge", tmp_path)
    params = generated.load_params()
    generated.save_params(params, tmp_path / "mlp_jax.safetensors")
    again = generated.load_params()
    jax.tree.map(np.testing.assert_array_equal, params, again)
