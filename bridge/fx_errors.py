"""The failures that the bridge reports, and how it words them."""

from __future__ import annotations


class BridgeError(Exception):
    """A failure to report in one line; `code` is the exit status."""

    code = 1


class ModelError(BridgeError):
    """The model cannot be built, run or exported."""


class UsageError(BridgeError):
    """The caller asked for something that does not exist or does not fit."""

    code = 2


def innermost(error: BaseException) -> BaseException:
    """The cause of the cause ... of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def reason(error: BaseException) -> str:
    """The first line of the innermost cause of an error, cut to a readable length."""
    error = innermost(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if isinstance(error, BridgeError):
        return text
    return f"{type(error).__name__}: {text[:200]}"
