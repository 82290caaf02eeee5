"""Tokens of a decoder that was compiled with a cache: greedy, or drawn by temperature,
top-k and top-p. `model` is a generated module, or what from_torch returns."""

import functools

import jax
import jax.numpy as jnp


def keep_top_k(logits, k):
    """All but the k largest become -inf."""
    return jnp.where(logits < jax.lax.top_k(logits, k)[0][:, -1:], -jnp.inf, logits)


def keep_top_p(logits, p):
    """All but the likeliest that together have probability p become -inf."""
    ordered = jnp.sort(logits, axis=-1)[:, ::-1]
    before = jnp.cumsum(jax.nn.softmax(ordered), axis=-1) - jax.nn.softmax(ordered)
    least = jnp.where(before < p, ordered, jnp.inf).min(-1, keepdims=True)
    return jnp.where(logits < least, -jnp.inf, logits)


def sample(logits, key, temperature, top_k, top_p):
    """One token a row; temperature 0 takes the likeliest."""
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits.astype(jnp.float32) / temperature
    if top_k:
        logits = keep_top_k(logits, top_k)
    if top_p < 1:
        logits = keep_top_p(logits, top_p)
    return jax.random.categorical(key, logits)


@functools.partial(jax.jit, static_argnums=(0,), donate_argnums=(3,))
def run(static, params, prompts, cache, keys, start):
    """Prefill, then a scan over the steps, each of which writes into the cache."""
    forward, *options = static

    def choose(logits, key):
        return sample(logits[:, -1], key, *options).astype(prompts.dtype)

    def step(carry, key):
        token, cache, position = carry
        logits, cache = forward(params, token[:, None], cache, position, start)
        return (choose(logits, key), cache, position + 1), token

    logits, cache = forward(params, prompts, cache, 0, start)
    carry = choose(logits, keys[0]), cache, jnp.int32(prompts.shape[1])
    (last, cache, _), tokens = jax.lax.scan(step, carry, keys[1:])
    return jnp.concatenate([tokens.T, last[:, None]], axis=1), cache


def generate(model, params, prompts, steps, start=None, key=None, **options):
    """`steps` tokens after each prompt, of which the first `start` are padding."""
    choices = {"temperature": 0.0, "top_k": 0, "top_p": 1.0} | options
    cache = model.init_cache(len(prompts), prompts.shape[1] + steps)
    keys = jax.random.split(jax.random.key(0) if key is None else key, steps)
    static = (model.forward, *choices.values())
    return run(static, params, prompts, cache, keys, start)[0]
