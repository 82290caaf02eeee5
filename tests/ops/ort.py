"""Expected values from onnxruntime, where onnx.reference is wrong or incomplete."""

import functools

import harness
import numpy as np
import onnxruntime


@functools.cache
def _options():
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return options


def without_overflow(q):
    """Quantized weights that give the same products on every CPU: onnxruntime adds two
    products of uint8 and int8 in 16 bits where there is no VNNI, and that saturates
    unless the int8 have 7 bits."""
    return q // 2 if q.dtype == np.int8 else q


def run(model, inputs):
    """All outputs of a model on {name: array}."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _options(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def check(
    op,
    inputs,
    attrs=None,
    *,
    opset=1,
    domain="",
    outputs=1,
    output_types=None,
    **options,
):
    """harness.check_node against onnxruntime; in 32-bit mode unless x64 says more."""
    options = {"rtol": 2e-5, "atol": 2e-5, "x64": False, **options}
    named = harness._named_inputs(harness._schema(op, opset, domain), inputs)
    model = harness.make_model(
        op,
        named,
        attrs,
        opset=opset,
        domain=domain,
        outputs=outputs,
        output_types=output_types,
    )
    given = {k: v for k, v in named.items() if v is not None}
    return harness.check_node(
        op,
        inputs,
        attrs,
        opset=opset,
        domain=domain,
        outputs=outputs,
        expected=run(model, given),
        **options,
    )
