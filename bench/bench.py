"""Measure the compiler and print what was found as tables: `make bench`.

Compile time by stage and peak memory for the five test models and for synthetic graphs
of up to a million nodes; the whole process on ResNet-18 with and without its weights,
against `cp` of the same file; and the two-layer MLP inside the process. Times are
medians; runs that are compared alternate, so that both see the same machine. On a busy
machine the CPU time of a process says more than the time on the wall.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from synthetic import write as write_synthetic

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("OXIDE_XLA", ROOT / "build" / "oxide_xla"))
LIBRARY = Path(os.environ.get("OXIDE_XLA_LIBRARY", ROOT / "build" / "liboxide_xla.so"))
WORK = ROOT / "build" / "bench"
FIXTURE = ROOT / "tests" / "fixtures" / "two_layer_mlp.onnx"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
MB = 1e6

console = Console(width=132, highlight=False)


@dataclass
class Run:
    """One finished process."""

    seconds: float
    cpu: float  # seconds of it, in the program and in the kernel
    stages: dict[str, float]  # what --timings prints: ms, and "memory" in MB


def spawn(command: Sequence[str | Path]) -> Run:
    """Run a program to its end; its standard error is read for `--timings`."""
    messages = WORK / "stderr.txt"
    start = time.perf_counter()
    pid = os.posix_spawn(
        str(command[0]),
        [str(word) for word in command],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 2, str(messages), os.O_RDWR | os.O_CREAT, 0o600)
        ],
    )
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    text = messages.read_text()
    messages.unlink()
    if status:
        sys.exit(f"{' '.join(map(str, command))}\n{text}")
    stages: dict[str, float] = {}
    for name, value in re.findall(r"^(\w+) +([\d.]+) (?:ms|MB)$", text, re.MULTILINE):
        stages[name] = stages.get(name, 0) + float(value)
    return Run(seconds, usage.ru_utime + usage.ru_stime, stages)


def medians(runs: Sequence[Run]) -> Run:
    """The median of each figure."""
    stages = {
        name: statistics.median(run.stages[name] for run in runs)
        for name in runs[0].stages
    }
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu for run in runs),
        stages,
    )


def alternate(runs: int, *steps: Callable[[], Run]) -> list[Run]:
    """Each step's medians, taken in turns."""
    results: list[list[Run]] = [[] for _ in steps]
    for _ in range(runs):
        for step, seen in zip(steps, results, strict=True):
            seen.append(step())
    return [medians(seen) for seen in results]


def compile_to(model: Path, name: str, *options: str) -> Run:
    """Compile into a fresh place in the work folder."""
    output = WORK / f"{name}.py"
    for old in WORK.glob(f"{name}.*"):
        old.unlink()
    return spawn([PROGRAM, "compile", model, "--output", output, *options])


# ---- what is measured ----------------------------------------------------------------


def exports() -> dict[str, tuple[Path, int]]:
    """The five models as the dynamo exporter writes them, with their node counts."""
    sys.path.insert(0, str(ROOT / "tests" / "models"))
    import onnx
    import zoo

    found = {}
    for model in zoo.MODELS.values():
        path = zoo.exported(model, "bridge")
        nodes = len(onnx.load(path, load_external_data=False).graph.node)
        found[model.architecture] = (path, nodes)
    return found


def synthetic(limit: int) -> dict[str, tuple[Path, int]]:
    """The synthetic graphs, written at the first call."""
    found = {}
    for nodes in SIZES:
        if nodes > limit:
            continue
        path = WORK / f"synthetic_{nodes}.onnx"
        if not path.exists():
            write_synthetic(nodes, path)
        found[f"synthetic, {nodes:,}"] = (path, nodes)
    return found


def file_bytes(path: Path) -> int:
    """Size of a model with the data files beside it."""
    beside = path.parent.glob(f"{path.name}.data")
    return path.stat().st_size + sum(p.stat().st_size for p in beside)


# ---- tables --------------------------------------------------------------------------

COLUMNS = {
    "read": ["read", "parse", "external"],
    "import": ["import", "options"],
    "infer": ["infer"],
    "codegen": ["hash", "codegen"],
    "write": ["write"],
}


def passes(stages: dict[str, float]) -> float:
    """Milliseconds in stages that no other column shows."""
    shown = {name for names in COLUMNS.values() for name in names} | {"total", "memory"}
    return sum(value for name, value in stages.items() if name not in shown)


