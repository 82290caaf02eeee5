"""Prints the correctness table of the README: `make verify`."""

import sys
import tempfile
from pathlib import Path

from models import pillars, zoo

HEADER = (
    "| Architecture | Exporter | Input shape | Torch sum | JAX sum | MSE | Speedup "
    "| Status |\n|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Measure the five models through each exporter; 1 when one of them fails."""
    print(HEADER)
    failed = False
    for model in zoo.MODELS.values():
        for exporter in pillars.EXPORTERS:
            with tempfile.TemporaryDirectory() as folder:
                row = pillars.measure(model, exporter, Path(folder))
            failed |= not row.passed
            status = "ok" if row.passed else "FAILED"
            print(
                f"| {row.architecture} | {row.exporter} | {row.shape} "
                f"| {row.torch_sum:.4f} | {row.jax_sum:.4f} | {row.mse:.2e} "
                f"| {row.speedup:.2f}x | {status} |",
                flush=True,
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
