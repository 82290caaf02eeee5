"""The registry against ONNX's own schemas: every version of every operator.

A name, an option or a default that differs from the specification fails here, and so
does a schema that the registry lacks and MISSING does not list.
"""

import ast
import json
import math
import re
import subprocess
from pathlib import Path

import onnx
import pytest
from harness import PROGRAM
from onnx import helper

DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")

# Operators without an entry, and why.  Remove the line when one is added.
MISSING = {}

# Operators that are known, but always refused, and why.
TEXT = "text: JAX has no strings"
MAPS = "maps are no arrays"
REFUSED = {
    "CastMap": MAPS,
    "CategoryMapper": TEXT,
    "DictVectorizer": MAPS,
    "ImageDecoder": "decoding a file is no tensor operation",
    "RegexFullMatch": TEXT,
    "StringConcat": TEXT,
    "StringNormalizer": TEXT,
    "StringSplit": TEXT,
}
# The same for single versions of operators.
REFUSED_VERSIONS = {("LabelEncoder", 1): TEXT}

LISTS = "a list as default has no macro; the operator's own code knows it"
PROSE = "the default stands in the text alone"

# Where an entry differs from the schema on purpose: {(operator, version): {name: why}}.
# consumed_inputs, a hint of version 1 that has no meaning today, is free to differ.
DIFFERENT = {
    ("Concat", 1): {"axis": PROSE},
    ("Gemm", 7): {"inputs": "one entry up to the version where C is optional"},
    ("Gemm", 9): {"inputs": "one entry up to the version where C is optional"},
    ("LpPool", 1): {"kernel_shape": "nothing says what its absence means"},
    ("MeanVarianceNormalization", 9): {"axes": LISTS},
    ("MeanVarianceNormalization", 13): {"axes": LISTS},
    ("RNN", 1): {"activations": LISTS},
    ("RNN", 7): {"activations": LISTS},
    ("RNN", 14): {"activations": LISTS},
    ("RNN", 22): {"activations": LISTS},
    ("Split", 1): {"axis": PROSE, "outputs": "the schema names them `outputs...`"},
}

# Names of attribute types that are longer in the schemas.
TYPES = {"SPARSE_TENSOR": "SPARSE", "TYPE_PROTO": "TYPE"}


def registry():
    command = [PROGRAM, "ops", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        (op["domain"], op["name"]): op["versions"] for op in json.loads(done.stdout)
    }


ENTRIES = registry()


def entry_of(schema):
    """The entry that governs the version of the schema; None when there is none."""
    for entry in ENTRIES.get((schema.domain or "ai.onnx", schema.name), []):
        last = entry["until"] or schema.since_version
        if entry["since"] <= schema.since_version <= last:
            return entry
    return None


def label(schema):
    return f"{schema.name}-{schema.since_version}"


SCHEMAS = sorted(
    (
        s
        for s in onnx.defs.get_all_schemas_with_history()
        if s.domain in DOMAINS and not s.deprecated
    ),
    key=lambda s: (s.domain, s.name, s.since_version),
)
COVERED = [s for s in SCHEMAS if entry_of(s)]


def test_nothing_else_is_missing():
    absent = {s.name for s in SCHEMAS if not entry_of(s)}
    assert sorted(absent - set(MISSING)) == [], "not in the registry"
    assert sorted(set(MISSING) - absent) == [], "in the registry: take it off MISSING"


def test_nothing_else_is_refused():
    refused = {(s.name, s.since_version) for s in COVERED if entry_of(s)["refused"]}
    single = refused & REFUSED_VERSIONS.keys()
    assert sorted({name for name, _ in refused - single}) == sorted(REFUSED)
    assert sorted(single) == sorted(REFUSED_VERSIONS)


def formals(parameters):
    return [(p.name, p.option.name == "Variadic") for p in parameters]


def slots(entry, name):
    return [(slot["name"], slot["variadic"]) for slot in entry[name]]


def same_default(ours, schema_attribute):
    if schema_attribute.default_value.name == "":
        return ours is None
    theirs = helper.get_attribute_value(schema_attribute.default_value)
    if isinstance(theirs, bytes):
        theirs = theirs.decode()
    if isinstance(theirs, float):
        return ours is not None and math.isclose(ours, theirs, rel_tol=1e-6)
    return ours == theirs


def attribute_faults(schema, entry):
    """{name: what is wrong} over the attributes of both."""
    ours = {a["name"]: a for a in entry["attributes"]}
    faults = dict.fromkeys(ours.keys() - schema.attributes, "not in the schema")
    for name, theirs in schema.attributes.items():
        kind = TYPES.get(theirs.type.name, theirs.type.name)
        if name not in ours:
            faults[name] = "not in the registry"
        elif bool(ours[name]["required"]) != theirs.required:
            faults[name] = f"required is {theirs.required}"
        elif ours[name]["type"].upper() != kind:
            faults[name] = f"type is {kind}"
        elif not same_default(ours[name].get("default"), theirs):
            faults[name] = f"default is {theirs.default_value}"
    faults.pop("consumed_inputs", None)
    return faults


def formal_faults(schema, entry):
    """The same for inputs and outputs."""
    faults = {}
    if slots(entry, "outputs") != formals(schema.outputs):
        faults["outputs"] = f"they are {formals(schema.outputs)}"
    theirs = [p.option.name == "Optional" for p in schema.inputs]
    if theirs and schema.inputs[-1].option.name == "Variadic":
        theirs[-1] = schema.min_input < len(theirs)  # none at all will do
    ours = [slot["optional"] for slot in entry["inputs"]]
    same = slots(entry, "inputs") == formals(schema.inputs) and ours == theirs
    if not same:
        faults["inputs"] = f"they are {formals(schema.inputs)}, optional {theirs}"
    return faults


@pytest.mark.parametrize("schema", COVERED, ids=label)
def test_entry_follows_the_schema(schema):
    entry = entry_of(schema)
    faults = attribute_faults(schema, entry) | formal_faults(schema, entry)
    allowed = DIFFERENT.get((schema.name, schema.since_version), {})
    assert {k: v for k, v in faults.items() if k not in allowed} == {}
    assert set(allowed) - set(faults) == set(), (
        "no longer differs: take it off DIFFERENT"
    )


# ---- tests ---------------------------------------------------------------------------


def texts(path):
    """The string literals of a file of tests, without its docstrings."""
    tree = ast.parse(path.read_text())
    prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in prose:
            yield node.value


def test_every_operator_has_a_test():
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    named = {
        word
        for path in files
        if not path.name.endswith("coverage.py")
        for text in texts(path)
        for word in re.findall(r"\w+", text)
    }
    names = {
        name
        for (_, name), versions in ENTRIES.items()
        if not all(v["refused"] for v in versions)
    }
    assert sorted(names - named) == []