def stage_table(models: dict[str, tuple[Path, int]], runs: int) -> None:
    """Time by stage without weights, time per node, and memory."""
    titles = [*list(COLUMNS)[:3], "passes", *list(COLUMNS)[3:], "total", "process"]
    table = Table(title="Compile time (ms, module alone) and memory (MB)")
    table.add_column("model", no_wrap=True)
    for title in ("nodes", *titles, "us/node", "file", "peak"):
        table.add_column(title, justify="right")
    per_node = {}
    for name, (path, nodes) in models.items():
        turns = 3 if nodes >= 100_000 else runs
        [run] = alternate(
            turns,
            lambda path=path: compile_to(path, "stage", "-w", "none", "--timings"),
        )
        cells = [sum(run.stages.get(s, 0) for s in names) for names in COLUMNS.values()]
        cells.insert(3, passes(run.stages))
        total = run.stages["total"]
        per_node[nodes] = total * 1e3 / nodes
        table.add_row(
            name,
            f"{nodes:,}",
            *(f"{cell:.2f}" if cell < 100 else f"{cell:.0f}" for cell in cells),
            f"{total:.2f}" if total < 100 else f"{total:.0f}",
            f"{run.seconds * 1e3:.2f}",
            f"{total * 1e3 / nodes:.2f}",
            f"{file_bytes(path) / MB:.1f}",
            f"{run.stages['memory']:.1f}",
        )
    console.print(table)
    if SIZES[1] in per_node and SIZES[3] in per_node:
        ratio = per_node[SIZES[3]] / per_node[SIZES[1]]
        console.print(f"time per node at 1M nodes: {ratio:.2f}x that at 10k\n")


def growth(runs: int) -> None:
    """How much more a node costs in a graph of ten times as many, runs in turns."""
    small, large = (WORK / f"synthetic_{nodes}.onnx" for nodes in SIZES[1:3])
    few, many = alternate(
        runs,
        lambda: compile_to(small, "small", "--weights", "none"),
        lambda: compile_to(large, "large", "--weights", "none"),
    )
    ratio = many.cpu / few.cpu * SIZES[1] / SIZES[2]
    console.print(f"CPU time per node at 100k nodes: {ratio:.2f}x that at 10k\n")


def process_table(resnet: Path, runs: int) -> None:
    """ResNet-18 as a whole process: alone, with weights, and cp of the same file."""
    cp, true = shutil.which("cp"), shutil.which("true")

    def copy() -> Run:
        (WORK / "copy.onnx").unlink(missing_ok=True)
        return spawn([cp, resnet, WORK / "copy.onnx"])

    # Copies of 47 MB would leave the caches cold for what takes 2 ms.
    empty, alone = alternate(
        10 * runs,
        lambda: spawn([true]),
        lambda: compile_to(resnet, "alone", "--weights", "none"),
    )
    weights, copied = alternate(runs, lambda: compile_to(resnet, "full"), copy)
    table = Table(title=f"ResNet-18, whole process ({runs} runs in turns)")
    table.add_column("command")
    for title in ("ms", "CPU ms", "against cp"):
        table.add_column(title, justify="right")
    for name, run in [
        ("an empty process (true)", empty),
        ("compile --weights none", alone),
        ("compile, module and weights", weights),
        ("cp of the model", copied),
    ]:
        ratio = run.seconds / copied.seconds
        table.add_row(
            name, f"{run.seconds * 1e3:.2f}", f"{run.cpu * 1e3:.2f}", f"{ratio:.2f}x"
        )
    console.print(table)


def in_process(runs: int) -> None:
    """The two-layer MLP through the shared library, without process and files."""
    library = ctypes.CDLL(str(LIBRARY))
    library.ox_new.restype = ctypes.c_void_p
    for name, count in [("ox_free", 1), ("ox_load_memory", 4), ("ox_compile", 2)]:
        getattr(library, name).argtypes = [ctypes.c_void_p] * count
    library.ox_load_memory.argtypes[2] = ctypes.c_size_t
    data = FIXTURE.read_bytes()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        compiler = library.ox_new(None)
        status = library.ox_load_memory(compiler, data, len(data), None)
        status = status or library.ox_compile(compiler, None)
        library.ox_free(compiler)
        times.append(time.perf_counter() - start)
        if status:
            sys.exit("the two-layer MLP does not compile")
    middle = statistics.median(times) * 1e3
    console.print(f"two-layer MLP inside the process: {middle:.4f} ms ({runs} runs)\n")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="runs of each measurement")
    parser.add_argument("--max-nodes", type=int, default=SIZES[-1])
    parser.add_argument("--no-models", action="store_true", help="needs no PyTorch")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    in_process(100 * options.runs)
    models = {} if options.no_models else exports()
    stage_table(models | synthetic(options.max_nodes), options.runs)
    if options.max_nodes >= SIZES[2]:
        growth(options.runs)
    if "ResNet-18" in models:
        process_table(models["ResNet-18"][0], options.runs)


if __name__ == "__main__":
    main()
