"""Small decoders with random weights, and greedy tokens of transformers and of JAX.

Weights are scaled up, so that the largest logit is no tie within rounding.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import torch

import oxide_xla
import torchvision_cpu

VOCABULARY = 99
STEPS = 64
LENGTH = 80
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
# Prompts of 7 and 4 tokens: the second begins with padding.
PROMPTS = np.array([[5, 17, 3, 88, 40, 2, 61], [0, 0, 0, 9, 33, 71, 12]], np.int32)
START = np.array([0, 3], np.int32)


def build(name: str, seed: int | None = None) -> torch.nn.Module:
    """A decoder of FAMILIES in inference mode."""
    return make(*FAMILIES[name], seed=SEEDS.get(name, 0) if seed is None else seed)


def make(
    config_class: str, model_class: str, config: dict, *, seed: int = 0
) -> torch.nn.Module:
    """A module of transformers with random weights."""
    torchvision_cpu.repair()
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, config_class)(**config)
    module = getattr(transformers, model_class)(config).eval()
    with torch.no_grad():
        for tensor in module.parameters():
            if tensor.ndim > 1:
                tensor.mul_(6)
    return module


def build_cross(name: str) -> torch.nn.Module:
    """An encoder-decoder of CROSS in inference mode."""
    return make(*CROSS[name])


def expected_cross(module: torch.nn.Module, inputs: dict[str, np.ndarray]):
    """The tokens that transformers' generate appends to the first, greedily."""
    import transformers

    inputs = {k: torch.tensor(x) for k, x in inputs.items()}
    with torch.no_grad():  # Whisper's own method is for sound of any length
        tokens = transformers.GenerationMixin.generate(
            module, **inputs, max_new_tokens=STEPS, do_sample=False
        )
    return tokens[:, 1:].numpy()


def expected(module: torch.nn.Module, prompts: np.ndarray, start: np.ndarray):
    """The tokens that transformers' generate appends, greedily."""
    ids = torch.tensor(prompts).long()
    mask = torch.arange(ids.shape[1])[None] >= torch.tensor(start)[:, None]
    with torch.no_grad():
        tokens = module.generate(
            ids, attention_mask=mask.long(), max_new_tokens=STEPS, do_sample=False
        )
    return tokens[:, ids.shape[1] :].numpy()


@functools.partial(jax.jit, static_argnames=("forward", "steps"), donate_argnums=3)
def greedy(forward, params, prompts, cache, start, steps=STEPS):
    """Prefill, then one token at a time in a while_loop that has the cache."""
    logits, cache = forward(params, prompts, cache, 0, start)
    token = logits[:, -1].argmax(-1).astype(jnp.int32)
    tokens = jnp.zeros((prompts.shape[0], steps), jnp.int32).at[:, 0].set(token)

    def unfinished(carry):
        return carry[0] < steps

    def step(carry):
        i, token, tokens, cache = carry
        position = prompts.shape[1] + i - 1
        logits, cache = forward(params, token[:, None], cache, position, start)
        token = logits[:, -1].argmax(-1).astype(jnp.int32)
        return i + 1, token, tokens.at[:, i].set(token), cache

    tokens, cache = jax.lax.while_loop(unfinished, step, (1, token, tokens, cache))[2:]
    return tokens, cache


def decode(model: oxide_xla.CompiledModel, prompts: np.ndarray, start: np.ndarray):
    """The tokens that the compiled step gives."""
    cache = model.init_cache(len(prompts), LENGTH)
    tokens, _ = greedy(
        model.forward, model.params, jnp.asarray(prompts), cache, jnp.asarray(start)
    )
    return np.asarray(tokens)


# Other seeds than 0, with which these say more than a few tokens.
SEEDS = {"opt": 3}

FAMILIES = {
    "gpt2": (
        "GPT2Config",
        "GPT2LMHeadModel",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 128,
            "bos_token_id": 1,
            "eos_token_id": None,
            "pad_token_id": 0,
        },
    ),
    "llama": ("LlamaConfig", "LlamaForCausalLM", GROUPED),
    "mistral": (
        "MistralConfig",
        "MistralForCausalLM",
        {**GROUPED, "sliding_window": 8},
    ),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {**GROUPED, "head_dim": 8}),
    "gemma2": (
        "Gemma2Config",
        "Gemma2ForCausalLM",
        {**GROUPED, "num_hidden_layers": 4, "head_dim": 8, "sliding_window": 8},
    ),
    "gemma3": (
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        {
            **GROUPED,
            "num_hidden_layers": 4,
            "head_dim": 8,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        },
    ),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", GROUPED),
    "opt": (
        "OPTConfig",
        "OPTForCausalLM",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
            "bos_token_id": 1,
            "eos_token_id": None,
            "pad_token_id": 0,
        },
    ),
    "falcon": (
        "FalconConfig",
        "FalconForCausalLM",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
            "bos_token_id": 1,
            "eos_token_id": None,
            "pad_token_id": 0,
        },
    ),
    "mixtral": (
        "MixtralConfig",
        "MixtralForCausalLM",
        {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
}

# Encoder-decoders; one source is padded behind, one in front.
ENDS = {
    "decoder_start_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}
PAIR = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "tie_word_embeddings": False,  # or each token says itself again
    **ENDS,
}
CROSS = {
    "t5": (
        "T5Config",
        "T5ForConditionalGeneration",
        {
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": 2,
            "num_heads": 4,
            "relative_attention_num_buckets": 8,
            **ENDS,
        },
    ),
    "bart": (
        "BartConfig",
        "BartForConditionalGeneration",
        {**PAIR, "max_position_embeddings": 128, "forced_eos_token_id": None},
    ),
    "whisper": (
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        {
            **PAIR,
            "num_mel_bins": 8,
            "max_source_positions": 20,
            "max_target_positions": 128,
            "init_std": 0.1,
            "suppress_tokens": None,
            "begin_suppress_tokens": None,
        },
    ),
}
SOURCE_MASK = np.array([[1] * 9, [1] * 6 + [0] * 3, [0] * 2 + [1] * 7])


def source(name: str) -> dict[str, np.ndarray]:
    """What is encoded, in three rows."""
    generator = np.random.default_rng(0)
    if name == "whisper":
        return {"input_features": generator.normal(size=(3, 8, 40)).astype("float32")}
    ids = generator.integers(2, VOCABULARY, SOURCE_MASK.shape)
    return {"input_ids": ids * SOURCE_MASK, "attention_mask": SOURCE_MASK}


def decode_cross(encoder, decoder, inputs: dict[str, np.ndarray]):
    """The tokens that the compiled step gives, in a while_loop."""
    encoded = encoder.forward(encoder.params, *inputs.values())
    mask = [inputs["attention_mask"]] if "attention_mask" in inputs else []

    @jax.jit
    def run(params, cache):
        def step(carry):
            i, token, tokens, cache = carry
            logits, cache = decoder.forward(params, token[:, None], *mask, cache, i)
            token = logits[:, -1].argmax(-1).astype(jnp.int32)
            return i + 1, token, tokens.at[:, i].set(token), cache

        begin = jnp.full(3, ENDS["decoder_start_token_id"], jnp.int32)
        tokens = jnp.zeros((3, STEPS), jnp.int32)
        carry = (jnp.int32(0), begin, tokens, cache)
        return jax.lax.while_loop(lambda carry: carry[0] < STEPS, step, carry)[2]

    return np.asarray(run(decoder.params, decoder.init_cache(3, LENGTH) | encoded))
