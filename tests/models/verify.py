"""Prints the correctness table of docs/results.md: `make verify`.

The speedups are measured as `make bench-run` does it: PyTorch eager and the generated
code in processes that take turns, and PyTorch's better way to wait.
"""

import os
import sys
import tempfile
from pathlib import Path

from models import pillars, zoo

sys.path.append(str(pillars.ROOT / "bench"))

import contest
import engines

COLUMNS = (
    "Architecture",
    "Exporter",
    "Input shape",
    "Torch sum",
    "JAX sum",
    "MSE",
    "Speedup",
    "As loaded",
    "Status",
)
CORES = min(2, len(os.sched_getaffinity(0)))
ROUNDS, SECONDS = 15, 4


def speedups(
    model: zoo.ZooModel, exporter: str, module: Path, between: contest.Contest
) -> list[str]:
    """PyTorch's time over ours: with prepared parameters, and with those loaded."""
    inputs = tuple(x.numpy() for x in model.inputs())
    path = zoo.exported(model, exporter)
    task = engines.Task(model.name, module, path, inputs)
    row = between.measure(task, ROUNDS, SECONDS)
    ratios = row.speedup(row.ours()), row.speedup("loaded")
    return ["-" if ratio is None else f"{ratio:.2f}x" for ratio in ratios]


def main() -> int:
    """Measure the five models through each exporter; 1 when one of them fails."""
    print(f"Speedup: PyTorch eager over jax.jit, CPU cores: {CORES}.\n")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    failed = False
    with contest.contest(CORES, onnxruntime=False) as between:
        for model in zoo.MODELS.values():
            for exporter in pillars.EXPORTERS:
                with tempfile.TemporaryDirectory() as folder:
                    sums = pillars.identity(model, exporter, Path(folder))
                    module = Path(folder) / pillars.MODULE
                    ratios = speedups(model, exporter, module, between)
                torch_sum, jax_sum, mse = sums
                passed = mse < pillars.MSE_LIMIT
                failed |= not passed
                print(
                    f"| {model.architecture} | {exporter} | {model.shape} "
                    f"| {torch_sum:.4f} | {jax_sum:.4f} | {mse:.2e} "
                    f"| {' | '.join(ratios)} | {'ok' if passed else 'FAILED'} |",
                    flush=True,
                )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
