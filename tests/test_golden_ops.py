"""Golden text of single operators: tests/golden/ops.txt has every row of the registry
in its forms.  A form is a line of ONNX's text form, and below it what `forward` says
for it, or why it is refused:

    Softmax-13: (float[2,3] x) => (y) {y = Softmax <axis = 0> (x)}
        return softmax(x, axis=0)

Before the colon stands the row: the operator and the opset of its domain.  A form is
added by its first line; `pytest tests/test_golden_ops.py --rebase` writes what is below
the first lines, and sorts them.
"""

import ast
import difflib
import functools
import json
import re
import subprocess
import textwrap
from pathlib import Path

import onnx.parser

import oxide_xla

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "build" / "oxide_xla"
GOLDEN = ROOT / "tests" / "golden" / "ops.txt"
# Opsets of the domains that the row of a form does not belong to.
OPSETS = {"": 17, "com.microsoft": 1, "ai.onnx.ml": 5}


def key(form):
    """(domain, operator, opset) of the row that a form stands for."""
    domain, name, opset = re.match(r"(?:([\w.]+)\.)?(\w+)-(\d+): ", form).groups()
    return domain or "", name, int(opset)


def model(form):
    domain, _, opset = key(form)
    opsets = {**OPSETS, domain: opset}
    imports = ", ".join(f'"{name}": {version}' for name, version in opsets.items())
    graph = form.split(": ", 1)[1]
    return onnx.parser.parse_model(
        f"<ir_version: 10, opset_import: [{imports}]> g {graph}"
    )


def functions(source):
    """The functions of a module by name."""
    tree = ast.parse(source)
    return {s.name: s for s in tree.body if isinstance(s, ast.FunctionDef)}


@functools.cache
def helpers():
    """The arguments of each helper as its file has them."""
    files = (ROOT / "src" / "python" / "lib").glob("*.py")
    return {
        name: ast.unparse(function.args)
        for path in files
        for name, function in functions(path.read_text()).items()
    }


def body(source):
    """The statements of forward; before them a comment where it is not jitted, and the
    helpers that have other defaults than their files."""
    defined = functions(source)
    forward = defined["forward"]
    lines = [] if forward.decorator_list else ["# not jitted"]
    called = {node.id for node in ast.walk(forward) if isinstance(node, ast.Name)}
    for name in sorted(called & defined.keys() & helpers().keys()):
        arguments = ast.unparse(defined[name].args)
        if arguments != helpers()[name]:
            lines.append(f"def {name}({arguments}): ...")
    told = ast.get_docstring(forward) is not None
    first, last = forward.body[told].lineno, forward.end_lineno
    statements = "\n".join(source.splitlines()[first - 1 : last])
    return "\n".join([*lines, textwrap.dedent(statements)])


def code(form):
    """What the form becomes."""
    try:
        return body(oxide_xla.compile(model(form), weights="none").source)
    except oxide_xla.OxideError as error:
        return error.messages.splitlines()[0]


def forms():
    """The first lines."""
    lines = GOLDEN.read_text().splitlines()
    return [line for line in lines if line and not line.startswith(" ")]


def written(form):
    """A form as the file has it."""
    return f"{form}\n{textwrap.indent(code(form), '    ')}\n"


def test_golden_ops(request):
    """What differs is what the change does to an operator's text."""
    actual = "\n".join(map(written, sorted(set(forms()), key=lambda f: (key(f), f))))
    if request.config.getoption("--rebase"):
        GOLDEN.write_text(actual)
    golden = GOLDEN.read_text()
    difference = difflib.unified_diff(
        golden.splitlines(), actual.splitlines(), "golden", "actual", "", "", 3, ""
    )
    assert actual == golden, "\n".join(difference)


def test_forms_are_of_their_rows():
    """The operator that a form is said to show is in it."""
    for form in forms():
        domain, name, _ = key(form)
        nodes = {(node.domain, node.op_type) for node in model(form).graph.node}
        assert (domain, name) in nodes, form


# Rows without a form, and why.
WITHOUT = {
    ("com.microsoft", "Sampling", 1): "its decoder is too long for a line",
    ("com.microsoft", "WhisperBeamSearch", 1): "its decoder is too long for a line",
}


def test_every_row_has_a_form():
    command = [str(PROGRAM), "ops", "--format", "json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = {
        (op["domain"].removesuffix("ai.onnx"), op["name"], version["since"])
        for op in json.loads(listed.stdout)
        for version in op["versions"]
    }
    shown = set()
    for domain, name, opset in map(key, forms()):
        older = [row for row in rows if row[:2] == (domain, name) and row[2] <= opset]
        shown.add(max(older))
    assert sorted(rows - shown) == sorted(WITHOUT), "add a form to tests/golden/ops.txt"
