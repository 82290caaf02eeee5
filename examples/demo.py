"""Compiles a small PyTorch model with OxideXLA and runs it in JAX on real images.

`make demo` runs this.  The model is a CNN that PyTorch was trained on scikit-learn's
handwritten digits; examples/digits_expected.json says what PyTorch predicts for the
test images.  Ends with status 1 when JAX predicts anything else.
"""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path("build/oxide_xla")
MODEL = Path("examples/digits_cnn.onnx")
EXPECTED = Path("examples/digits_expected.json")
OUTPUT = Path("build/demo/digits_cnn.py")
SHADES = " ░▒▓█"
SHOWN = 4  # images printed as text


class Clock:
    """Names steps and remembers how long each took."""

    def __init__(self):
        self.steps = []

    def time(self, name, step, *arguments):
        """The result of step(*arguments)."""
        start = time.perf_counter()
        result = step(*arguments)
        self.steps.append((name, time.perf_counter() - start))
        return result


class Screen:
    """Prints headings and details, in color where that is welcome."""

    def __init__(self, stream):
        self.stream = stream
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self.color = terminal and not os.environ.get("NO_COLOR")
        try:
            SHADES.encode(stream.encoding or "ascii")
            self.shades = SHADES
        except UnicodeEncodeError:
            self.shades = " .:*#"

    def style(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.color else text

    def bold(self, text):
        return self.style(1, text)

    def dim(self, text):
        return self.style(2, text)

    def line(self, text=""):
        print(text, file=self.stream, flush=True)

    def heading(self, text):
        self.line(f"\n{self.bold(text)}\n")

    def picture(self, image):
        """One string for each row of pixels from 0 to 1."""
        top = len(self.shades) - 1
        return ["".join(2 * self.shades[round(p * top)] for p in row) for row in image]


def compile_model(screen):
    """Runs the compiler as a user would; ends the demo when it fails."""
    command = [str(PROGRAM), "compile", str(MODEL), "--output", str(OUTPUT)]
    screen.line(f"{screen.dim('$')} {shlex.join(command)}")
    OUTPUT.unlink(missing_ok=True)  # of an earlier run, perhaps of another version
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    for line in done.stderr.splitlines():
        screen.line(textwrap.fill(line, 88, subsequent_indent="  "))
    if done.returncode != 0:
        sys.exit(done.returncode)


def import_module():
    """The generated file as a module."""
    spec = importlib.util.spec_from_file_location(OUTPUT.stem, OUTPUT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forward_source(source):
    """The first line of the file, and forward up to the next top-level definition."""
    lines = source.splitlines()
    start = lines.index("@jax.jit")
    inside = [line.startswith((" ", ")")) or not line for line in lines[start + 2 :]]
    end = start + 2 + (inside.index(False) if False in inside else len(inside))
    return [lines[0], "", *"\n".join(lines[start:end]).rstrip().splitlines()]


def load_images(expected):
    """The test images (n, 1, 8, 8) from 0 to 1, and their labels."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    every = int(expected["test_rule"].removeprefix("index % ").removesuffix(" == 0"))
    images = (digits.images / expected["pixel_scale"]).astype(np.float32)
    return images[::every, None], digits.target[::every]


def show_images(screen, images, predictions, labels):
    """The first images side by side, above what the network reads."""
    pictures = [screen.picture(images[i, 0]) for i in range(SHOWN)]
    for row in zip(*pictures):
        screen.line("    " + "    ".join(row).rstrip())
    captions = [
        f"reads {p}" if p == label else f"reads {p}, is {label}"
        for p, label in zip(predictions, labels[:SHOWN])
    ]
    screen.line("\n    " + "    ".join(f"{text:16}" for text in captions).rstrip())


def show_times(screen, steps):
    for name, seconds in steps:
        screen.line(f"    {name:46}{1e3 * seconds:10,.1f} ms")


def main():
    """Every step of the demo in order."""
    os.chdir(ROOT)
    screen, clock = Screen(sys.stdout), Clock()
    expected = json.loads(EXPECTED.read_text())
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)

    screen.line(screen.bold("A PyTorch model, compiled to JAX source"))
    screen.line()
    clock.time("compile ONNX to JAX source and weights", compile_model, screen)
    code, weights = OUTPUT.stat(), OUTPUT.with_suffix(".safetensors").stat()
    sizes = f"{code.st_size:,} bytes of Python, {weights.st_size:,} bytes of weights"
    screen.line(screen.dim(sizes))

    screen.heading(f"What it wrote: forward of {OUTPUT}")
    for line in forward_source(OUTPUT.read_text()):
        screen.line(f"    {line}".rstrip())

    # Imported late: what is above needs no JAX.
    jax = clock.time("import jax", importlib.import_module, "jax")
    images, labels = clock.time("read scikit-learn's digits", load_images, expected)
    module = clock.time("import the generated file", import_module)
    params = clock.time("load_params()", module.load_params)

    def run():
        return jax.block_until_ready(module.forward(params, images))

    count = len(images)
    clock.time(f"forward on {count} images, with XLA compiling", run)
    logits = clock.time(f"forward on {count} images", run)
    predictions = logits.argmax(axis=1).tolist()

    screen.heading("What it predicts, running in JAX")
    show_images(screen, images, predictions, labels)

    correct = sum(int(p == label) for p, label in zip(predictions, labels))
    same = predictions == expected["predictions"]
    screen.heading(f"Accuracy on the {count} test images")
    for name, hits in (("PyTorch", expected["correct"]), ("JAX", correct)):
        screen.line(f"    {name:10}{hits / count:7.2%}  {hits} of {count}")
    verdict = "the same" if same else "NOT the same"
    screen.line(
        f"\n    {screen.style(32 if same else 31, verdict)} prediction for every image"
    )

    screen.heading("Time")
    show_times(screen, clock.steps)
    return 0 if same and correct == expected["correct"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
