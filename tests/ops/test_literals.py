"""Products and convolutions with literals, which XLA folds wrongly on a CPU when both
are large and a reduction follows; see passes/weights.c."""

import numpy as np
import onnx.parser
import pytest
from harness import compile_model, load_module, run_module

SIDE, CHANNELS = 13, 512  # smaller ones come out right
CASES = {
    "Conv": ("[4] {64, 512, 1, 1}", "c = Conv(x, w)", 256.0),
    "Conv of 3 by 3": ("[4] {64, 512, 3, 3}", "c = Conv(x, w)", 2304.0),
    "ConvTranspose": ("[4] {512, 64, 1, 1}", "c = ConvTranspose(x, w)", 256.0),
    "MatMul": ("[2] {13, 6}", "c = MatMul(x, w)", 6.5),
    "Einsum": (
        "[2] {64, 512}",
        'c = Einsum<equation = "nchw,oc->nohw">(x, w)',
        256.0,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_literal_weights(case, tmp_path):
    shape, node, expected = CASES[case]
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 20]>'
        f"g (float[1,{CHANNELS},{SIDE},{SIDE}] x) => (float[1,n,1,1] y) {{"
        f"s = Constant<value = int64{shape}> ()"
        f"w = ConstantOfShape<value = float[1] {{0.5}}>(s) {node}"
        "y = GlobalAveragePool(c) }"
    )
    module = load_module(compile_model(model, tmp_path))
    (y,) = run_module(module, [np.ones((1, CHANNELS, SIDE, SIDE), np.float32)])
    np.testing.assert_allclose(y, np.full(y.shape, expected, np.float32), 1e-5)
