"""`oxide_xla port`: config.json to a JAX module, whose load_params reads the folder."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from oxide_xla.bridge import fx_errors
from safetensors.torch import load_file, save_file

import check_params
import fx_fake
import torchvision_cpu
from models.zoo_text import DECODER, SMALL, VOCABULARY
from oxide_xla import OxideError, checkpoint, compile
from oxide_xla.port import Options, cli, converting, names, port, trial, unfit
from oxide_xla.port.inputs import parse

torchvision_cpu.repair()

from transformers import Gemma2Config  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]

IDS = np.random.default_rng(0).integers(1, VOCABULARY, (3, 9))
MASK = np.ones((3, 9), np.int64)
TINY = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", DECODER),
    "bert": ("BertForMaskedLM", "BertConfig", SMALL),
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4},
    ),
}


def load_module(path: Path):
    """The generated file, imported."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each architecture once: its folder, PyTorch's logits, the module's path."""
    import transformers

    done = {}

    def make(name):
        if name not in done:
            kind, config, settings = TINY[name]
            torch.manual_seed(0)
            config = getattr(transformers, config)(**settings)
            module = getattr(transformers, kind)(config).eval()
            folder = tmp_path_factory.mktemp(name) / name
            module.save_pretrained(folder, max_shard_size="20KB")
            path = folder.parent / f"{name}_jax.py"
            assert cli.main([str(folder), "-o", str(path)]) == 0
            ids, mask = torch.tensor(IDS), torch.tensor(MASK)
            with torch.no_grad():
                wanted = module(ids, attention_mask=mask).logits.numpy()
            done[name] = folder, path, wanted
        return done[name]

    return make


@pytest.mark.parametrize("name", TINY)
def test_logits_are_those_of_torch(made, name):
    folder, path, wanted = made(name)
    module = load_module(path)
    assert len([*folder.glob("*.safetensors")]) > 1  # shards and an index
    logits = module.forward(module.load_params(folder), IDS, MASK)
    assert np.mean((np.asarray(logits) - wanted) ** 2) < 1e-10
    assert np.mean(wanted**2) > 1e-4


def test_weights_are_not_copied(made):
    """Beside the module lies what no checkpoint has, if there is such a thing."""
    _, path, _ = made("llama")
    beside = load_file(path.with_suffix(".safetensors"))
    assert [*beside] == ["model.rotary_emb.inv_freq"]
    _, path, _ = made("gpt2")
    assert not path.with_suffix(".safetensors").exists()


def test_the_next_step_is_said_only_where_the_checkpoint_fits(made, tmp_path, capsys):
    folder, _, _ = made("gpt2")
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(index.read_text().replace('"transformer.ln_f.bias"', '"odd"'))
    shards = json.loads(index.read_text())["weight_map"]
    shard = tmp_path / shards["odd"]
    tensors = load_file(shard)
    tensors["odd"] = tensors.pop("transformer.ln_f.bias")
    save_file(tensors, shard)
    assert unfit(port(folder), folder) == ""
    assert cli.main([str(tmp_path), "-o", str(tmp_path / "out.py")]) == 0
    said = capsys.readouterr().err
    assert "transformer.ln_f.bias is missing" in said and "odd is unexpected" in said


def test_load_params_takes_a_file_an_index_and_names(made, tmp_path):
    folder, path, _ = made("gpt2")
    module = load_module(path)
    params = module.load_params(folder)
    again = module.load_params(folder / "model.safetensors.index.json")
    assert all(np.array_equal(params[k], again[k]) for k in params)
    wrapped = {f"_orig_mod.{k}": torch.tensor(np.asarray(x)) for k, x in params.items()}
    save_file(wrapped, tmp_path / "wrapped.safetensors")
    read = module.load_params(
        tmp_path / "wrapped.safetensors",
        rename=lambda name: name.removeprefix("_orig_mod."),
    )
    assert all(np.array_equal(params[k], read[k]) for k in params)


