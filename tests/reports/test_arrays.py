"""Reports about positions, empty arrays, and files that bend the rules a little."""

import io
import sys
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).resolve().parents[1] / "ops"))

from harness import check_model  # noqa: E402


def exported(module, x, dynamo):
    """The ONNX model that one of PyTorch's exporters writes."""
    if dynamo:
        return torch.onnx.export(module, (x,), dynamo=True, verbose=False).model_proto
    file = io.BytesIO()
    torch.onnx.export(module, (x,), file, dynamo=False)
    return onnx.load_from_string(file.getvalue())


# onnx/onnx#2462, microsoft/onnxruntime#28085 and #28291, pytorch/executorch#22437:
# align_corners with a length that is rounded, and neighbors that are one off.
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"scale_factor": 1.3, "mode": "bilinear", "align_corners": True},
        {"scale_factor": 0.6},
    ],
)
def test_upsample_is_that_of_torch(dynamo, options):
    module = nn.Upsample(**options).eval()
    x = torch.linspace(0, 1, 210).reshape(2, 3, 5, 7)
    expected = module(x).numpy()
    check_model(exported(module, x, dynamo), [x.numpy()], [expected], rtol=1e-5)


# tensorflow/tensorflow#21338, pytorch/pytorch#12013: no boxes were found, so that what
# looks at them gets a batch of 0.
def test_batch_of_nothing():
    module = nn.Sequential(nn.InstanceNorm2d(3, affine=True), nn.MaxPool2d(2)).eval()
    x = torch.zeros(2, 3, 4, 4)
    batch = ({0: torch.export.Dim.DYNAMIC},)
    model = torch.onnx.export(
        module, (x,), dynamo=True, verbose=False, dynamic_shapes=batch
    ).model_proto
    expected = np.zeros((0, 3, 2, 2), np.float32)
    check_model(model, [x[:0].numpy()], [expected], infer=False)


# onnx/onnx-mlir#3047, microsoft/onnxruntime-genai#707, modelscope/FunASR#1566: nodes
# that stand before what they read, here also a Loop whose body reads it.
def test_nodes_out_of_order():
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 20]>
        g (float[2] x) => (float[2] y) {
            n = Constant<value_int = 3>()
            y = Loop(n, , x) <body = b (int64 i, bool c, float[2] v)
                => (bool d, float[2] w) { w = Add(v, h) d = Identity(c) }>
            h = Mul(x, two)
            two = Constant<value_float = 2.0>()
        }"""
    )
    x = np.array([1, -2], np.float32)
    check_model(model, [x], [7 * x])


# No report matches: a tool chain for microcontrollers wrote the bounds of Slice as
# scalars, and reversed with a start that lies before the front.
def test_slice_with_scalars():
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 20]>
        g (float[n] x, int64 begin, int64 end) => (float[m] y) {
            step = Constant<value_int = -1>()
            axis = Constant<value_int = 0>()
            y = Slice(x, begin, end, axis, step)
        }"""
    )
    x = np.arange(4, dtype=np.float32)
    for begin, expected in ((-9, x[:1]), (2, x[2::-1])):
        inputs = [x, np.array(begin), np.array(-99)]
        check_model(model, inputs, [expected], infer=False)
