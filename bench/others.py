"""What other programs make of the same files: `make bench-others` prints two tables.

The first counts the cases of ONNX's backend suite that each passes, by the suite's own
comparison, as `make conformance` does for OxideXLA. The second has the mean squared
difference from PyTorch for five models through three exporters, or why there is none.

A program that is not installed takes no part. `make bench-others` puts those that the
tests have no use for into build/others.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import importlib
import importlib.util
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / path) for path in ("tests", "bridge", "python")]
sys.path.append(str(ROOT / "build" / "others"))

from conformance import document, suite  # noqa: E402 - the paths come first
from models import pillars, zoo  # noqa: E402

Run = Callable[[Sequence[object]], Sequence[object]]


# ---- the programs --------------------------------------------------------------------


def onnxruntime(model: onnx.ModelProto) -> Run:
    """Its CPU provider, without messages of its own."""
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    session = ort.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs)))


def jaxonnxruntime(model: onnx.ModelProto) -> Run:
    """Its backend, in the mode in which it takes most: 64-bit types, and shapes may
    come from inputs."""
    from jaxonnxruntime import backend, config

    config.update("jaxort_only_allow_initializers_as_static_args", False)
    run = backend.Backend.prepare(model).run

    def wide(inputs: Sequence[object]) -> Sequence[object]:
        with jax.enable_x64(True):
            return run(inputs)

    return wide


PROGRAMS = {"onnxruntime": onnxruntime, "jaxonnxruntime": jaxonnxruntime}


def installed() -> list[str]:
    """The programs that can be imported."""
    return [name for name in PROGRAMS if importlib.util.find_spec(name)]


def as_numpy(value: object) -> object:
    """Sequences stay such, and None where an optional is absent."""
    if isinstance(value, list | tuple):
        return [as_numpy(item) for item in value]
    return None if value is None else np.asarray(value)


def reason(error: BaseException) -> str:
    """The first line of an error, or its kind where it says nothing."""
    line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line}"[:120]


# ---- ONNX's suite --------------------------------------------------------------------


def passes(program: str, kind: str, name: str) -> bool:
    """Whether a case comes out as the suite has it."""
    case = suite.load(kind, name)
    try:
        run = PROGRAMS[program](case.model)
        for inputs, expected in case.pairs:
            actual = as_numpy(list(run(inputs)))
            suite.compare(actual, expected, case.rtol, case.atol)
    except Exception:  # noqa: BLE001 - whatever it is, the case is not passed
        return False
    return True


def count_passed(program: str, group: int) -> int:
    """How many of a group; the models of "light" do not belong to the suite."""
    warnings.simplefilter("ignore")
    cases = [case for case in document.group_cases(group) if case[0] != "light"]
    passed = sum(passes(program, *case) for case in cases)
    jax.clear_caches()
    return passed


def print_suite(programs: Sequence[str]) -> None:
    """A row for each program."""
    cases = [case for case in document.all_cases() if case[0] != "light"]
    print(f"| program | passes of {len(cases)} cases |\n|---|---|")
    context = multiprocessing.get_context("spawn")
    workers = min(2, os.cpu_count() or 1)
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        for program in programs:
            count = functools.partial(count_passed, program)
            print(f"| {program} | {sum(pool.map(count, range(document.GROUPS)))} |")
            sys.stdout.flush()


# ---- five models ---------------------------------------------------------------------


def difference(program: str, model: zoo.ZooModel, exporter: str) -> str:
    """The mean squared difference from PyTorch, or what went wrong."""
    inputs = model.inputs()
    expected = model.outputs(model.build(), *inputs).numpy()
    try:
        run = PROGRAMS[program](onnx.load(zoo.exported(model, exporter)))
        (actual,) = run([x.numpy() for x in inputs])
    except Exception as error:  # noqa: BLE001 - it is what the table says
        return reason(error).replace("|", "\\|")
    return f"{np.mean((np.asarray(actual, np.float64) - expected) ** 2):.1e}"


def ours(model: zoo.ZooModel, exporter: str) -> str:
    """The same of the generated module."""
    with tempfile.TemporaryDirectory() as folder:
        return f"{pillars.identity(model, exporter, Path(folder))[2]:.1e}"


def rows(programs: Sequence[str], models: Sequence[str]) -> Iterator[list[str]]:
    """What the table of models holds."""
    for name in models:
        model = zoo.MODELS[name]
        for exporter in pillars.EXPORTERS:
            others = [difference(program, model, exporter) for program in programs]
            yield [model.architecture, exporter, ours(model, exporter), *others]


def print_models(programs: Sequence[str], models: Sequence[str]) -> None:
    """A row for each model and exporter."""
    head = ["model", "exporter", "OxideXLA", *programs]
    print(f"\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for row in rows(programs, models):
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Print both tables, or that of some models."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "models", nargs="*", help="some of the five models, and no suite"
    )
    chosen = parser.parse_args().models
    if unknown := set(chosen) - zoo.MODELS.keys():
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    programs = installed()
    for program in programs:
        version = importlib.import_module(program).__version__
        print(f"{program} {version}")
    print()
    if not chosen:
        print_suite(programs)
    print_models(programs, chosen or list(zoo.MODELS))


if __name__ == "__main__":
    main()
