"""docs/conformance.md: written from outcomes, and read back into them.

Every case that the document does not name passed exactly under jit. So a group of cases
can be checked against the document by itself, and the totals against the lists.
"""

import collections
import functools
import re
from pathlib import Path

import onnx

from conformance import suite
from conformance.suite import DRAW, EXACT, FAILED, KINDS, REFUSAL, Outcome

PATH = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
GROUPS = 64  # of neighbours by name, so that one operator is in few of them

INTRO = """\
# Conformance

Written by `make conformance`. ONNX's own backend suite, whole, as the onnx package
{version} holds it, against `oxide_xla.backend`: compiled, imported, called. A case
passes exactly when count, shapes, dtypes and values of its outputs are those of the
suite, by the suite's own comparison and tolerances. The models of *light* are further
networks, with made-up weights, that the package holds.
"""

WIDE = """
## 64-bit mode

With `jax_enable_x64` every type of ONNX is a type of JAX.
"""

NARROW = """
## 32-bit mode

JAX's default. The cases in which no element that goes in or comes out has 64 bits.
"""

UNJITTED = """
## Under jit

Of the cases that run, {jitted} have a `forward` under `jax.jit`, {unjitted} have not:
these operators of theirs need values at run time as shapes.
"""


@functools.cache
def all_cases():
    """[(kind, name)] of the whole suite."""
    return [(kind, name) for kind in KINDS for name in suite.names(kind)]


def group_cases(group):
    """The cases of one of GROUPS groups."""
    cases = all_cases()
    return cases[len(cases) * group // GROUPS : len(cases) * (group + 1) // GROUPS]


def render(outcomes):
    """The document."""
    outcomes = sorted(outcomes, key=lambda o: (KINDS.index(o.kind), o.name))
    ran = [o for o in outcomes if o.status in (EXACT, DRAW)]
    unjitted = [o for o in ran if o.unjitted]
    lines = [INTRO.format(version=onnx.__version__), WIDE, ""]
    lines += _totals([(o.kind, o.status) for o in outcomes])
    lines += _listed([(o, o.status, o.reason) for o in outcomes])
    lines += [NARROW, ""]
    narrow = [o for o in outcomes if o.narrow]
    lines += _totals([(o.kind, o.narrow) for o in narrow])
    lines += _listed([(o, o.narrow, o.narrow_reason) for o in narrow])
    numbers = {"jitted": len(ran) - len(unjitted), "unjitted": len(unjitted)}
    lines += [UNJITTED.format(**numbers), "", "| case | operators |", "|---|---|"]
    lines += [f"| {o.kind} `{o.name}` | {', '.join(o.unjitted)} |" for o in unjitted]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _totals(statuses):
    columns = [EXACT, DRAW, REFUSAL, FAILED]
    counts = collections.Counter(statuses)
    kinds = [kind for kind in KINDS if any(k == kind for k, _ in statuses)]
    yield f"| kind | cases | {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|"
    for kind in kinds:
        row = [counts[kind, column] for column in columns]
        yield f"| {kind} | {sum(row)} | {' | '.join(map(str, row))} |"
    suite = [sum(counts[k, c] for k in kinds if k != "light") for c in columns]
    row = " | ".join(map(str, suite))
    yield f"| all but light | {sum(suite)} | {row} |"


def _listed(rows):
    named = [(o, status, reason) for o, status, reason in rows if status != EXACT]
    if named:
        yield from ["", "| case | outcome | reason |", "|---|---|---|"]
    for o, status, reason in named:
        reason = reason.replace("|", "\\|")
        yield f"| {o.kind} `{o.name}` | {status} | {reason} |"


def read(cases):
    """{case: outcome} as the document has it, for (kind, name) of some cases."""
    wide, narrow, unjitted = (
        _rows(part) for part in re.split(r"^## .*", PATH.read_text(), flags=re.M)[1:]
    )
    outcomes = {}
    for case in cases:
        status, reason = wide.get(case, (EXACT, ""))
        in_narrow = suite.is_narrow(suite.load(*case))
        (also,) = unjitted.get(case, ("",))
        outcomes[case] = Outcome(
            *case,
            status,
            reason,
            *(narrow.get(case, (EXACT, "")) if in_narrow else (None, "")),
            tuple(also.split(", ")) if also else (),
        )
    return outcomes


def _rows(part):
    """{(kind, name): the other columns} of the table that names cases."""
    rows = re.findall(r"^\| (\S+) `(\S+)` \| (.*) \|$", part, re.M)
    return {
        (kind, name): [column.replace("\\|", "|") for column in rest.split(" | ", 1)]
        for kind, name, rest in rows
    }
