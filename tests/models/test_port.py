"""Architectures of transformers from save_pretrained through `port` to the same result.

What forward takes is said as the zoo has it.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import fx_call
import torchvision_cpu
from models import pillars
from models.ported import ENTRIES, given, listed
from oxide_xla import OxideError, checkpoint
from oxide_xla.port import Options, inputs, port, unfit

torchvision_cpu.repair()

from transformers import PreTrainedModel  # noqa: E402

LIMIT = 1e-10
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "hugging_face.md"
# Those whose checkpoints have several tensors where the module has one.
MERGED = {"mixtral"}
# Recurrences that tracing writes out step by step: their length cannot stay open.
FIXED = {"mamba": "seq", "rwkv": "seq"}


@pytest.mark.models
def test_there_are_many():
    """And the guide lists them."""
    assert len(ENTRIES) >= 60
    assert listed() in GUIDE.read_text()


def fitting(model, folder, name):
    """What to load: the folder, or what `oxide_xla checkpoint` makes of it."""
    assert ("oxide_xla checkpoint" in model.messages) == (name in MERGED)
    if name not in MERGED:
        assert unfit(model, folder) == ""
        return folder
    assert "is unexpected" in unfit(model, folder)
    merged = folder.with_suffix(".safetensors")
    assert checkpoint.main([str(folder), "-o", str(merged)]) == 0
    return merged


@pytest.mark.models
@pytest.mark.parametrize("name", ENTRIES)
def test_equals_torch(name, tmp_path, monkeypatch):
    entry = ENTRIES[name]
    module = entry.build()
    assert isinstance(module, PreTrainedModel)
    module.save_pretrained(tmp_path / name)
    for dim, (size, _) in entry.sizes.items():
        monkeypatch.setitem(inputs.SIZES, dim, size)
    options = Options(inputs=[given(x) for x in entry.inputs])
    if name in FIXED:
        with pytest.raises(OxideError, match="inferred ranges from model tracing"):
            port(tmp_path / name, options)
        options = dataclasses.replace(options, dynamic=["batch"])
    model = port(tmp_path / name, options)
    ported = pillars.import_file(model.save(tmp_path / f"{name}_jax.py"))
    params = ported.load_params(fitting(model, tmp_path / name, name))
    axes = {
        key: {i: dim for i, dim in own.items() if dim != FIXED.get(name)}
        for key, own in entry.axes.items()
    }
    examples = entry.make_inputs(second=axes)
    with torch.no_grad():
        wanted = [x.numpy() for _, x in fx_call.named_outputs(module(**examples))]
    order = [x["name"] for x in model.input_types]
    found = ported.forward(params, *(examples[key].numpy() for key in order))
    found = [*found] if isinstance(found, tuple) else [found]
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        difference = np.asarray(a, np.float64) - b
        assert np.mean(difference**2) < LIMIT


@pytest.mark.models
@pytest.mark.parametrize("name", ["vit", "swin"])
def test_names_of_either_form_are_read(name, tmp_path):
    """Of the checkpoint, as the hub has it, and of the module."""
    entry = ENTRIES[name]
    module = entry.build()
    module.save_pretrained(tmp_path / "old")
    module.save_pretrained(tmp_path / "new", save_original_format=False)
    with safe_open(tmp_path / "old" / "model.safetensors", "numpy") as file:
        assert not set(file.keys()) <= module.state_dict().keys()
    for folder in ("old", "new"):
        model = port(tmp_path / folder, Options(inputs=[given(entry.inputs[0])]))
        assert ("CHECKPOINT_NAMES" in model.source) == (folder == "old")
        assert unfit(model, tmp_path / "new") == ""
        path = model.save(tmp_path / f"{folder}.py")
        params = pillars.import_file(path).load_params(tmp_path / folder)
        state = module.state_dict()
        assert all(np.array_equal(x, state[k]) for k, x in params.items() if k in state)


LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rope_theta": 500000.0,
    "torch_dtype": "bfloat16",
}


@pytest.mark.models
def test_a_large_configuration_needs_no_weights(tmp_path, monkeypatch):
    """The sizes of Llama-3-8B: 30 GiB in float32, of which nothing is made."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    output = tmp_path / "llama.py"
    command = [sys.executable, "-m", "oxide_xla.port", tmp_path, "-o", output]
    monkeypatch.setenv("PYTHONPATH", str(Path(port.__code__.co_filename).parents[2]))
    start = time.monotonic()
    subprocess.run([*map(str, command)], check=True)
    seconds = time.monotonic() - start
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"{seconds:.0f} s, {most / 2**30:.1f} GiB")
    assert most < 6e9
    assert output.with_suffix(".safetensors").stat().st_size < 2**16
    module = pillars.import_file(output)
    assert module.PARAMS["lm_head.weight"] == "float32[128256,4096]"
