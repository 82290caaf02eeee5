"""The registry against onnxruntime's own schemas: inputs, outputs, attributes and their
defaults, of every operator of com.microsoft; and against the sources of its tools: what
they can write compiles."""

import ast
from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as state
from test_coverage import ENTRIES

DOMAIN = "com.microsoft"
OURS = sorted(name for domain, name in ENTRIES if domain == DOMAIN)
SCHEMAS = {s.name: s for s in state.get_all_operator_schema() if s.domain == DOMAIN}
# It is written with this domain, too, but registered without one.
SCHEMAS |= {
    s.name: s
    for s in state.get_all_operator_schema()
    if s.name == "SimplifiedLayerNormalization"
}

# Attributes whose default stands in the text alone: our entries say it.
IN_TEXT = {("QuantizeLinear", "axis"), ("DequantizeLinear", "axis")}


def option(formal):
    return formal.option.name


def default_of(attribute):
    if not attribute._default_value:
        return None
    message = onnx.AttributeProto.FromString(attribute._default_value)
    value = helper.get_attribute_value(message)
    return value.decode() if isinstance(value, bytes) else value


def test_domain():
    assert len(OURS) > 40
    assert set(OURS) <= set(SCHEMAS)


@pytest.mark.parametrize("name", OURS)
def test_formals(name):
    entry, schema = ENTRIES[DOMAIN, name][0], SCHEMAS[name]
    for ours, theirs in (
        (entry["inputs"], schema.inputs),
        (entry["outputs"], schema.outputs),
    ):
        assert [s["name"] for s in ours] == [f.name for f in theirs]
        assert [s["variadic"] for s in ours] == [
            option(f) == "Variadic" for f in theirs
        ]
        optional = [option(f) == "Optional" for f in theirs]
        assert [s["optional"] for s in ours] == optional


@pytest.mark.parametrize("name", OURS)
def test_attributes(name):
    entry, schema = ENTRIES[DOMAIN, name][0], SCHEMAS[name]
    ours = {a["name"]: a for a in entry["attributes"]}
    assert set(ours) == set(schema.attributes)
    for key, theirs in schema.attributes.items():
        assert bool(ours[key]["required"]) == theirs.required, key
        assert ours[key]["type"].upper() == theirs.type.name, key
        if (name, key) not in IN_TEXT:
            assert ours[key].get("default") == pytest.approx(default_of(theirs)), key


# ---- what onnxruntime's tools write --------------------------------------------------

TOOLS = Path(onnxruntime.__file__).parent
# They name operators to infer shapes or to build a smaller runtime, and write none.
READERS = {"symbolic_shape_infer.py", "operator_type_usage_processors.py"}
NOT_COMPILED = {
    "EPContext": "a binary of one processor, without the model that it was made from",
    "PagedAttention": "the tools write it in the domain vllm.ort.ext",
}


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def texts(tree):
    """String literals, and how strings that are put together begin."""
    for node in ast.walk(tree):
        if is_text(node):
            yield node.value.removeprefix("com.microsoft::"), False
        elif isinstance(node, ast.JoinedStr) and is_text(node.values[0]):
            yield node.values[0].value, True
        elif isinstance(node, ast.BinOp) and is_text(node.left):
            yield node.left.value, True


def written():
    """Every operator that a source names: more than it may write, never less."""
    names = set()
    for part in ("quantization", "transformers", "tools"):
        for path in (TOOLS / part).rglob("*.py"):
            if path.name in READERS:
                continue
            for text, begins in texts(ast.parse(path.read_text())):
                if begins and len(text) > 3:
                    names |= {name for name in SCHEMAS if name.startswith(text)}
                elif text in SCHEMAS:
                    names.add(text)
    return names


def test_tools():
    names = written()
    assert {"QAttention", "DynamicQuantizeLSTM", "QLinearAdd", "MatMulNBits"} <= names
    assert names - set(OURS) == set(NOT_COMPILED)


@pytest.mark.parametrize("name", ["MoE", "QMoE", "SparseAttention", "NhwcFusedConv"])
def test_other_tools(name):
    """Written by its C++ optimizer, and by builders of language models."""
    assert name in OURS
