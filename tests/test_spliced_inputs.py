"""What an operator writes when its inputs are expressions, some of them too long for
one line: it is then emitted twice, and nothing of the first time may stay."""

import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test import loader

import generated
import oxide_xla

FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}


def behind_sums(model):
    """The model with each float input doubled, under a long name, before it is read."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    doubling = []
    for value in copy.graph.input:
        if value.type.tensor_type.elem_type in FLOATS:
            name, value.name = value.name, f"a_long_name_for_the_input_{value.name}"
            doubling.append(helper.make_node("Add", [value.name] * 2, [name]))
    nodes = [*doubling, *copy.graph.node]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def attention_behind_products():
    """MultiHeadAttention whose query, key and value are products."""
    rng = np.random.default_rng(0)
    roles = ("query", "key", "value")
    names = [f"the_{role}_of_this_attention" for role in roles]
    weights = [
        numpy_helper.from_array(rng.standard_normal((8, 8)).astype(np.float32), name)
        for name in (f"projection.{role}.weight" for role in roles)
    ]
    nodes = [
        helper.make_node("MatMul", ["hidden_states", w.name], [name])
        for w, name in zip(weights, names)
    ]
    nodes += [
        helper.make_node(
            "MultiHeadAttention",
            names,
            ["out", "present_key", "present_value"],
            domain="com.microsoft",
            num_heads=2,
        )
    ]
    hidden = helper.make_tensor_value_info("hidden_states", 1, ["batch", 5, 8])
    outputs = [
        helper.make_tensor_value_info(name, 1, None)
        for name in ("out", "present_key", "present_value")
    ]
    graph = helper.make_graph(nodes, "attention", [hidden], outputs, weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def test_attention_makes_keys_and_values_once():
    source = oxide_xla.compile(attention_behind_products()).source
    forward = source.split("def forward")[1].split("return")[0]
    for product in ("query", "key", "value"):
        assert forward.count(f"projection.{product}.weight") == 1, forward
    assert "keys = " in forward and "keys_1" not in forward, forward  # named once
    assert not generated.faults(source), forward


def test_operators_leave_nothing_of_a_line_that_was_too_wide():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = loader.load_model_tests(kind="node")
    found, compiled = {}, 0
    for case in cases:
        try:
            source = oxide_xla.compile(behind_sums(case.model)).source
        except oxide_xla.OxideError:
            continue
        compiled += 1
        if faults := generated.faults(source):
            found[case.name] = faults
    assert compiled > len(cases) / 2
    assert not found
