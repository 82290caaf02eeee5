"""Attributes that an operator does not have: an error that names them, in any domain,
at any version, in any graph; never code that leaves them out."""

import onnx
import onnx.parser
import pytest
from harness import CompileError, compile_model

DOMAINS = (
    '"com.microsoft" : 1, "ai.onnx.ml" : 3, "ai.onnx.preview.training" : 1, "own" : 1'
)


def model_of(body, opset=17, functions=""):
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}, {DOMAINS}]>'
        f" g (float[2,2] x) => (float[2,2] y) {{ {body} }} {functions}"
    )


UNKNOWN = {
    "LeakyRelu": ("y = LeakyRelu<alpah = 0.3>(x)", 17, "alpah", 'mean "alpha"?'),
    "Gemm": ("y = Gemm<transC = 1>(x, x)", 17, "transC", 'mean "trans'),
    "nothing near": ("y = Elu<slope = 0.3>(x)", 17, "slope", "attributes are alpha"),
    "none at all": ("y = Relu<alpha = 0.3>(x)", 17, "alpha", "it has no attributes"),
    "com.microsoft": (
        "y = com.microsoft.QuickGelu<beta = 1.0>(x)",
        17,
        "beta",
        "attributes are alpha",
    ),
    "ai.onnx.ml": (
        "y = ai.onnx.ml.Binarizer<treshold = 1.0>(x)",
        17,
        "treshold",
        'mean "threshold"?',
    ),
    "of an older version": (
        "y = ReduceMean<axes = [1]>(x)",
        18,
        "axes",
        "opsets up to 17 have it; the opset of this node is 18",
    ),
    "of a newer version": (
        "s = Constant<value_ints = [2, 2]>() y = Reshape<allowzero = 1>(x, s)",
        13,
        "allowzero",
        "opsets since 14 have it; the opset of this node is 13",
    ),
    "a hint that is gone": (
        "y = Relu<consumed_inputs = [0]>(x)",
        6,
        "consumed_inputs",
        "it has no attributes",
    ),
    "of a constant": (
        "c = Constant<value_float = 1.0, scale = 2.0>() y = Mul(x, c)",
        17,
        "scale",
        "its attributes are value,",
    ),
    "in a branch": (
        "c = Constant<value = bool {1}>() y = If(c) <"
        "then_branch = t () => (float[2,2] p) { p = Elu<alfa = 2.0>(x) },"
        "else_branch = e () => (float[2,2] q) { q = Elu(x) }>",
        17,
        "alfa",
        'mean "alpha"?',
    ),
}


@pytest.mark.parametrize("case", UNKNOWN, ids=str)
def test_an_unknown_attribute_is_an_error(case, tmp_path):
    body, opset, name, hint = UNKNOWN[case]
    with pytest.raises(CompileError, match="OX0305") as error:
        compile_model(model_of(body, opset), tmp_path)
    message = str(error.value)
    assert f'has no attribute "{name}"' in message
    assert hint in message


def test_all_of_them_are_listed(tmp_path):
    body = "a = Elu<alfa = 2.0, bta = 1>(x) y = Celu<alpah = 2.0>(a)"
    with pytest.raises(CompileError) as error:
        compile_model(model_of(body), tmp_path)
    assert str(error.value).count("OX0305") == 3


FREE = {
    "a hint of version 1": ("y = Relu<consumed_inputs = [0]>(x)", 5, ""),
    "a note of a tool": ("y = Elu<__layout = 1>(x)", 17, ""),
    "of a local function": (
        "y = own.f<slope = 2.0, note = 1>(x)",
        17,
        '<domain: "own", opset_import: ["" : 17]>'
        "f <slope, note> (a) => (b) { b = Elu<alpha : float = @slope>(a) }",
    ),
}


@pytest.mark.parametrize("case", FREE, ids=str)
def test_free_attributes(case, tmp_path):
    body, opset, functions = FREE[case]
    code = compile_model(model_of(body, opset, functions), tmp_path).read_text()
    assert "def forward(" in code


def test_an_attribute_given_twice(tmp_path):
    model = model_of("y = Elu<alpha = 2.0>(x)")
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("alpha", 3.0))
    with pytest.raises(CompileError, match="attribute alpha is given twice"):
        compile_model(model, tmp_path)


@pytest.mark.parametrize(
    ("attribute", "opset"),
    [
        ("value: float = 2.0", 18),
        ("value: ints = [1, 2]", 10),
        ("value_float: int = 2", 18),
    ],
)
def test_a_constant_of_another_type_is_refused(attribute, opset, tmp_path):
    """`value` is a tensor, whatever number stands there."""
    name = attribute.split(":")[0]
    body = f"c = Constant<{attribute}>() y = Mul(x, c)"
    with pytest.raises(CompileError, match=f"attribute {name} has the wrong type"):
        compile_model(model_of(body, opset), tmp_path)
