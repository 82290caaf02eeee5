"""Measure how long JAX takes to trace and XLA to compile models of different depth, and
print it as a table: `make bench-depth`.

A Llama of narrow layers with random weights, for each style of --layers. What XLA does
depends on the number of operations and hardly on their size. Times are medians of runs
in turns, in one process, with nothing cached.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "bench"
sys.path[:0] = [str(ROOT / path) for path in ("tests", "bridge", "python")]

import oxide_xla  # noqa: E402 - the paths come first
from models.zoo import torchvision_cpu  # noqa: E402

STYLES = ("unrolled", "functions", "scan")
TOKENS = np.zeros((1, 16), np.int32)


def llama(layers: int) -> torch.nn.Module:
    """A Llama with this many layers and narrow ones at that."""
    torchvision_cpu.repair()
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=128,
            hidden_size=64,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=128,
            max_position_embeddings=64,
            use_cache=False,
        )
    ).eval()


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    """How long the work takes, and what it gives."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(model: oxide_xla.Model) -> tuple[float, float]:
    """Seconds to trace forward and its gradient, and to compile them."""

    def loss(params: dict, tokens: np.ndarray) -> jax.Array:
        return model.forward(params, tokens).sum()

    jax.clear_caches()
    step = jax.jit(jax.value_and_grad(loss))
    tracing, lowered = seconds(lambda: step.lower(model.params, TOKENS))
    compiling, _ = seconds(lowered.compile)
    return tracing, compiling


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[3, 12, 48])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    models = {}
    for depth in options.depths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokens = torch.from_numpy(TOKENS).long()
            for style in STYLES:
                model = oxide_xla.from_torch(llama(depth), (tokens,), layers=style)
                models[style, depth] = model
    runs: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in models}
    for _ in range(options.runs):
        for key, model in models.items():
            runs[key].append(measure(model))
    table = Table(title="Llama and its gradient: milliseconds by number of layers")
    table.add_column("--layers")
    for depth in options.depths:
        for title in (f"trace {depth}", f"XLA {depth}"):
            table.add_column(title, justify="right")
    first, last = options.depths[0], options.depths[-1]
    for title in (f"trace {last}/{first}", f"XLA {last}/{first}"):
        table.add_column(title, justify="right")
    for style in STYLES:
        times = {
            depth: [statistics.median(run) for run in zip(*runs[style, depth])]
            for depth in options.depths
        }
        ratios = [b / a for a, b in zip(times[first], times[last], strict=True)]
        cells = [f"{1e3 * t:.0f}" for depth in options.depths for t in times[depth]]
        table.add_row(style, *cells, *(f"{ratio:.2f}x" for ratio in ratios))
    Console(width=132, highlight=False).print(table)


if __name__ == "__main__":
    main()
