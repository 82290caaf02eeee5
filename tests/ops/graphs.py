"""Checks models of several nodes, written in ONNX's text form, against onnxruntime."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx.parser
import ort
from harness import check_model, compile_model, load_module


def parse(text, opset=21):
    """The model of `name (inputs) => (outputs) {...}`."""
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": {opset}]> {text}'
    )


def check_format(source):
    """ruff has nothing to say about it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.py"
        path.write_text(source)
        for command in (["check"], ["format", "--diff"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--isolated", str(path)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr


def check_text(
    text,
    inputs,
    expected=None,
    *,
    opset=21,
    jitted=True,
    contains=(),
    lacks=(),
    **options,
):
    """Compiles a model, runs it with and without 64-bit types, and compares.  forward
    must be `jitted`, or not, and the source hold the texts; returns it."""
    model = parse(text, opset)
    if expected is None:
        names = [v.name for v in model.graph.input]
        expected = ort.run(model, dict(zip(names, inputs, strict=True)))
    options.setdefault("x64", (False, True))
    source = check_model(model, inputs, expected, **options)
    assert ("@jax.jit" in source) == jitted, source
    unwrapped = source + re.sub(r"\n *#", "", source)
    for part in contains:
        assert part in unwrapped, f"{part!r} is not in\n{source}"
    for part in lacks:
        assert part not in source, f"{part!r} is in\n{source}"
    check_format(source)
    return source


def load_text(text, opset=21):
    """The generated module of a model, loaded."""
    with tempfile.TemporaryDirectory() as folder:
        return load_module(compile_model(parse(text, opset), folder))


def compile_text(text, opset=21, options=()):
    """The generated source of a model."""
    with tempfile.TemporaryDirectory() as folder:
        return compile_model(parse(text, opset), folder, *options).read_text()
