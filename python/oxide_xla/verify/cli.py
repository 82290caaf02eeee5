"""`oxide_xla verify`: the program finds this as oxide_xla-verify on the PATH."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from oxide_xla import OxideError
from oxide_xla._extras import hint
from oxide_xla.verify.check import Report, verify
from oxide_xla.verify.network import VerifyError

OK, MISMATCH, USAGE, IO = range(4)
REFERENCES = ("onnxruntime", "torch", "reference")


EPILOG = """The tolerance is the noise of the reference when its inputs and weights are
rounded. On a mismatch the first node that differs is named, and written as a model of
one node to MODEL_repro. Exit codes: 0 equal, 1 not, 2 wrong use, 3 a file cannot be
read or written."""

# Each option once, with what argparse wants to know.
OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"metavar": "MODEL", "help": "an ONNX file, or - for standard input"},
    "--against": {"choices": REFERENCES, "help": "default: onnxruntime if installed"},
    "--model": {
        "dest": "module",
        "metavar": "PATH",
        "help": "for torch: the module's dotted path, such as "
        "torchvision.models.resnet18; it gets the weights of the file",
    },
    "--inputs": {"metavar": "FILE.npz", "help": "default: random, of the right kind"},
    "--shape": {
        "action": "append",
        "default": [],
        "metavar": "NAME=D,D,...",
        "help": "sizes of open dimensions for random inputs",
    },
    "--seed": {"type": int, "default": 0, "help": "of random inputs"},
    "--grad": {
        "action": "store_true",
        "help": "compare gradients: with autograd against torch, else with differences "
        "of the reference",
    },
    "--layers": {"action": "store_true", "help": "a row for every value of the graph"},
    "--repro": {"default": ".", "metavar": "DIR", "help": "where MODEL_repro goes"},
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of OPTIONS."""
    parser = argparse.ArgumentParser(
        prog="oxide_xla verify",
        description="Compare the generated JAX code with a reference.",
        epilog=EPILOG,
    )
    for name, details in OPTIONS.items():
        parser.add_argument(name, **details)
    return parser


def run(options: argparse.Namespace) -> Report:
    """Verify and print; raises what `verify` raises, ImportError without rich."""
    from rich.console import Console

    from oxide_xla.verify.report import print_report, tracker

    if options.module:
        sys.path.insert(0, os.getcwd())
    model = sys.stdin.buffer.read() if options.model == "-" else options.model
    report = verify(
        model,
        against=options.against or ("torch" if options.module else None),
        module=options.module,
        inputs_file=options.inputs,
        shapes=options.shape,
        seed=options.seed,
        grad=options.grad,
        layers=options.layers,
        reproductions=options.repro,
        track=tracker(Console(stderr=True)),
    )
    wide = None if sys.stdout.isatty() else 160
    print_report(report, Console(width=wide))
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = make_parser().parse_args(arguments)
    try:
        report = run(options)
    except OxideError as error:
        print(error, file=sys.stderr)
        return {3: USAGE, 4: IO, 5: IO}.get(error.status, MISMATCH)
    except VerifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ImportError as error:
        print(f"error: {error}\n  help: {hint(error.name)}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return IO
    return OK if report.passed else MISMATCH
