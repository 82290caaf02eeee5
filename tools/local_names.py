"""The share of locals that are named after operators (add_1, transpose_3, getitem)
in the functions of generated modules:

    python tools/local_names.py FILE...

FILE is a generated module, or an ONNX file, which is compiled. Helpers do not count:
they are written by hand. Names are those of the operators of `oxide_xla ops`, and of
PyTorch's where those differ, whatever their number; cos and sin aside, which are what
everybody calls them.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
# Of torch.export and its decompositions, as they name values.
TORCH = """
    add addmm alias amax arange argmax bitwise bmm cat chunk clamp clone contiguous
    copy cumsum detach eq expand fill flatten full ge gelu getitem gt index le linear
    linspace lt masked matmul mean mm mul ne neg ones permute pow relu repeat reshape
    rsqrt rsub scalar select sigmoid silu slice softmax split squeeze stack sub sum t
    tanh to to_copy transpose triu tril unbind unsqueeze val view where zeros
""".split()


def run(*command):
    done = subprocess.run([PROGRAM, *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def plain(name):
    return name.replace("_", "").lower()


def operators():
    rows = json.loads(run("ops", "--format", "json"))
    return {plain(n) for n in [*TORCH, *(r["name"] for r in rows)]} - {"cos", "sin"}


def source_of(path):
    if path.suffix != ".onnx":
        return path.read_text()
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "module.py"
        run("compile", str(path), "--output", str(module), "--weights", "none")
        return module.read_text()


def functions_of_model(tree):
    """`forward` and what has the docstring of a module: "BertLayer, such as ..."."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            words = ast.get_docstring(node) or ""
            if node.name == "forward" or "such as " in words:
                yield node


def locals_of(function):
    """The names that a function binds, its parameters aside."""
    return {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    } - {"_"}


def is_of_operator(name, known):
    return plain(re.sub(r"(_\d+)+$", "", name)) in known


def main(paths):
    known = operators()
    print(f"{'file':24} {'locals':>6} {'of operators':>12} {'share':>6}")
    for path in paths:
        tree = ast.parse(source_of(path))
        names = [n for f in functions_of_model(tree) for n in locals_of(f)]
        found = [n for n in names if is_of_operator(n, known)]
        share = len(found) / len(names) if names else 0.0
        print(f"{path.stem:24} {len(names):6} {len(found):12} {share:6.1%}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
