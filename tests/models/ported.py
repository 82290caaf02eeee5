"""The architectures of transformers that are ported and compared by test_port.py.

Those of the zoo that are whole models of transformers, and other heads of them by their
task. `PYTHONPATH=tests:python:bridge python -m models.ported` prints their classes.
"""

from __future__ import annotations

import textwrap

from models.architectures import Architecture, Input
from models.zoo_text import DECODER, IDS, MASK, SMALL, pretrained
from oxide_xla.port import inputs

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
# Parts of models, without a configuration of their own.
PARTS = {"whisper_encoder", "whisper_step", "speecht5_encoder", "speecht5_decoder"}


def entries() -> list[Architecture]:
    """Those of the zoo, then the others."""
    from models import zoo_media, zoo_text

    zoo = [e for e in (*zoo_text.TABLE, *zoo_media.TABLE) if e.name not in PARTS]
    return [*zoo, *OTHERS]


ENTRIES = {entry.name: entry for entry in entries()}


def given(x: Input) -> inputs.Input:
    """An input of the zoo, as `--input` would say it."""
    dtype = str(x.dtype).removeprefix("torch.") if x.dtype else None
    tokens = "int64" if x.tokens or x.kind in ("mask", "ones") else None
    return inputs.Input(x.name, x.shape, dtype or tokens)


def classes() -> list[str]:
    """The names of their classes."""
    return sorted({type(entry.factory()).__name__ for entry in ENTRIES.values()})


def listed() -> str:
    """The classes as a paragraph of docs/guides/hugging_face.md."""
    names = ", ".join(f"`{name}`" for name in classes())
    return textwrap.fill(names, 88, break_long_words=False)


if __name__ == "__main__":
    print(listed())
