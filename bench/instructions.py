"""Which XLA instructions take the time of a call: `bench/run.py --profile MODEL`.

XLA on a CPU runs a program instruction by instruction ("thunks"), and reports each to
JAX's profiler. What counts is the shortest run of each, the least disturbed. The times
on one core and on two, side by side, say what does not split: an instruction that takes
as long on two cores runs on one thread.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engines
import tasks
from contest import chosen_cores

CALLS = 20
SHOWN = 0.01  # of the time: what takes less is counted only
INSTRUCTION = re.compile(
    r"^ +(?:ROOT )?%?([\w.-]+) = (\([^()]*\)|\S+)(.*)$", re.MULTILINE
)
FLAG = "--xla_cpu_enable_xprof_traceme=true"


@dataclass(frozen=True)
class Instruction:
    """One instruction of the compiled program."""

    shape: str  # of its result, with the layout
    source: str  # the operation of JAX that it came from
    inner: bool  # in the body of another one, whose time counts it too


@dataclass(frozen=True)
class Profile:
    """What the profiler tells of one program."""

    instructions: dict[str, Instruction]
    times: dict[str, float]  # instruction -> us of its shortest run, times runs a call
    call: float  # us of a whole call, the median, without the profiler


class ProfiledJax(engines.Jax):
    """The generated module under the profiler."""

    def profile(self, task: engines.Task, calls: int) -> Profile:
        """Run the module, with prepared parameters where it has `prepare`."""
        import jax

        _, module, params, _ = self.built = (task.module, *self._build(task.module))
        chosen = params.get("prepared", params["loaded"])
        inputs = [jax.numpy.asarray(x) for x in task.inputs]
        text = module.forward.lower(chosen, *inputs).compile().as_text()

        def call() -> Any:
            return jax.block_until_ready(module.forward(chosen, *inputs))

        call()
        clock = engines.take_turn(call, 0.5, engines.WARM).clock
        runs = run_times(call, calls)
        times = {name: min(seen) * len(seen) / calls for name, seen in runs.items()}
        return Profile(parse(text), times, 1e6 * statistics.median(clock))


def run_times(call: Callable[[], object], calls: int) -> dict[str, list[float]]:
    """The instructions that the profiler saw, with the us of each run."""
    import jax

    runs = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(calls):
                call()
        [path] = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
        for plane in data.planes:
            for line in plane.lines:
                for event in line.events:
                    if "hlo_op" in dict(event.stats):
                        runs[event.name].append(event.duration_ns / 1e3)
    return runs


def parse(text: str) -> dict[str, Instruction]:
    """The instructions of a program as XLA prints it."""
    entry = text.index("\nENTRY ")
    found = {}
    for match in INSTRUCTION.finditer(text):
        name, shape, rest = match.groups()
        source = re.search(r'op_name="([^"]*)"', rest)
        path = re.sub(r"jit\(\w+\)/", "", source[1]) if source else ""
        shape = "a tuple" if shape.startswith("(") else shape
        found[name] = Instruction(shape, path, match.start() < entry)
    return found


# ---- the table -----------------------------------------------------------------------


def kind_of(name: str, source: str) -> str:
    """What JAX calls the operation, and what XLA made of it."""
    operation = source.rsplit("/", 1)[-1] or "-"
    return f"{operation} ({re.sub(r'[.0-9]+$', '', name)})"


def microseconds(value: float) -> str:
    """A time, to a tenth where it is short."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def split(times: Sequence[float]) -> str:
    """How much faster the most cores are than the fewest."""
    return f" {times[0] / times[-1]:.2f}x |" if times[-1] else " - |"


def table(
    title: str, rows: dict[str, list[float]], cores: Sequence[int], total: float
) -> str:
    """Rows by time on the fewest cores, with their share of `total` us."""
    heads = [f"{n} core{'s' * (n > 1)}: us" for n in cores]
    heads += ["split"] * (len(cores) > 1)
    lines = [f"| {' | '.join([title, 'share', *heads])} |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    shown = {name: times for name, times in rows.items() if times[0] >= SHOWN * total}
    for name, times in sorted(shown.items(), key=lambda row: -row[1][0]):
        cells = [name, f"{times[0] / total:.0%}", *map(microseconds, times)]
        lines.append(f"| {' | '.join(cells)} |" + (split(times) if times[1:] else ""))
    if left := len(rows) - len(shown):
        lines.append(
            f"| {left} more, each below {SHOWN:.0%} |" + " |" * len(heads) + " |"
        )
    return "\n".join(lines)


def report(options: argparse.Namespace) -> int:
    """Print a model's instructions on each number of cores."""
    name, numbers = options.profile, sorted(options.cores)
    for batch in options.batch:
        task = tasks.task(name, batch, options.exporter, False)
        profiles = []
        for cores in numbers:
            process = engines.Process(
                ProfiledJax, chosen_cores(cores), JAX_PLATFORMS="cpu", XLA_FLAGS=FLAG
            )
            try:
                profiles.append(process.ask("profile", task, CALLS))
            finally:
                process.close()
        print(f"\n### {name}, batch {batch}\n")
        print(tables(profiles, numbers), flush=True)
    return 0


def tables(profiles: Sequence[Profile], cores: Sequence[int]) -> str:
    """By kind of operation, then instruction by instruction."""
    kinds: dict[str, list[float]] = {}
    counts: Counter[str] = Counter()
    single: dict[str, list[float]] = {}
    first = profiles[0]
    for name in first.times:
        known = first.instructions.get(name, Instruction("", "", False))
        times = [profile.times.get(name, 0.0) for profile in profiles]
        inside = " (inside another)" if known.inner else ""
        single[f"{name} {known.shape} {known.source}{inside}"] = times
        if known.inner:
            continue
        kind = kind_of(name, known.source)
        counts[kind] += 1
        before = kinds.get(kind, [0.0] * len(profiles))
        kinds[kind] = [a + b for a, b in zip(before, times, strict=True)]
    named = {f"{counts[kind]} {kind}": times for kind, times in kinds.items()}
    sums = [sum(times) for times in zip(*kinds.values(), strict=True)]
    heads = [
        f"{n} core{'s' * (n > 1)}: a call takes {profile.call:.0f} us, "
        f"its instructions {total:.0f} us"
        for n, profile, total in zip(cores, profiles, sums, strict=True)
    ]
    return "\n\n".join(
        [
            ". ".join(heads) + ".",
            table("kind", named, cores, sums[0]),
            table("instruction", single, cores, sums[0]),
        ]
    )
