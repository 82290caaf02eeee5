"""QOrderedAttention, which onnxruntime has for CUDA only, against the nodes that its
optimizer fuses it from, on its CPU provider."""

import functools

import numpy as np
import onnxruntime
import pytest
from harness import check_node, compile_fails
from onnx import TensorProto, helper, numpy_helper

DOMAIN = "com.microsoft"
HEADS, WIDTH, LENGTH = 2, 8, 5
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)


def scales(*columns):
    """Such that no weight of softmax lies in the middle between two integers."""
    return {
        "scale_input": np.float32(0.021),
        "scale_Q_gemm": np.float32(0.031),
        "scale_K_gemm": np.float32(0.027),
        "scale_V_gemm": np.float32(0.029),
        **{
            f"scale_{k}_weight": (
                np.linspace(0.0031, 0.0073, WIDTH).astype(np.float32)
                if columns
                else np.float32(0.005)
            )
            for k in "QKV"
        },
        "scale_QKT_gemm": np.float32(0.09),
        "scale_QKT_softmax": np.float32(0.0099),
        "scale_values_gemm": np.float32(0.023),
    }


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    int8 = functools.partial(rng.integers, -128, 128, dtype=np.int8)
    return {
        "input": int8(size=(3, LENGTH, WIDTH)),
        **{f"{k}_weight": int8(size=(WIDTH, WIDTH)) for k in "QKV"},
        **{f"{k}_bias": rng.standard_normal(WIDTH).astype(np.float32) for k in "QKV"},
    }


def unfused(values, mask=None):
    """The nodes that are matched, not fused into others; mask (batch, length)."""
    node = helper.make_node
    tensors = {k: v for k, v in values.items() if k != "input"}
    tensors |= {
        "zero": np.int8(0),
        "split": np.array([0, 0, HEADS, WIDTH // HEADS]),
        "join": np.array([0, 0, WIDTH]),
        "root": np.float32(np.sqrt(WIDTH / HEADS)),
        "columns": np.array([1, 2]),
        "hidden": np.where(np.zeros(1) if mask is None else mask, 0, -10000.0).astype(
            np.float32
        ),
    }

    def rounded(name, scale):
        return [
            node("QuantizeLinear", [name, scale, "zero"], [f"{name}_8"]),
            node("DequantizeLinear", [f"{name}_8", scale, "zero"], [f"{name}_r"]),
        ]

    nodes = [node("DequantizeLinear", ["input", "scale_input", "zero"], ["x"])]
    for k in "QKV":
        weight, scale = f"{k}_weight", f"scale_{k}_weight"
        perm = [0, 2, 3, 1] if k == "K" else [0, 2, 1, 3]
        zero = np.zeros(values[scale].shape, np.int8)
        tensors[f"zero_{k}"] = zero
        nodes += [
            node("DequantizeLinear", [weight, scale, f"zero_{k}"], [f"w{k}"], axis=1),
            node("MatMul", ["x", f"w{k}"], [f"m{k}"]),
            node("Add", [f"{k}_bias", f"m{k}"], [f"a{k}"]),
            *rounded(f"a{k}", f"scale_{k}_gemm"),
            node("Reshape", [f"a{k}_r", "split"], [f"s{k}"]),
            node("Transpose", [f"s{k}"], [f"h{k}"], perm=perm),
        ]
    nodes += [
        node("MatMul", ["hQ", "hK"], ["qk"]),
        *rounded("qk", "scale_QKT_gemm"),
        node("Div", ["qk_r", "root"], ["d"]),
        node("Unsqueeze", ["hidden", "columns"], ["bias"])
        if mask is not None
        else node("Identity", ["hidden"], ["bias"]),
        node("Add", ["d", "bias"], ["scores"]),
        node("Softmax", ["scores"], ["soft"], axis=-1),
        *rounded("soft", "scale_QKT_softmax"),
        node("MatMul", ["soft_r", "hV"], ["y"]),
        node("QuantizeLinear", ["y", "scale_values_gemm", "zero"], ["y8"]),
        node("Transpose", ["y8"], ["t"], perm=[0, 2, 1, 3]),
        node("Reshape", ["t", "join"], ["output"]),
    ]
    if mask is None:
        tensors["hidden"] = np.float32(0)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "unfused",
        [info("input", TensorProto.INT8, values["input"].shape)],
        [info("output", TensorProto.INT8, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"input": values["input"]})


ORDER = (
    "input scale_input scale_Q_gemm scale_K_gemm scale_V_gemm Q_weight K_weight "
    "V_weight scale_Q_weight scale_K_weight scale_V_weight Q_bias K_bias V_bias "
    "scale_QKT_gemm scale_QKT_softmax scale_values_gemm mask_index past attention_bias"
).split()
ATTRS = {"num_heads": HEADS, "order_input": 1, "order_weight": 0, "order_output": 1}


def listed(values, order=0, **more):
    """The inputs in order; columns of the weights stand one after the other."""
    memory = dict(values)
    for k in "QKV":
        w = values[f"{k}_weight"]
        memory[f"{k}_weight"] = w if order else np.ascontiguousarray(w.T)
    inputs = [{**memory, **more}.get(name) for name in ORDER]
    while inputs[-1] is None:
        inputs.pop()
    return inputs


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mask", [None, "raw", "ends"])
@pytest.mark.parametrize("columns", [(), (1,)])
def test_attention(order, mask, columns):
    ends = np.array([5, 2, 3], np.int32)
    raw = (np.arange(LENGTH) < ends[:, None]).astype(np.int32)
    given = {None: None, "raw": raw, "ends": ends}[mask]
    for seed in range(3):
        values = arrays(seed) | scales(*columns)
        expected = unfused(values, None if mask is None else raw)
        inputs = listed(values, order, mask_index=given)
        attrs = ATTRS | {"order_weight": order}
        check_node("QOrderedAttention", inputs, attrs, domain=DOMAIN, expected=expected)


REFUSED = [
    ({"order_input": 2}, {}, "orders of tiles"),
    ({"unidirectional": 1}, {}, "unidirectional"),
    ({}, {"past": np.zeros((2, 3, HEADS, 1, 4), np.int8)}, "past and attention_bias"),
    ({}, {"scale_QKT_gemm": None}, "without scales"),
    ({}, {"mask_index": np.ones((3, 5, 5), np.int32)}, "more than two dimensions"),
]


@pytest.mark.parametrize(("attrs", "more", "message"), REFUSED)
def test_refused(attrs, more, message):
    values = arrays() | scales()
    fails("QOrderedAttention", listed(values, **more), ATTRS | attrs, message=message)
