"""The registry against onnxruntime's own schemas: inputs, outputs, attributes and their
defaults, of every operator of com.microsoft."""

import onnx
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