def test_load_params_casts_and_places(made):
    folder, path, _ = made("llama")
    module = load_module(path)
    seen = {}
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])

    def place(name, shape):
        seen[name] = shape
        return here

    params = module.load_params(folder, "bfloat16", place)
    assert {k: x.shape for k, x in params.items()} == seen
    assert all(x.sharding == here for x in params.values())
    kinds = {k: str(x.dtype) for k, x in params.items()}
    assert kinds.pop("model.rotary_emb.inv_freq") == "float32"
    assert {*kinds.values()} == {"bfloat16"}
    same = module.load_params(folder, sharding=dict.fromkeys(params, here))
    assert same.keys() == params.keys()
    with pytest.raises(KeyError):
        module.load_params(folder, sharding={})


def test_a_pickled_checkpoint_says_what_to_run(made, tmp_path):
    folder, path, wanted = made("bert")
    module = load_module(path)
    state = {}
    for file in sorted(folder.glob("*.safetensors")):
        state |= load_file(file)
    state["cls.predictions.decoder.weight"] = state[
        "bert.embeddings.word_embeddings.weight"
    ]
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="oxide_xla checkpoint") as error:
        module.load_params(tmp_path)
    command = re.search(r"`oxide_xla checkpoint (.*)`", str(error.value)).group(1)
    assert checkpoint.main(command.split()[:2] + [str(tmp_path / "m.safetensors")]) == 0
    assert len(load_file(tmp_path / "m.safetensors")) == len(state) - 1
    params = module.load_params(tmp_path / "m.safetensors")
    logits = module.forward(params, IDS, MASK)
    assert np.mean((np.asarray(logits) - wanted) ** 2) < 1e-10


def test_checkpoint_takes_shards_and_refuses_what_is_no_tensor(tmp_path, capsys):
    a, b = torch.randn(3, 2), torch.randn(4)
    torch.save({"a": a, "a.t": a.T}, tmp_path / "1.bin")
    torch.save({"b": b}, tmp_path / "2.bin", _use_new_zipfile_serialization=False)
    index = tmp_path / "pytorch_model.bin.index.json"
    names = {"a": "1.bin", "a.t": "1.bin", "b": "2.bin"}
    index.write_text(json.dumps({"weight_map": names}))
    out = tmp_path / "out.safetensors"
    assert checkpoint.main([str(index), "-o", str(out)]) == 0
    read = load_file(out)
    assert torch.equal(read["a.t"], a.T) and torch.equal(read["b"], b)
    torch.save({"a": a, "step": 3}, tmp_path / "bad.bin")
    assert checkpoint.main([str(tmp_path / "bad.bin"), "-o", str(out)]) == 1
    assert "holds a int under 'step', not a tensor" in capsys.readouterr().err
    torch.save({"f": test_weights_are_not_copied}, tmp_path / "code.bin")
    assert checkpoint.main([str(tmp_path / "code.bin"), "-o", str(out)]) == 1
    assert checkpoint.main([str(tmp_path / "none.bin"), "-o", str(out)]) == 3
    assert torch.equal(load_file(out)["b"], b)  # what was there stays


def test_wrong_use_is_said(tmp_path, capsys):
    config = tmp_path / "config.json"
    assert cli.main([str(tmp_path), "-o", "x.py"]) == 2
    assert "has no config.json" in capsys.readouterr().err
    config.write_text('{"model_type": "llama"}')
    assert cli.main([str(tmp_path), "-o", "x.py"]) == 2
    assert "names no architecture" in capsys.readouterr().err
    config.write_text('{"model_type": "llama", "architectures": ["Odd"]}')
    assert cli.main([str(tmp_path), "-o", "x.py"]) == 2
    assert "transformers has no Odd" in capsys.readouterr().err
    quantized = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "quantization_config": {"quant_method": "gptq", "bits": 4},
    }
    config.write_text(json.dumps(quantized))
    assert cli.main([str(tmp_path), "-o", "x.py"]) == 1
    assert "is quantized (gptq)" in capsys.readouterr().err
    with pytest.raises(OxideError, match="is not NAME="):
        parse("input_ids")


def test_code_of_the_folder_does_not_run_unasked(tmp_path):
    """Nothing of a folder is run by default, whatever config.json says."""
    (tmp_path / "model.py").write_text("raise SystemExit('it ran')\n")
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "model_type": "odd",
                "architectures": ["Odd"],
                "auto_map": {"AutoConfig": "model.C", "AutoModel": "model.Odd"},
            }
        )
    )
    with pytest.raises(OxideError):
        port(tmp_path)


