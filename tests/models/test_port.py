"""Architectures of transformers from save_pretrained through `port` to the same result.

Those of the zoo that are whole models of transformers, and other heads of them by their
task. What forward takes is said as the zoo has it.
"""

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
from models.architectures import Architecture, Input
from models.zoo_text import DECODER, IDS, MASK, SMALL, pretrained
from oxide_xla import OxideError
from oxide_xla.port import Options, inputs, port, unfit

torchvision_cpu.repair()

from transformers import PreTrainedModel  # noqa: E402

LIMIT = 1e-10
TWO = (IDS, MASK)


def head(name: str, model: str, config: str, **options) -> Architecture:
    """A model over token ids."""
    return Architecture(name, pretrained(model, config, **options), TWO)


OTHERS = (
    head("bert_base", "BertModel", "BertConfig", **SMALL),
    head("bert_classes", "BertForSequenceClassification", "BertConfig", **SMALL),
    head("bert_tokens", "BertForTokenClassification", "BertConfig", **SMALL),
    head("bert_answers", "BertForQuestionAnswering", "BertConfig", **SMALL),
    head("bert_choices", "BertForNextSentencePrediction", "BertConfig", **SMALL),
    head("roberta_base", "RobertaModel", "RobertaConfig", **SMALL),
    head("roberta_masked", "RobertaForMaskedLM", "RobertaConfig", **SMALL),
    head("xlm_roberta", "XLMRobertaForMaskedLM", "XLMRobertaConfig", **SMALL),
    head("camembert", "CamembertForMaskedLM", "CamembertConfig", **SMALL),
    head("ernie", "ErnieForMaskedLM", "ErnieConfig", **SMALL),
    head("llama_base", "LlamaModel", "LlamaConfig", **DECODER),
    head("llama_classes", "LlamaForTokenClassification", "LlamaConfig", **DECODER),
    head("mistral_base", "MistralModel", "MistralConfig", **DECODER),
    head("qwen2_base", "Qwen2Model", "Qwen2Config", **DECODER),
    head("olmo", "OlmoForCausalLM", "OlmoConfig", **DECODER),
    head("olmo2", "Olmo2ForCausalLM", "Olmo2Config", **DECODER),
    head("granite", "GraniteForCausalLM", "GraniteConfig", **DECODER),
    head("stablelm", "StableLmForCausalLM", "StableLmConfig", **DECODER),
    head("starcoder2", "Starcoder2ForCausalLM", "Starcoder2Config", **DECODER),
    head("cohere", "CohereForCausalLM", "CohereConfig", **DECODER),
    head("phi", "PhiForCausalLM", "PhiConfig", **DECODER),
    head("gemma", "GemmaForCausalLM", "GemmaConfig", head_dim=8, **DECODER),
    head("smollm3", "SmolLM3ForCausalLM", "SmolLM3Config", **DECODER),
    head("helium", "HeliumForCausalLM", "HeliumConfig", head_dim=8, **DECODER),
)
# What torch.export cannot export without weights, and says.
REFUSED = {"t5": "Cannot view a tensor", "mixtral": "Expected inputs of BF16"}
# Parts of models, without a configuration of their own.
PARTS = {"whisper_encoder", "whisper_step", "speecht5_encoder", "speecht5_decoder"}


def entries() -> list[Architecture]:
    """Those of the zoo, then the others."""
    from models import zoo_media, zoo_text

    zoo = [e for e in (*zoo_text.TABLE, *zoo_media.TABLE) if e.name not in PARTS]
    return [*zoo, *OTHERS]


ENTRIES = {entry.name: entry for entry in entries()}


def test_there_are_many():
    assert len(ENTRIES) >= 60


def given(x: Input) -> inputs.Input:
    """An input of the zoo, as `--input` would say it."""
    dtype = str(x.dtype).removeprefix("torch.") if x.dtype else None
    tokens = "int64" if x.tokens or x.kind in ("mask", "ones") else None
    return inputs.Input(x.name, x.shape, dtype or tokens)


def is_renamed(module: PreTrainedModel, folder: Path) -> bool:
    """Whether transformers gives tensors other names in its checkpoints."""
    with safe_open(folder / "model.safetensors", "numpy") as file:
        return not set(file.keys()) <= module.state_dict().keys()


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
    if name in REFUSED:
        with pytest.raises(OxideError, match=REFUSED[name]):
            port(tmp_path / name, options)
        return
    model = port(tmp_path / name, options)
    ported = pillars.import_file(model.save(tmp_path / f"{name}_jax.py"))
    if is_renamed(module, tmp_path / name):
        assert "is missing" in unfit(model, tmp_path / name)
        with pytest.raises(ValueError, match="is missing"):
            ported.load_params(tmp_path / name)
        module.save_pretrained(tmp_path / name, save_original_format=False)
    assert unfit(model, tmp_path / name) == ""
    params = ported.load_params(tmp_path / name)
    examples = entry.make_inputs(second=entry.axes)
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
