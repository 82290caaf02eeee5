"""Operators of PyTorch that ONNX has none for, written in a domain of our own.

OxideXLA compiles them as they are; for other runtimes each comes with a function of the
same meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

DOMAIN = "oxide_xla"
OPSET = 18  # of the functions' bodies


def translations() -> dict[Any, Any]:
    """The `custom_translation_table` of torch.onnx.export: ATen operator -> function.

    Only what this version of PyTorch and the packages imported so far have.
    """
    import torch
    from onnxscript.values import Op, Opset

    own = Op(Opset(DOMAIN, 1), "GroupedMatMul", _grouped_schema())

    # torch.nn.functional.grouped_mm(input, mat2, offs): products of groups of rows, as
    # the experts of a mixture take them.
    def grouped_mm(input, weight, offs, bias=None, out_dtype=None):
        if bias is not None or out_dtype is not None:
            raise NotImplementedError("grouped_mm with a bias or another result type")
        return own(input, weight, offs)

    table = {}
    for namespace, name in (
        ("aten", "_grouped_mm"),
        ("transformers", "grouped_mm_fallback"),
    ):
        operators = getattr(torch.ops, namespace)
        if hasattr(operators, name):
            table[getattr(operators, name).default] = grouped_mm
    return table


def _grouped_schema() -> onnx.defs.OpSchema:
    """The inputs and outputs of GroupedMatMul, as onnxscript wants to know them."""
    from onnx.defs import OpSchema

    return OpSchema(
        "GroupedMatMul",
        DOMAIN,
        1,
        inputs=[
            OpSchema.FormalParameter("input", "T"),
            OpSchema.FormalParameter("weight", "T"),
            OpSchema.FormalParameter("offsets", "I"),
        ],
        outputs=[OpSchema.FormalParameter("output", "T")],
        type_constraints=[
            ("T", [f"tensor({t})" for t in ("float", "float16", "bfloat16")], ""),
            ("I", ["tensor(int32)", "tensor(int64)"], ""),
        ],
    )


def add_functions(model: onnx.ModelProto) -> None:
    """Give `model` the functions of those of our operators that it uses."""
    used = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    for function in (f for f in functions() if f.name in used):
        model.functions.append(function)
    if used and not any(opset.domain == DOMAIN for opset in model.opset_import):
        model.opset_import.add(domain=DOMAIN, version=1)


def functions() -> list[onnx.FunctionProto]:
    """Our operators in terms of ONNX's."""
    from onnx import parser

    return [parser.parse_function(text) for text in (GROUPED_MATMUL,)]


# Row r belongs to the first group that ends behind it; rows behind the last are zeros.
GROUPED_MATMUL = f"""
<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>
GroupedMatMul (input, weight, offsets) => (output)
{{
    zero = Constant <value_int: int = 0> ()
    one = Constant <value_int: int = 1> ()
    last_axis = Constant <value_ints: ints = [1]> ()
    first_axis = Constant <value_ints: ints = [0]> ()
    shape = Shape <start: int = 0, end: int = 1> (input)
    rows = Squeeze (shape, first_axis)
    row = Range (zero, rows, one)
    row_column = Unsqueeze (row, last_axis)
    ends = Cast <to: int = 7> (offsets)
    passed = LessOrEqual (ends, row_column)
    passed_ints = Cast <to: int = 7> (passed)
    group = ReduceSum <keepdims: int = 0> (passed_ints, last_axis)
    padding = Constant <value_ints: ints = [0, 0, 0, 1, 0, 0]> ()
    weights = Pad (weight, padding)
    own = Gather <axis: int = 0> (weights, group)
    lifted = Unsqueeze (input, last_axis)
    product = MatMul (lifted, own)
    output = Squeeze (product, last_axis)
}}
"""
