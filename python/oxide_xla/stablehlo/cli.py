"""The program oxide_xla-stablehlo: `oxide_xla compile --target stablehlo` runs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import oxide_xla
from oxide_xla import OxideError
from oxide_xla.stablehlo.lowered import FORMATS, StableHlo
from oxide_xla.stablehlo.lowering import PLATFORMS, WEIGHTS

OK, MODEL, USAGE, IO = range(4)
STATUS = {3: USAGE, 4: IO, 5: IO}  # of an OxideError, to exit codes

# Each option once, with what argparse wants to know.
OPTIONS: dict[tuple[str, ...], dict[str, Any]] = {
    ("model",): {"metavar": "MODEL", "help": "an ONNX file, or - for standard input"},
    ("-o", "--output"): {"metavar": "FILE", "help": "default: MODEL's stem + .mlir"},
    ("-w", "--weights"): {"choices": WEIGHTS, "default": "safetensors"},
    ("-l", "--layers"): {
        "choices": ("functions", "scan", "unrolled"),
        "default": "functions",
        "help": "repeated modules: functions, a while, or straight code",
    },
    ("--format",): {"choices": FORMATS, "default": "text"},
    ("--artifact-version",): {
        "metavar": "X.Y.Z",
        "help": "StableHLO that is to read --format portable",
    },
    ("--platforms",): {
        "metavar": "P,P,...",
        "default": "cpu",
        "help": f"of {', '.join(PLATFORMS)}",
    },
    ("-s", "--shape"): {
        "action": "append",
        "default": [],
        "metavar": "NAME=D,D,...",
        "help": "give an input a shape; a name or ? stays open",
    },
    ("-i", "--input-value"): {
        "action": "append",
        "default": [],
        "metavar": "NAME=VALUE",
        "help": "fix an input: 3, true, 0.5, [1,2]",
    },
    ("-b", "--bound"): {
        "action": "append",
        "default": [],
        "metavar": "NAME=N",
        "help": "pad a value whose size depends on data to N",
    },
    ("--outputs",): {
        "action": "append",
        "default": [],
        "metavar": "NAME,NAME,...",
        "help": "return these values instead of the outputs",
    },
    ("--constraint",): {
        "action": "append",
        "default": [],
        "metavar": "TEXT",
        "help": "what holds for open sizes, as 'seq >= 8' or 'mod(seq, 2) == 0'",
    },
    ("--x64",): {"action": "store_true", "help": "keep 64-bit types"},
    ("-f", "--force"): {"action": "store_true", "help": "replace other files"},
    ("-q", "--quiet"): {"action": "store_true", "help": "do not say what was written"},
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of OPTIONS."""
    parser = argparse.ArgumentParser(
        prog="oxide_xla compile --target stablehlo",
        description="Compile an ONNX model to StableHLO, by JAX's lowering.",
        allow_abbrev=False,
    )
    for names, details in OPTIONS.items():
        parser.add_argument(*names, **details)
    return parser


class Usage(Exception):
    """A command line that means nothing."""


def assigned(texts: Sequence[str], option: str) -> dict[str, str]:
    """NAME=TEXT as a dict; the name may hold a =, the text may not."""
    found = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value:
            raise Usage(f"{option} {text}: NAME=VALUE, please")
        found[name] = value
    return found


def bounded(texts: Sequence[str]) -> dict[str, int]:
    """NAME=N as a dict; Usage where N is no number."""
    try:
        return {key: int(x) for key, x in assigned(texts, "--bound").items()}
    except ValueError as error:
        raise Usage(f"--bound: {error}") from error


def lowered(options: argparse.Namespace) -> StableHlo:
    """The model of a command line."""
    values = assigned(options.input_value, "--input-value")
    platforms = options.platforms.split(",")
    for platform in platforms:
        if platform not in PLATFORMS:
            raise Usage(f"--platforms: {platform!r} is not of {', '.join(PLATFORMS)}")
    is_piped = options.model == "-"
    return oxide_xla.to_stablehlo(
        sys.stdin.buffer.read() if is_piped else options.model,
        platforms=platforms,
        weights=options.weights,
        x64=options.x64,
        constraints=options.constraint,
        shapes=options.shape,
        outputs=[name for text in options.outputs for name in text.split(",")],
        input_values=values,  # the compiler reads their text
        bounds=bounded(options.bound),
        layers=options.layers,
    )


def output_path(options: argparse.Namespace) -> Path | None:
    """Where the module goes; None: to standard output."""
    if options.output == "-" or (options.output is None and options.model == "-"):
        return None
    if options.output is None:
        ending = ".mlir" if options.format == "text" else ".mlirbc"
        return Path(Path(options.model).stem + ending)
    path = Path(options.output)
    if path.suffix not in (".mlir", ".mlirbc"):
        raise Usage(
            f"--output {options.output!r} is no name of a StableHLO module\n"
            "  help: give it a name that ends in .mlir or .mlirbc"
        )
    return path


def report(model: StableHlo) -> None:
    """Say what StableHLO has no operation for."""
    for target, count in model.custom_calls.items():
        times = "once" if count == 1 else f"{count} times"
        print(
            f"warning: the module calls {target} {times}, which is no operation of "
            "StableHLO\n  help: only programs that know it, as XLA does, can run it",
            file=sys.stderr,
        )


def write(model: StableHlo, options: argparse.Namespace, path: Path | None) -> None:
    """Write the files, or the module alone to standard output, and say so."""
    if path is None:
        data = model.encode(options.format, options.artifact_version)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        if options.weights == "safetensors" and model.signature.of_kind("param"):
            print(
                "note: the weights and the names of arguments were not written: give "
                "--output FILE to get them",
                file=sys.stderr,
            )
        return
    model_file = {} if options.model == "-" else {"the model": Path(options.model)}
    paths = model.save(
        path,
        format=options.format,
        version=options.artifact_version,
        force=options.force,
        keep=model_file,
    )
    if not options.quiet:
        *most, last = map(str, paths)
        counts = {
            kind: len(model.signature.of_kind(kind)) for kind in ("param", "input")
        }
        what = ", ".join(f"{n} {k}{'s' * (n != 1)}" for k, n in counts.items())
        print(f"wrote {', '.join(most)} and {last}: {what}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = make_parser().parse_args(arguments)
    try:
        path = output_path(options)
        if options.artifact_version and options.format != "portable":
            raise Usage("--artifact-version is for --format portable")
        model = lowered(options)
        report(model)
        write(model, options, path)
    except Usage as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except OxideError as error:
        print(error, file=sys.stderr)
        return STATUS.get(error.status, MODEL)
    except ValueError as error:  # constraints that JAX does not understand
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return IO
    return OK
