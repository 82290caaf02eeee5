"""`oxide_xla port`: the program finds this as oxide_xla-port on the PATH."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oxide_xla import OxideError
from oxide_xla import _library as c
from oxide_xla.compiler import CompiledModel
from oxide_xla.port.check import unfit
from oxide_xla.port.inputs import parse
from oxide_xla.port.porting import DTYPES, TASKS, Options, port

OK, MODEL, USAGE, IO = range(4)

EPILOG = """Only config.json is read, and the names and shapes of *.safetensors where
there are some; weights are not copied. Buffers that a checkpoint lacks go to a small
file beside the module. Exit codes: 0 done, 1 the architecture cannot be ported, 2 wrong
use, 3 a file cannot be read or written."""

# Each option once, with what argparse wants to know.
OPTIONS: dict[str, dict[str, Any]] = {
    "folder": {"metavar": "FOLDER", "type": Path, "help": "of a checkpoint"},
    "--output": {
        "metavar": "FILE.py",
        "type": Path,
        "help": "default: the name of the folder, in this one",
    },
    "--task": {
        "choices": TASKS,
        "metavar": "TASK",
        "help": f"instead of the class that config.json names: {', '.join(TASKS)}",
    },
    "--input": {
        "action": "append",
        "default": [],
        "metavar": "NAME=D,D,...[:DTYPE]",
        "help": "what forward takes, once for each, as input_ids=batch,seq; default: "
        "what the architecture takes",
    },
    "--dynamic": {
        "metavar": "NAME,...",
        "help": "dimensions that stay open; default: batch, and of text seq",
    },
    "--cache": {
        "type": int,
        "metavar": "N",
        "help": "a step of a decoder with a key-value cache of N positions, instead of "
        "all positions at once",
    },
    "--part": {
        "choices": ("decoder", "encoder"),
        "help": "with --cache, of an encoder-decoder: a step, which is the default, or "
        "what it reads of the input",
    },
    "--dtype": {
        "choices": DTYPES,
        "default": "float32",
        "help": "what PyTorch computes in; a float32 module takes weights of any type",
    },
    "--layers": {"choices": c.LAYERS, "default": "functions", "help": "as of compile"},
    "--params": {"choices": c.PARAMS, "default": "flat", "help": "as of compile"},
    "--loader": {"choices": c.LOADERS, "default": "inline", "help": "as of compile"},
    "--trust-remote-code": {
        "action": "store_true",
        "help": "run Python code that lies in FOLDER",
    },
    "--force": {"action": "store_true", "help": "replace a file that was edited"},
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of OPTIONS."""
    parser = argparse.ArgumentParser(
        prog="oxide_xla port",
        description="Write the model of a Hugging Face checkpoint as a JAX module.",
        epilog=EPILOG,
    )
    for name, details in OPTIONS.items():
        short = ["-o"] if name == "--output" else []
        parser.add_argument(*short, name, **details)
    return parser


def run(options: argparse.Namespace) -> tuple[Path, CompiledModel]:
    """Port and write; the path of the module. Raises what `port` and `save` raise."""
    if options.folder.is_dir() and not options.output:
        options.output = Path(f"{options.folder.resolve().name}.py")
    names = options.dynamic.split(",") if options.dynamic is not None else None
    model = port(
        options.folder,
        Options(
            task=options.task,
            inputs=[parse(text) for text in options.input],
            dynamic=names and [name for name in names if name],
            cache=options.cache,
            part=options.part,
            dtype=options.dtype,
            layers=options.layers,
            params=options.params,
            loader=options.loader,
            trust_remote_code=options.trust_remote_code,
        ),
    )
    return model.save(options.output, force=options.force), model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = make_parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path, model = run(options)
    except OxideError as error:
        print(error, file=sys.stderr)
        return {c.USAGE: USAGE, c.IO: IO, c.MEMORY: IO}.get(error.status, MODEL)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return IO
    if model.messages:
        print(model.messages, file=sys.stderr)
    print(f"{path}: {model!r}", file=sys.stderr)
    if problem := unfit(model, options.folder):
        print(f"warning: {problem}", file=sys.stderr)
    else:
        print(f'next: load_params("{options.folder}")', file=sys.stderr)
    return OK
