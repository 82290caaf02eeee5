"""Measure how fast the generated code runs and print it as tables: `make bench-run`.

Each model runs as generated code, in PyTorch eager and in onnxruntime, each in a
process of its own, on the same cores. The processes take turns, round after round, so
that all see the same machine; the order changes from round to round. PyTorch runs
twice, with its default and with passive waiting of its threads, and the better one
counts. A speedup is the median over the rounds of PyTorch's time over ours. Outputs are
compared first: a wrong result has no speed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import instructions
import speed_models
import tasks
from contest import Contest, Row, contest

NUMBERS = {1: "One core", 2: "Two cores"}


# ---- tables --------------------------------------------------------------------------


def figure(milliseconds: float) -> str:
    """Three digits."""
    digits = 2 - math.floor(math.log10(milliseconds)) if milliseconds > 0 else 0
    return f"{milliseconds:.{max(0, min(4, digits))}f}"


def cell(row: Row, contestant: str) -> str:
    """Minimum / median of a contestant, and half the distance of its quartiles."""
    rounds = row.rounds(contestant)
    if not rounds:
        return "-"
    middle = statistics.median(rounds)
    several = rounds if rounds[1:] else rounds * 2
    low, _, high = statistics.quantiles(several, n=4, method="inclusive")
    spread = 50 * (high - low) / middle
    least = row.times[contestant].least
    return f"{figure(least)} / {figure(middle)} ±{spread:.0f} %"


def ratio(value: float | None) -> str:
    """A speedup."""
    return "-" if value is None else f"{value:.2f}x"


def mean(values: Sequence[float | None]) -> float | None:
    """The geometric mean of those that are there; None where one is missing."""
    if not values or None in values:
        return None
    return statistics.geometric_mean(values)


HEADER = (
    "| model | PyTorch | onnxruntime | as loaded | prepared | as loaded: speedup "
    "| prepared: speedup | against onnxruntime |\n|---|---|---|---|---|---|---|---|"
)


def title_of(row: Row) -> str:
    """The model's name in tables."""
    return speed_models.MODELS[row.model].architecture


def line(row: Row) -> str:
    """One line of a table of speeds."""
    best = row.torch()
    passive = " (passive)" if best == "torch passive" else ""
    ours = row.ours()
    cells = [
        title_of(row),
        cell(row, best) + passive,
        cell(row, "onnxruntime"),
        cell(row, "loaded"),
        cell(row, "prepared"),
        ratio(row.speedup("loaded")),
        ratio(row.speedup(ours)),
        ratio(row.speedup(ours, "onnxruntime")),
    ]
    return f"| {' | '.join(cells)} |"


def summary(rows: Sequence[Row]) -> str:
    """The geometric means below a table."""

    def means(chosen: Sequence[Row], what: str) -> str:
        loaded = mean([row.speedup("loaded") for row in chosen])
        ours = mean([row.speedup(row.ours()) for row in chosen])
        return f"{what}: {ratio(ours)} prepared, {ratio(loaded)} as loaded"

    seeds = [row for row in rows if row.model in speed_models.SEEDS]
    parts = [means(rows, f"Geometric mean of all {len(rows)}")]
    if seeds:
        parts.insert(0, means(seeds, f"Geometric mean of the README's {len(seeds)}"))
    return ". ".join(parts) + "."


def first_calls(rows: Sequence[Row]) -> str:
    """What JAX does before the first result, in seconds."""
    names = ("trace", "lower", "XLA", "cached", "prepare")
    lines = [
        "| model | trace | lower | XLA | all with JAX's cache filled | prepare |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row.stages[n]:.2f}" if n in row.stages else "-" for n in names]
        lines.append(f"| {' | '.join([title_of(row), *cells])} |")
    return "\n".join(lines)


# ---- the program ---------------------------------------------------------------------


def print_rows(engines: Contest, batch: int, options: argparse.Namespace) -> list[Row]:
    """Measure the models at this batch size and print the table."""
    what = "CPU time" if options.cpu else "time"
    cores = NUMBERS.get(engines.cores, f"{engines.cores} cores")
    print(f"\n### {cores}, batch {batch}\n")
    print(f"Minimum / median of the {what} of a call in ms, ± half the quartiles.\n")
    print(HEADER, flush=True)
    rows = []
    for name in options.models:
        task = tasks.task(name, batch, options.exporter, batch == options.batch[0])
        row = engines.measure(task, options.rounds, options.seconds, options.cpu)
        rows.append(row)
        for note in row.notes:
            print(f"{name}: {note}", file=sys.stderr)
        print(line(row), flush=True)
    print(f"\n{summary(rows)}")
    busiest = max(row.others for row in rows)
    load = os.getloadavg()[0]
    print(
        f"Load of the machine {load:.1f}; other processes used up to "
        f"{busiest:.2f} cores while a model was measured."
    )
    timed = [row for row in rows if row.stages]
    if timed:
        print(f"\nThe first call, batch {batch}, in seconds:\n")
        print(first_calls(timed), flush=True)
    return rows


def as_json(row: Row) -> dict:
    """All that was measured, and the speedups."""
    speedups = {
        name: row.speedup(name) for name in ("loaded", "prepared") if row.rounds(name)
    }
    return asdict(row) | {"speedup": speedups, "torch_is": row.torch()}


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The options; --quick is a choice of some of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(speed_models.MODELS)
    parser.add_argument("--models", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--cores", type=int, nargs="+", help="default: 2 1")
    parser.add_argument("--batch", type=int, nargs="+", help="default: 1 8")
    parser.add_argument("--rounds", type=int, help="at most (15)")
    parser.add_argument("--seconds", type=float, help="for a model, about (8)")
    parser.add_argument("--quick", action="store_true", help="the five, batch 1")
    parser.add_argument(
        "--exporter", choices=["bridge", "dynamo", "torchscript"], default="bridge"
    )
    parser.add_argument("--cpu", action="store_true", help="CPU time: a busy machine")
    parser.add_argument(
        "--synchronous", action="store_true", help="JAX without asynchronous dispatch"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--profile", choices=names, metavar="MODEL", help="its XLA instructions instead"
    )
    options = parser.parse_args(words)
    most = len(os.sched_getaffinity(0))
    options.models = options.models or (
        list(speed_models.SEEDS) if options.quick else names
    )
    options.cores = options.cores or ([min(2, most)] if options.quick else [2, 1])
    options.batch = options.batch or ([1] if options.quick else [1, 8])
    options.rounds = options.rounds or (7 if options.quick else 15)
    options.seconds = options.seconds or (3 if options.quick else 8)
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Print all tables; 1 when a result was wrong or an engine failed."""
    options = arguments(words)
    if options.profile:
        return instructions.report(options)
    rows = []
    for cores in options.cores:
        with contest(cores, synchronous=options.synchronous) as engines:
            for batch in options.batch:
                rows += print_rows(engines, batch, options)
    if options.json:
        options.json.write_text(json.dumps([as_json(row) for row in rows], indent=1))
    return int(any(row.notes for row in rows))


if __name__ == "__main__":
    sys.exit(main())
