"""Prints a Report as tables."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from oxide_xla.verify.check import Report
from oxide_xla.verify.comparing import Track
from oxide_xla.verify.metrics import Row

T = TypeVar("T")
PATIENCE = 1.0  # seconds before a progress bar appears


def tracker(console: Console, patience: float = PATIENCE) -> Track:
    """`track` of verify: a bar on terminals, once the work takes longer."""
    start = time.monotonic()

    def track(items: Iterable[T], what: str, total: int | None, /) -> Iterator[T]:
        if not console.is_terminal:
            yield from items
            return
        with Progress(console=console, transient=True, disable=False) as progress:
            task = progress.add_task(what, total=total, visible=False)
            for item in items:
                late = time.monotonic() - start > patience
                progress.update(task, visible=late)
                yield item
                progress.advance(task)

    return track


def print_report(report: Report, console: Console) -> None:
    """The tables, and where the first difference is."""
    print_rows(console, f"{report.name} against {report.against}", report.rows)
    if report.gradients:
        print_rows(console, "gradients", report.gradients)
    if report.layers and (report.passed or report.first is None):
        print_rows(console, "values", report.layers)
    elif report.layers and report.first is not None:
        print_rows(
            console,
            "values, to the first that differs",
            until(report.layers, report.first),
        )
    print_first(report, console)


def until(rows: list[Row], first: Row) -> list[Row]:
    """Some rows before the first failure, and it."""
    at = rows.index(first)
    return rows[max(0, at - 3) : at + 1]


def print_first(report: Report, console: Console) -> None:
    """The first node that differs, if there is one, and where it is reproduced."""
    row, found = report.first, report.reproduction
    if row is not None:
        text = f"first node that differs: {row.node} (makes {row.name}): {row.reason}"
        say(console, text)
    if found is not None and found.confirmed:
        say(console, f"it differs alone, too: see {found.folder}/reproduce.py")
    elif found is not None:
        say(
            console,
            f"alone, the node agrees (tried in {found.folder}): the mistake "
            "depends on what is around it",
        )
    elif row is None and not all(r.passed for r in report.rows):
        say(console, all_inside_agree(report.against))


def all_inside_agree(against: str) -> str:
    """What it means that outputs differ and no value inside does."""
    if against == "torch":  # values inside are compared with another reference
        return "every value inside agrees: the module is another than that of the file"
    return (
        "every value inside agrees when it is an output: the mistake "
        "depends on what is around a node"
    )


def say(console: Console, text: str) -> None:
    """A line of plain text, however long."""
    console.print(Text(text), soft_wrap=True)


def print_rows(console: Console, title: str, rows: list[Row]) -> None:
    """Rows as a table, with the nodes where they are known."""
    table = Table(title=escape(title), title_justify="left", expand=False)
    if named := any(row.node for row in rows):
        table.add_column("node", overflow="fold")
    table.add_column("value", overflow="fold")
    table.add_column("shape")
    for name in ("max abs", "relative", "ULP p99", "cosine", "argmax", "tolerance"):
        table.add_column(name, justify="right")
    table.add_column("verdict", overflow="fold")
    for row in rows:
        table.add_row(*([Text(row.node)] if named else []), *cells(row))
    console.print(table)


def cells(row: Row) -> list[Text]:
    """The columns of a row from the value's name on."""
    verdict = Text("ok", "green") if row.passed else Text(f"FAIL {row.reason}", "red")
    texts = [
        row.name,
        "×".join(map(str, row.shape)) or "()",
        number(row.max_abs, ".1e"),
        number(row.relative, ".1e"),
        number(row.ulp_p99, ".3g"),
        number(row.cosine, ".7f"),
        number(row.argmax, ".1%"),
        number(row.tolerance, ".1e"),
    ]
    return [*map(Text, texts), verdict]


def number(value: float, form: str) -> str:
    """A number in a format, - for what makes no sense."""
    return "-" if math.isnan(value) else format(value, form)
