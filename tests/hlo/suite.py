"""ONNX's backend suite through StableHLO: every case that has a `forward` under
`jax.jit` is lowered, parsed, verified and run by jaxlib's own client, and gives what
the generated module gives."""

import collections
import concurrent.futures
import dataclasses
import multiprocessing
import os

import jax
import numpy as np

import oxide_xla
from conformance import document, suite
from hlo import cases

EQUAL, REFUSED, NOT_LOWERED, FAILED = "equal", "refused", "not lowered", "failed"


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of one case."""

    kind: str
    name: str
    status: str
    reason: str = ""
    worst: float = 0.0  # units in the last place of the largest element
    custom_calls: tuple[str, ...] = ()
    by_signature: bool = True  # lowered from the types in the model alone


def run(kind, name):
    """One case, with 64-bit types: so it has those of the model."""
    case = suite.load(kind, name)
    try:
        model = oxide_xla.compile(case.model)
    except oxide_xla.OxideError as error:
        return Result(kind, name, REFUSED, first_line(error))
    inputs = [as_arrays(x) for x in case.pairs[0][0]]
    try:
        return compared(kind, name, model, inputs)
    except oxide_xla.OxideError as error:
        return Result(kind, name, NOT_LOWERED, first_line(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the case failed
        text = f"{type(error).__name__}: {first_line(error)}"
        return Result(kind, name, FAILED, text)


def compared(kind, name, model, inputs):
    """A case that compiles: from the types in the file, or else from its inputs."""
    by_signature = True
    try:
        lowered = model.lower(x64=True)
    except oxide_xla.OxideError:
        by_signature = False
        lowered = model.lower(*inputs, x64=True)
    worst = cases.run_and_compare(model, lowered, inputs)
    status = EQUAL if worst <= cases.ULPS else FAILED
    reason = "" if status == EQUAL else f"{worst:.0f} units in the last place"
    calls = tuple(lowered.custom_calls)
    return Result(kind, name, status, reason, worst, calls, by_signature)


def as_arrays(value):
    """A list of lists of arrays stays one; None is an absent optional."""
    if isinstance(value, list | tuple):
        return [as_arrays(x) for x in value]
    return None if value is None else np.asarray(value)


def first_line(error):
    return str(error).strip().partition("\n")[0]


def run_group(group):
    """The results of one group of cases; what JAX compiled for it is dropped."""
    results = [run(*case) for case in document.group_cases(group)]
    jax.clear_caches()
    return results


def run_all():
    """The results of every case."""
    context = multiprocessing.get_context("spawn")
    workers = min(4, os.cpu_count() or 1)
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        groups = pool.map(run_group, range(document.GROUPS))
        return [result for results in groups for result in results]


def sample(step=20):
    """Every twentieth case."""
    return document.all_cases()[::step]


def totals(results):
    """How many cases had which end."""
    return collections.Counter(result.status for result in results)
