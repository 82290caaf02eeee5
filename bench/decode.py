"""The time of one token of a small Llama, by how many positions are filled.

    python bench/decode.py [--quick]

Columns: one step with the cache, in milliseconds; then, as ratios to it, all tokens
again, in JAX, and one step of PyTorch eager with the DynamicCache of transformers. Each
is the least of several calls.

    python bench/decode.py --layouts

compares a step of attention over a cache (batch, heads, length, width) with one over
(batch, length, heads, width), each in a while_loop.
"""

import argparse
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "bridge")]

FILLED = (64, 512, 2048)
CONFIG = {
    "vocab_size": 1024,
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 4096,
}


def seconds(call, turns):
    """The least time of a call that is warm."""
    call()
    best = float("inf")
    for _ in range(turns):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


class Cached:
    """One step of the compiled model after `filled` tokens."""

    def __init__(self, model, filled):
        self.model, self.filled = model, filled
        self.step = jax.jit(model.forward, donate_argnums=2)
        prompt = jnp.ones((1, filled), jnp.int32)
        cache = model.init_cache(1, filled + 1)
        _, self.cache = self.step(model.params, prompt, cache, 0)

    def __call__(self):
        token = jnp.ones((1, 1), jnp.int32)
        params = self.model.params
        logits, self.cache = self.step(params, token, self.cache, self.filled)
        logits.block_until_ready()


def recompute(model, filled):
    """The last logits of all tokens at once, with a cache that is thrown away."""
    prompt = jnp.ones((1, filled + 1), jnp.int32)

    @jax.jit
    def last(params):
        cache = model.init_cache(1, filled + 1)
        return model.forward(params, prompt, cache, 0).logits[:, -1]

    return lambda: last(model.params).block_until_ready()


def eager(net, filled):
    """One step of PyTorch; the cache is cut back after it, as it grows."""
    with torch.no_grad():
        prompt = torch.ones(1, filled, dtype=torch.int64)
        cache = net(prompt, use_cache=True).past_key_values
    token = torch.ones(1, 1, dtype=torch.int64)

    def step():
        with torch.no_grad():
            net(token, past_key_values=cache, use_cache=True)
        cache.crop(-1)

    return step


def table(turns):
    """Print a line for each number of filled positions."""
    import torchvision_cpu

    torchvision_cpu.repair()
    import transformers

    import oxide_xla

    torch.manual_seed(0)
    net = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG)).eval()
    model = oxide_xla.from_torch(net, cache=max(FILLED) + 1)
    print("| filled | cached, ms | recomputed | PyTorch eager |\n|---|---|---|---|")
    for filled in FILLED:
        own = seconds(Cached(model, filled), turns)
        again = seconds(recompute(model, filled), max(2, turns // 4))
        torch_step = seconds(eager(net, filled), turns)
        ratios = f"{again / own:.1f} x | {torch_step / own:.1f} x"
        print(f"| {filled} | {own * 1e3:.2f} | {ratios} |", flush=True)


def attention(heads_first, length):
    """A loop over all positions, and what it starts with."""
    heads, width = 8, 64
    shape = (1, heads, length, width) if heads_first else (1, length, heads, width)
    axis = 2 if heads_first else 1

    def turned(x):
        return x.transpose(0, 2, 1, 3) if heads_first else x

    def step(i, carry):
        x, keys, values = carry
        new = turned(x)
        keys = jax.lax.dynamic_update_slice_in_dim(keys, new, i, axis)
        values = jax.lax.dynamic_update_slice_in_dim(values, new, i, axis)
        mask = (jnp.arange(length) <= i)[None, None, None]
        x = jax.nn.dot_product_attention(x, turned(keys), turned(values), mask=mask)
        return x, keys, values

    x = jnp.ones((1, 1, heads, width))
    carry = x, jnp.zeros(shape), jnp.zeros(shape)
    loop = jax.jit(lambda carry: jax.lax.fori_loop(0, 64, step, carry)[0])
    return lambda: loop(carry).block_until_ready()


def layouts(turns):
    """Print the time of a step for both orders of axes."""
    print("| length | heads first, us | length first, us |\n|---|---|---|")
    for length in FILLED[1:]:
        times = [seconds(attention(first, length), turns) for first in (True, False)]
        columns = " | ".join(f"{t / 64 * 1e6:.0f}" for t in times)
        print(f"| {length} | {columns} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="the time of one token")
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--layouts", action="store_true", help="orders of axes")
    options = parser.parse_args()
    turns = 5 if options.quick else 40
    layouts(turns) if options.layouts else table(turns)
