"""Measure what the generated code says against what it would say without a rule, and
print it as a table: `taskset -c 1 .venv/bin/python bench/rules.py`.

Pairs run in turns, in one process; times are the least of the CPU time of a call, which
a busy machine disturbs less than the time on the clock.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / path) for path in ("tests", "bridge", "python")]
sys.path.append(str(ROOT / "src" / "python" / "lib"))

import activation  # noqa: E402 - the paths come first
import conv  # noqa: E402
import oxide_xla  # noqa: E402
import pool  # noqa: E402
import rnn  # noqa: E402
from models import zoo  # noqa: E402

BUDGET = 0.05  # seconds of a turn


class Pair(NamedTuple):
    """Two functions of the same arguments that give the same."""

    name: str
    plain: Callable[..., jax.Array]
    ours: Callable[..., jax.Array]
    args: tuple


def array(*shape: int, dtype: str = "float32") -> jax.Array:
    values = np.random.default_rng(0).standard_normal(shape) / 20
    return jnp.asarray(values, dtype)


def products() -> Iterator[Pair]:
    for rows in (1, 8, 128):
        yield Pair(
            f"x @ w.T + b, {rows} x 768 by 3072: jnp.inner",
            lambda x, w, b: x @ w.T + b[None],
            lambda x, w, b: jnp.inner(x, w) + b[None],
            (array(rows, 768), array(3072, 768), array(3072)),
        )


def activations() -> Iterator[Pair]:
    for dtype in ("float32", "bfloat16"):
        yield Pair(
            f"GELU, 128 x 3072 {dtype}: by erf",
            lambda x: jax.nn.gelu(x, approximate=False),
            activation.gelu,
            (array(128, 3072, dtype=dtype),),
        )


def three_sigmoids(x: jax.Array, w: jax.Array, r: jax.Array, b: jax.Array) -> jax.Array:
    def step(state: tuple, x: jax.Array) -> tuple:
        h, c = state
        i, o, forget, new = jnp.split(x + h @ r[0].T, 4, axis=-1)
        c = jax.nn.sigmoid(forget) * c + jax.nn.sigmoid(i) * jnp.tanh(new)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    start = jnp.zeros((2, x.shape[1], r.shape[-1]))
    return jax.lax.scan(step, tuple(start), rnn.with_biases(x @ w[0].T, b[0]))[1]


def recurrent() -> Iterator[Pair]:
    sizes = ((100, 1, 64, 128), (100, 8, 64, 128), (50, 16, 128, 256))
    for steps, batch, size, hidden in sizes:
        weights = array(1, 4 * hidden, size), array(1, 4 * hidden, hidden)
        yield Pair(
            f"LSTM, {steps} x {batch} x {size} to {hidden}: one sigmoid, r.T once",
            three_sigmoids,
            lambda *args: rnn.lstm(*args)[0],
            (array(steps, batch, size), *weights, array(1, 8 * hidden)),
        )


def pointwise() -> Iterator[Pair]:
    """Between ReLUs, whose arrays XLA lays out as the convolutions want them; the
    convolution has its kernels as prepare would give them."""
    sizes = (
        (256, 64, 56, 1),
        (128, 256, 28, 2),
        (1024, 2048, 14, 2),
        (2048, 512, 7, 1),
    )
    for inward, outward, size, stride in sizes:
        first, second = array(inward, inward, 1, 1), array(outward, inward, 1, 1)
        kernels = [jnp.asarray(np.asarray(conv.as_kernel(w))) for w in (first, second)]

        def by_conv(x, w, kernels, stride=stride):
            y = jax.nn.relu(conv.conv(x, kernels[0]))
            return jax.nn.relu(conv.conv(y, kernels[1], None, stride))

        def by_product(x, w, kernels, stride=stride):
            y = jax.nn.relu(conv.pointwise_conv(x, w[0]))
            return jax.nn.relu(conv.pointwise_conv(y, w[1], None, stride))

        yield Pair(
            f"two 1 x 1 / {stride}, {inward} x {size} x {size} to {outward}: products",
            by_conv,
            by_product,
            (array(1, inward, size, size), (first, second), kernels),
        )


def depthwise() -> Iterator[Pair]:
    """Between two of 1 x 1, as in MobileNets."""
    for channels, size, kernel in ((144, 56, 3), (96, 56, 7), (384, 14, 7)):

        def block(x, wide, w, narrow, one_each):
            y = jax.nn.relu(conv.pointwise_conv(x, wide))
            return conv.pointwise_conv(jax.nn.relu(one_each(y, w)), narrow)

        def by_conv(*args, p=kernel // 2, groups=channels):
            def one_each(y, w):
                return conv.conv(y, w, None, 1, p, 1, groups)

            return block(*args, one_each)

        def by_slices(*args, p=kernel // 2):
            return block(*args, lambda y, w: conv.depthwise_conv(y, w, None, 1, p))

        weights = array(channels, 24, 1, 1), array(kernel, kernel, 1, channels)
        yield Pair(
            f"depthwise, {kernel} x {kernel}, {channels} x {size} x {size}: slices",
            by_conv,
            by_slices,
            (array(1, 24, size, size), *weights, array(24, channels, 1, 1)),
        )


def pools() -> Iterator[Pair]:
    """As in ResNets: after the first convolution, before the second."""

    def max_pool(y):
        around = ((0, 0), (0, 0), (1, 1), (1, 1))
        sizes = (1, 1, 3, 3), (1, 1, 2, 2)
        return jax.lax.reduce_window(y, -jnp.inf, jax.lax.max, *sizes, around)

    def first(pool, x, w, v):
        y = pool(jax.nn.relu(conv.conv(x, w, None, 2, 3)))
        return conv.conv(y, v, None, 1, 1)

    yield Pair(
        "conv, max_pool 3 x 3 / 2 of 64 x 112 x 112, conv: channels last",
        lambda *args: first(max_pool, *args),
        lambda *args: first(lambda y: pool.max_pool(y, 3, 2, 1), *args),
        (array(1, 3, 224, 224), array(7, 7, 3, 64), array(3, 3, 64, 64)),
    )


def networks() -> Iterator[Pair]:
    """A whole network, since it is the layers before the mean that become slow."""
    path = zoo.exported(zoo.MODELS["resnet18"], "bridge")
    ours, plain = oxide_xla.compile(path), oxide_xla.compile(path)
    plain.module.global_mean = lambda x, keepdims=False: jnp.mean(
        x, (2, 3), keepdims=keepdims
    )
    args = jax.device_put(ours.params), array(1, 3, 224, 224)
    yield Pair("ResNet-18: the mean over space", plain.forward, ours.forward, args)


def least(pair: Pair, turns: int) -> list[float]:
    """Milliseconds of a call of each."""
    calls = [jax.jit(pair.plain), jax.jit(pair.ours)]
    best, repeats = [float("inf")] * 2, 1
    for turn in range(-1, turns):
        for i, call in enumerate(calls):
            jax.block_until_ready(call(*pair.args))
            start = time.process_time()
            for _ in range(repeats):
                jax.block_until_ready(call(*pair.args))
            spent = (time.process_time() - start) / repeats
            best[i] = min(best[i], spent)
        if turn < 0:  # the first calls compile
            repeats = max(1, int(BUDGET / max(best)))
            best = [float("inf")] * 2
    return [1000 * seconds for seconds in best]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10)
    turns = parser.parse_args().turns
    table = Table("rule", "without, ms", "with, ms", "ratio")
    groups = (
        products,
        activations,
        recurrent,
        pointwise,
        depthwise,
        pools,
        networks,
    )
    for group in groups:
        for pair in group():
            plain, ours = least(pair, turns)
            table.add_row(
                pair.name, f"{plain:.3g}", f"{ours:.3g}", f"{plain / ours:.1f}x"
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
