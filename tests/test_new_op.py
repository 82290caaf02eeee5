"""tools/new_op.py: rows and tests that the schemas give, against the registry."""

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))

from test_coverage import ENTRIES  # noqa: E402

import new_op  # noqa: E402


def printed(capsys, *arguments):
    assert new_op.main(arguments) == 0
    return capsys.readouterr().out


def test_versions_with_the_same_names_share_a_row(capsys):
    assert printed(capsys, "ai.onnx", "LeakyRelu") == (
        "/* src/ops/<family>.c */\n"
        '    {.name = "LeakyRelu", .since = 1, .until = 5, .in = "X", .out = "Y",\n'
        '     .attrs = {FLOAT("alpha", 0.01), INTS_OPT("consumed_inputs")},\n'
        '     .infer = ..., .jax = "..."},\n'
        '    {.name = "LeakyRelu", .since = 6, .in = "X", .out = "Y",\n'
        '     .attrs = {FLOAT("alpha", 0.01)},\n'
        '     .infer = ..., .jax = "..."},\n'
        "\n"
        "# tests/ops/test_<family>.py\n"
        "def test_leaky_relu():\n"
        '    inputs = {"X": rand(2, 3)}\n'
        '    check_node("LeakyRelu", inputs, {})\n'
    )


def test_operators_of_onnxruntime(capsys):
    text = printed(capsys, "com.microsoft", "MultiHeadAttention")
    assert '{.name = "MultiHeadAttention", MICROSOFT, .in = "query key? value?' in text
    assert 'FLOAT_OPT("mask_filter_value")' in text
    assert 'INT_REQ("num_heads")' in text
    assert 'ort.check("MultiHeadAttention", inputs, {"num_heads": ...}' in text


def test_attributes_of_other_types(capsys):
    text = printed(capsys, "ai.onnx", "ConstantOfShape")
    assert 'ANY_OPT("value", ATTR_TENSOR)' in text


def test_an_operator_that_nobody_has(capsys):
    assert new_op.main(["ai.onnx", "Unheard"]) == 1
    assert capsys.readouterr().err == "ai.onnx has no operator Unheard\n"


def spec(slots):
    marks = [
        "?" * (s["optional"] and not s["variadic"]) + "*" * s["variadic"] for s in slots
    ]
    return " ".join(s["name"] + mark for s, mark in zip(slots, marks, strict=True))


@pytest.mark.parametrize("domain", ["ai.onnx", "ai.onnx.ml", "com.microsoft"])
def test_newest_rows_name_what_the_registry_has(domain):
    differ = set()
    for (own, name), versions in ENTRIES.items():
        schemas = new_op.schemas(domain, name) if own == domain else []
        if not schemas:
            continue
        row = list(new_op.version_rows(schemas, domain))[-1]
        names = re.search(r'\.in = "(.*)", \.out = "(.*)",', row).groups()
        ours = versions[-1]
        if names != (spec(ours["inputs"]), spec(ours["outputs"])):
            differ.add(name)
    assert differ == set()