def test_fake_parameters_stay_tied_and_buffers_real():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(5, 4)
            self.head = torch.nn.Linear(4, 5, bias=False)
            self.head.weight = self.table.weight
            self.norm = torch.nn.BatchNorm1d(4)

    with fx_fake.parameters_on_meta():
        module = Tied()
    assert all(p.is_meta for p in module.parameters())
    assert not torch.nn.Linear(2, 2).weight.is_meta
    fx_fake.fake_parameters(module)
    assert module.head.weight is module.table.weight
    assert fx_fake.is_fake(module.head.weight)
    assert torch.equal(module.norm.running_var, torch.ones(4))


def test_options_reach_the_module(made):
    folder, _, _ = made("llama")
    fixed = port(folder, Options(dynamic=["batch"], layers="scan"))
    assert fixed.input_types[0]["shape"] == ["batch", 7]
    assert "jax.lax.scan" in fixed.source
    with pytest.raises(OxideError, match="no input has a dimension 'length'"):
        port(folder, Options(dynamic=["length"]))
    with pytest.raises(OxideError, match="the model has no weights"):
        _ = fixed.params


def without_weights(kind: int, shape: tuple[int, ...]) -> bytes:
    """x @ (a @ b), where a checkpoint has a and b, matrices of this type."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "a"], ["h"]),
            helper.make_node("MatMul", ["h", "b"], ["y"]),
        ],
        "two",
        [helper.make_tensor_value_info("x", kind, ["n", shape[0]])],
        [helper.make_tensor_value_info("y", kind, ["n", shape[1]])],
    )
    for name in "ab":
        tensor = graph.initializer.add(name=name, dims=shape, data_type=kind)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=fx_fake.CHECKPOINT)
    opset = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    return model.SerializeToString()


def test_only_floats_are_left_to_a_checkpoint():
    """Others may be shapes; nothing is known of the values of floats."""
    model = compile(without_weights(TensorProto.FLOAT, (3, 3)))
    assert model.module.PARAMS == {"a": "float32[3,3]", "b": "float32[3,3]"}
    assert model.arrays == {}
    assert repr(model).endswith("2 parameters, 18 values, 72 bytes; open: n>")
    one = compile(without_weights(TensorProto.FLOAT, (1, 1)))
    assert one.module.PARAMS == {"a": "float32[1,1]", "b": "float32[1,1]"}
    with pytest.raises(OxideError, match="OX0005.*only parameters can be"):
        compile(without_weights(TensorProto.INT64, (3, 3)))


# ---- names of checkpoints ------------------------------------------------------------


def test_names_of_checkpoints_are_a_short_table():
    """Every name goes to its own; what no rule fits is there as a whole."""
    renamed = {
        f"vit.encoder.layer.{i}.{old}": f"vit.layers.{i}.{new}"
        for i in (0, 1, 11)
        for old, new in (
            ("attention.attention.query.weight", "attention.q_proj.weight"),
            ("attention.attention.query.bias", "attention.q_proj.bias"),
            ("norm.weight", "norm.weight"),
        )
    }
    renamed |= {"odd.0.weight": "even.weight", "head.weight": "head.weight"}
    table = names.table(renamed)
    assert table == {
        "vit.encoder.layer.#.attention.attention.query": (
            "vit.layers.#.attention.q_proj"
        ),
        "vit.encoder.layer": "vit.layers",
        "odd.0.weight": "even.weight",
    }
    for read in (names.name_here, check_params.name_here):
        assert {k: read(k, table) for k in renamed} == renamed
        assert all(read(v, table) == v for v in renamed.values())
    prefixed = names.table({"model.a": "a", "model.b.0": "b.0"})
    assert prefixed == {"model": ""}
    assert check_params.name_here("model.b.0", prefixed) == "b.0"


def test_the_module_reads_names_that_its_model_lists(tmp_path):
    """In the file itself, and through safetensors_io."""
    data = onnx.load_from_string(without_weights(TensorProto.FLOAT, (3, 3)))
    data.metadata_props.add(key="oxide_xla.checkpoint", value="old.a\ta\nold.b\tb")
    file = tmp_path / "model.safetensors"
    tensors = {"old.a": torch.eye(3), "b": 2 * torch.eye(3)}
    save_file(tensors, file)
    for loader in ("inline", "module"):
        model = compile(data, loader=loader, name="two")
        assert unfit(model, tmp_path) == ""
        params = model.module.load_params(file)
        assert {k: x[0, 0] for k, x in params.items()} == {"a": 1, "b": 2}


def test_loading_into_shards_needs_no_memory_for_a_second_copy():
    """Host memory beside the result stays below one tensor, cast as well.

    Without shards JAX copies in the background, and how much waits there depends on
    what else runs.
    """
    command = [sys.executable, ROOT / "bench" / "loading.py"]
    command += ["--tensors", "8", "--side", "3584"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = done.stdout.splitlines()[2:]
    assert len(rows) == 4
    split = [float(row.split("|")[4]) for row in rows if "split" in row]
    assert len(split) == 2 and max(split) < 1.5, rows


def test_a_merged_file_has_what_its_header_says(tmp_path):
    """A tensor that comes out otherwise, or twice, leaves no file."""
    path = tmp_path / "merged.safetensors"
    a, b = torch.arange(6.0).reshape(2, 3), torch.tensor([True, False])
    kinds = {"a": a.to("meta"), "b": b.to("meta")}
    converting.write(path, kinds, iter([{"a": a}, {"b": b}]))
    read = load_file(path)
    assert read.keys() == kinds.keys()
    assert torch.equal(read["a"], a) and torch.equal(read["b"], b)
    path.unlink()
    for other in (a.T, a.half(), {"a": a}):
        made = [other if isinstance(other, dict) else {"a": other}, {"a": a}, {"b": b}]
        with pytest.raises(ValueError, match="a is made twice, or not as was said"):
            converting.write(path, kinds, iter(made))
        assert not [*tmp_path.iterdir()]


# ---- steps with a cache --------------------------------------------------------------


def test_a_step_with_a_cache_gives_the_same_logits(made, tmp_path):
    folder, path, wanted = made("llama")
    out = tmp_path / "step.py"
    assert cli.main([str(folder), "-o", str(out), "--cache", "32"]) == 0
    step = load_module(out)
    params, cache, parts = step.load_params(folder), step.init_cache(3), []
    for at, end in ((0, 4), (4, 5), (5, 9)):
        logits, cache = step.forward(params, IDS[:, at:end], cache, at)
        parts.append(np.asarray(logits))
    assert np.mean((np.concatenate(parts, 1) - wanted) ** 2) < 1e-10
    assert {x.shape[2] for x in jax.tree.leaves(cache)} == {32}


def test_what_cannot_have_a_cache_is_said(made, capsys):
    folder, _, _ = made("bert")
    assert cli.main([str(folder), "-o", "x.py", "--cache", "8"]) == 1
    assert "takes no" in capsys.readouterr().err
    with pytest.raises(OxideError, match="its own inputs"):
        port(folder, Options(cache=8, dynamic=["batch"]))


def test_a_large_decoder_is_compared_with_few_layers():
    """One of each kind, and fewer words; the rest of the configuration stays."""
    config = Gemma2Config(num_hidden_layers=26, vocab_size=256000, head_dim=64)
    trial.shorten(config)
    assert config.num_hidden_layers == len(config.layer_types) == 2
    assert len(set(config.layer_types)) == 2
    assert config.vocab_size == 1024
    assert config.hidden_size == Gemma2Config().hidden_size


def test_a_decoder_whose_steps_differ_is_refused(made, monkeypatch):
    """The comparison is of a module with weights, not of the one without."""
    folder, _, _ = made("llama")
    seen = []

    def differ(module, original, shapes):
        seen.append(module)
        raise fx_errors.ModelError("gives other logits with a cache")

    monkeypatch.setattr("oxide_xla.bridge.fx_cache.verify", differ)
    with pytest.raises(OxideError, match="other logits"):
        port(folder, Options(cache=8))
    assert not fx_fake.has_fakes(seen[0])
