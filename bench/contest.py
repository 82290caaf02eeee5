"""Measure a model in several engines, each in a process of its own, in turns."""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import engines
import numpy as np

LIMIT = 1e-10  # mean square of the difference to PyTorch, over the variance
TURN = 0.1  # seconds of calls, or one call where that takes longer


@dataclass
class Times:
    """Milliseconds of a call: one figure for each round, the median of its calls."""

    clock: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    least: float = math.inf  # of all calls

    def add(self, turn: engines.Turn, of_cpu: bool) -> None:
        """Count a turn."""
        self.clock.append(1e3 * statistics.median(turn.clock))
        self.cpu.append(1e3 * turn.cpu)
        least = turn.cpu if of_cpu else min(turn.clock)
        self.least = min(self.least, 1e3 * least)


@dataclass
class Row:
    """One model at one batch size on so many cores."""

    model: str
    batch: int
    cores: int
    times: dict[str, Times] = field(default_factory=dict)  # contestant -> times
    stages: dict[str, float] = field(default_factory=dict)  # first call: seconds
    notes: list[str] = field(default_factory=list)  # what failed
    others: float = 0.0  # cores that other processes kept busy meanwhile
    of_cpu: bool = False

    def rounds(self, contestant: str) -> list[float]:
        """Its time in each round; empty where it failed."""
        times = self.times.get(contestant, Times())
        return times.cpu if self.of_cpu else times.clock

    def torch(self) -> str:
        """PyTorch's better way to wait."""
        kinds = [kind for kind in ("torch", "torch passive") if self.rounds(kind)]
        return min(kinds, key=lambda kind: statistics.median(self.rounds(kind)))

    def speedup(self, contestant: str, over: str = "") -> float | None:
        """How much faster it is than PyTorch (or another), round by round."""
        ours, theirs = self.rounds(contestant), self.rounds(over or self.torch())
        if not ours or not theirs:
            return None
        return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))

    def ours(self) -> str:
        """What counts: prepared parameters, where the module has `prepare`."""
        return "prepared" if self.rounds("prepared") else "loaded"


# ---- the machine ---------------------------------------------------------------------


def busy_ticks() -> int:
    """Clock ticks that all processors have worked since the machine started."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, soft, steal = map(int, words[:8])
    return user + nice + system + irq + soft + steal


def own_ticks(pids: Sequence[int]) -> int:
    """Clock ticks of these processes."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/stat").read_text()
        words = text[text.rindex(")") + 2 :].split()
        total += int(words[11]) + int(words[12])
    return total


def chosen_cores(count: int) -> list[int]:
    """The last ones: interrupts come to the first."""
    cores = sorted(os.sched_getaffinity(0))[-count:]
    if len(cores) < count:
        sys.exit(f"{count} cores are asked for and there are {len(cores)}")
    return cores


# ---- measuring -----------------------------------------------------------------------


class Contest:
    """Engines that take turns; one of them is PyTorch, by the name of "torch"."""

    def __init__(self, cores: int, processes: dict[str, engines.Process]):
        self.cores = cores
        self.processes = processes

    def __enter__(self) -> Contest:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.close()

    def measure(
        self, task: engines.Task, rounds: int, seconds: float, of_cpu: bool = False
    ) -> Row:
        """Rounds until so many seconds have passed, three at least."""
        row = Row(task.name, len(task.inputs[0]), self.cores, of_cpu=of_cpu)
        callers = self._load(task, row)
        pids = [p.process.pid for p in self.processes.values()] + [os.getpid()]
        busy, own, start = busy_ticks(), own_ticks(pids), time.perf_counter()
        for turn in range(rounds):
            if turn >= min(3, rounds) and time.perf_counter() - start > seconds:
                break
            for name in list(callers)[:: -1 if turn % 2 else 1]:
                result = callers[name]()
                row.times[name].add(result, of_cpu)
        ticks = busy_ticks() - busy - (own_ticks(pids) - own)
        passed = (time.perf_counter() - start) * os.sysconf("SC_CLK_TCK")
        row.others = max(0.0, ticks / passed)
        return row

    def _load(
        self, task: engines.Task, row: Row
    ) -> dict[str, Callable[[], engines.Turn]]:
        """Who takes part, after their results have been compared."""
        callers: dict[str, Callable[[], engines.Turn]] = {}
        outputs: dict[str, np.ndarray] = {}
        for name, process in self.processes.items():
            try:
                loaded = process.ask("load", task)
                for variant, output in loaded.outputs.items():
                    label = name if variant == "torch" else variant
                    trial = process.ask("turn", variant, TURN, 0.0).clock
                    warm = engines.WARM if statistics.median(trial) < TURN else 0.0

                    def call(process=process, request=("turn", variant, TURN, warm)):
                        return process.ask(*request)

                    callers[label], outputs[label] = call, output
                row.stages |= loaded.stages
            except engines.EngineError as error:
                row.notes.append(f"{name}: {error}")
        if "torch" not in outputs:
            raise engines.EngineError(". ".join(row.notes))
        for label in list(callers):
            error = relative_error(outputs[label], outputs["torch"])
            if not error <= LIMIT:  # NaN is wrong, too
                row.notes.append(f"{label} differs from PyTorch by {error:.1e}")
                del callers[label]
        row.times = {label: Times() for label in callers}
        return callers


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Mean square of the difference over the variance; infinite for another shape."""
    if actual.shape != expected.shape:
        return math.inf
    wanted = expected.astype(np.float64)
    return float(np.mean((actual - wanted) ** 2) / (wanted.var() or 1.0))


def contest(
    cores: int, *, synchronous: bool = False, onnxruntime: bool = True
) -> Contest:
    """Generated code against PyTorch, and onnxruntime, on so many cores."""
    chosen = chosen_cores(cores)
    jax = engines.SynchronousJax if synchronous else engines.Jax
    processes = {
        "jax": engines.Process(jax, chosen, JAX_PLATFORMS="cpu"),
        "torch": engines.Process(engines.Torch, chosen),
    }
    if cores > 1:
        passive = engines.Process(engines.Torch, chosen, OMP_WAIT_POLICY="PASSIVE")
        processes["torch passive"] = passive
    if onnxruntime:
        processes["onnxruntime"] = engines.Process(engines.Onnxruntime, chosen)
    return Contest(cores, processes)
