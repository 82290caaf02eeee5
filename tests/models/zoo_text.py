"""transformers' models that read text, in sizes of a test."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

import torchvision_cpu
from models.architectures import Architecture, Input

VOCABULARY = 99

IDS = Input("input_ids", ("batch", "seq"), tokens=VOCABULARY)
MASK = Input("attention_mask", ("batch", "seq"), kind="mask")
SEGMENTS = Input("token_type_ids", ("batch", "seq"), tokens=2)
TARGET_IDS = Input("decoder_input_ids", ("batch", "target"), tokens=VOCABULARY)

SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
DECODER = {**SMALL, "num_key_value_heads": 2, "pad_token_id": 0}
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def pretrained(model: str, config: str, **options) -> Callable[[], nn.Module]:
    """A factory of transformers' class `model` with a configuration."""

    def build() -> nn.Module:
        torchvision_cpu.repair()
        import transformers

        settings = getattr(transformers, config)(**options)
        return getattr(transformers, model)(settings)

    return build


def _encoder_decoder(model: str, config: str) -> Callable[[], nn.Module]:
    return pretrained(
        model,
        config,
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
        **SPECIAL,
    )


def _causal(name: str, family: str, fast: bool = False, **options) -> Architecture:
    """A decoder with its head, over token ids."""
    config = options.pop("config", f"{family}Config")
    model = options.pop("model", f"{family}ForCausalLM")
    factory = pretrained(model, config, **options)
    return Architecture(name, factory, (IDS, MASK), fast)


TABLE = (
    Architecture(
        "bert",
        pretrained("BertForMaskedLM", "BertConfig", **SMALL),
        (IDS, MASK, SEGMENTS),
        fast=True,
    ),
    Architecture(
        "roberta",
        pretrained(
            "RobertaForSequenceClassification", "RobertaConfig", num_labels=3, **SMALL
        ),
        (IDS, MASK),
    ),
    Architecture(
        "distilbert",
        pretrained(
            "DistilBertForMaskedLM",
            "DistilBertConfig",
            vocab_size=VOCABULARY,
            dim=32,
            n_layers=2,
            n_heads=4,
            hidden_dim=64,
            max_position_embeddings=64,
        ),
        (IDS, MASK),
    ),
    Architecture(
        "albert",
        pretrained("AlbertForMaskedLM", "AlbertConfig", embedding_size=16, **SMALL),
        (IDS, MASK),
    ),
    Architecture(
        "electra",
        pretrained(
            "ElectraForPreTraining", "ElectraConfig", embedding_size=16, **SMALL
        ),
        (IDS, MASK),
    ),
    Architecture(
        "deberta_v2",
        pretrained(
            "DebertaV2ForMaskedLM",
            "DebertaV2Config",
            relative_attention=True,
            position_buckets=8,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            max_relative_positions=32,
            position_biased_input=False,
            **SMALL,
        ),
        (IDS, MASK),
    ),
    Architecture(
        "modernbert",
        pretrained(
            "ModernBertForMaskedLM",
            "ModernBertConfig",
            local_attention=4,
            cls_token_id=1,
            sep_token_id=2,
            **SMALL,
            **SPECIAL,
        ),
        (IDS, MASK),
    ),
    _causal(
        "gpt2",
        "GPT2",
        fast=True,
        model="GPT2LMHeadModel",
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=64,
    ),
    _causal("gpt_neox", "GPTNeoX", **SMALL),
    _causal(
        "gptj",
        "GPTJ",
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=64,
        rotary_dim=4,
    ),
    _causal(
        "opt",
        "OPT",
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        max_position_embeddings=64,
        word_embed_proj_dim=16,
        **SPECIAL,
    ),
    _causal(
        "bloom", "Bloom", vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4
    ),
    _causal("llama", "Llama", fast=True, **DECODER),
    _causal("mistral", "Mistral", sliding_window=4, **DECODER),
    _causal(
        "mixtral",
        "Mixtral",
        num_local_experts=4,
        num_experts_per_tok=2,
        experts_implementation="batched_mm",
        **DECODER,
    ),
    _causal("qwen2", "Qwen2", **DECODER),
    _causal("qwen3", "Qwen3", head_dim=8, **DECODER),
    _causal("gemma2", "Gemma2", head_dim=8, sliding_window=4, **DECODER),
    _causal(
        "gemma3",
        "Gemma3",
        config="Gemma3TextConfig",
        head_dim=8,
        sliding_window=4,
        layer_types=["sliding_attention", "full_attention"],
        **DECODER,
    ),
    _causal("phi3", "Phi3", **DECODER),
    _causal(
        "falcon",
        "Falcon",
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
    ),
    Architecture(
        "t5",
        pretrained(
            "T5ForConditionalGeneration",
            "T5Config",
            vocab_size=VOCABULARY,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_decoder_layers=2,
            num_heads=4,
            relative_attention_num_buckets=8,
            decoder_start_token_id=0,
        ),
        (IDS, MASK, TARGET_IDS),
    ),
    Architecture(
        "bart",
        _encoder_decoder("BartForConditionalGeneration", "BartConfig"),
        (IDS, MASK, TARGET_IDS),
    ),
    Architecture(
        "pegasus",
        _encoder_decoder("PegasusForConditionalGeneration", "PegasusConfig"),
        (IDS, MASK, TARGET_IDS),
    ),
    _causal(
        "mamba",
        "Mamba",
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        state_size=4,
    ),
    Architecture(
        "rwkv",
        pretrained(
            "RwkvForCausalLM",
            "RwkvConfig",
            vocab_size=VOCABULARY,
            hidden_size=32,
            num_hidden_layers=2,
            attention_hidden_size=32,
            intermediate_size=64,
            context_length=64,
        ),
        (IDS,),
    ),
)
