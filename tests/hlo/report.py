"""The part of docs/stablehlo.md that a run of the suite writes: how many cases were
compared, which were not, and why."""

import collections
from pathlib import Path

from conformance import document
from hlo import suite

PATH = Path(__file__).resolve().parents[2] / "docs" / "stablehlo.md"
BEGIN = "<!-- Written by `python -m hlo`. -->\n"
END = "<!-- End of what it writes. -->\n"


def unexpected(results):
    """The cases that docs/conformance.md has under jit and that are not equal here,
    with those that have failed."""
    documented = document.read([(r.kind, r.name) for r in results])
    return [
        r
        for r in results
        if r.status == suite.FAILED
        or (r.status == suite.NOT_LOWERED and not documented[r.kind, r.name].unjitted)
    ]


def render(results):
    """The lines between the marks."""
    totals = suite.totals(results)
    equal = [r for r in results if r.status == suite.EQUAL]
    exact = sum(r.worst == 0 for r in equal)
    calls = collections.Counter(c for r in equal for c in r.custom_calls)
    listed = ", ".join(f"`{target}` in {n}" for target, n in sorted(calls.items()))
    rows = [
        (len(equal), f"equal, {exact} of them bit by bit"),
        (
            sum(not r.by_signature for r in equal),
            "of these need examples of their inputs (`model.lower(*inputs)`): "
            "sequences, optionals, unknown ranks",
        ),
        (
            totals[suite.NOT_LOWERED],
            "are not lowered, since run-time values are shapes in them: all are among "
            "those that [conformance.md](conformance.md) lists as not under jit, with "
            "their operators",
        ),
        (totals[suite.REFUSED], "are refused by the compiler: mostly strings"),
        (len(equal) - sum(bool(r.custom_calls) for r in equal), "have no custom call"),
    ]
    lines = ["", f"| of {len(results)} cases | |", "|---|---|"]
    lines += [f"| {number} | {text} |" for number, text in rows]
    if calls:
        lines += ["", f"Custom calls: {listed}."]
    return "\n".join(lines) + "\n\n"


def write(results):
    """Put what a run has found into the document."""
    head, _, rest = PATH.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    PATH.write_text(head + BEGIN + render(results) + END + tail)
