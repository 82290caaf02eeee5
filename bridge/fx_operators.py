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
    write_cache = Op(Opset(DOMAIN, 1), "WriteCache", _write_schema())

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
    if hasattr(torch.ops.oxide_xla, "write_cache"):
        table[torch.ops.oxide_xla.write_cache.default] = write_cache
    return table


def define() -> None:
    """Define the operators of PyTorch that the bridge itself calls, once.

    write_cache(cache, update, position): the cache (batch, heads, length, width) with
    `update` in the place of the entries from `position` on.
    """
    import torch

    if hasattr(torch.ops.oxide_xla, "write_cache"):
        return
    tensors = "Tensor cache, Tensor update, Tensor position"
    torch.library.define("oxide_xla::write_cache", f"({tensors}) -> Tensor")

    def write(cache, update, position):
        places = position + torch.arange(update.shape[2], device=cache.device)
        return cache.index_copy(2, places, update.to(cache.dtype))

    torch.library.impl("oxide_xla::write_cache", "CompositeExplicitAutograd", write)
    torch.library.register_fake(
        "oxide_xla::write_cache", lambda cache, update, position: cache.clone()
    )


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


def _write_schema() -> onnx.defs.OpSchema:
    """The inputs and outputs of WriteCache."""
    from onnx.defs import OpSchema

    return OpSchema(
        "WriteCache",
        DOMAIN,
        1,
        inputs=[
            OpSchema.FormalParameter("cache", "T"),
            OpSchema.FormalParameter("update", "T"),
            OpSchema.FormalParameter("position", "I"),
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

    return [parser.parse_function(text) for text in (GROUPED_MATMUL, WRITE_CACHE)]


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

# The entries of axis 2 from `position` on, a scalar, are those of `update`.
WRITE_CACHE = f"""
<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>
WriteCache (cache, update, position) => (output)
{{
    axis = Constant <value_ints: ints = [2]> ()
    first = Constant <value_ints: ints = [0]> ()
    last = Constant <value_ints: ints = [9223372036854775807]> ()
    one = Constant <value_ints: ints = [1]> ()
    place = Cast <to: int = 7> (position)
    begin = Reshape (place, one)
    count = Shape <start: int = 2, end: int = 3> (update)
    end = Add (begin, count)
    before = Slice (cache, first, begin, axis)
    behind = Slice (cache, end, last, axis)
    output = Concat <axis: int = 2> (before, update, behind)
}}
"""
