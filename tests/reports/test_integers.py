"""Integers of 64 bits in JAX's default mode, and lengths that pass through floats."""

import sys
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ops"))

from harness import compile_model, load_module, run_module  # noqa: E402


def parse(text):
    return onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 20]> ' + text)


# microsoft/onnxruntime#3821: "One or more weights outside the range of INT32 was
# clamped" says neither which nor whether it matters; here the end of int64 is clamped,
# with a warning that names the node.
def test_masked_maximum(tmp_path):
    model = parse(
        "g (int64[2, 3] x, bool[2, 3] m) => (int64[2] y) {"
        "least = Constant<value = int64 {-9223372036854775808}>()"
        "axes = Constant<value = int64[1] {1}>()"
        "f = Where(m, least, x) y = ReduceMax<keepdims = 0>(f, axes) }"
    )
    module = load_module(compile_model(model, tmp_path))
    x = np.array([[5, -7, 3], [1, 9, 4]])
    (y,) = run_module(module, [x, x > 4])
    np.testing.assert_array_equal(y, [3, 4])


# jax-ml/jax#18385: 64-bit NumPy integers are narrowed in silence without x64.
def test_wide_table(tmp_path):
    values = ", ".join(str(2**31 + i) for i in range(300))
    model = parse(
        f"g (int64[k] i) => (int64[k] y) <int64[300] table = {{{values}}}>"
        "{ y = Gather(table, i) }"
    )
    module = load_module(compile_model(model, tmp_path))
    with pytest.raises(OverflowError, match="table needs 64-bit"):
        module.load_params()


# pytorch/pytorch#26127: arange(width, dtype=float32), whose length is cast to float in
# the export; positional encodings are written so.
def test_positions(tmp_path):
    model = parse(
        "g (float[b, n] x) => (float[b, n] y) {"
        "n = Shape<start = 1>(x) zero = Constant<value = int64 {0}>()"
        "s = Gather(n, zero) f = Cast<to = 1>(s)"
        "start = Constant<value = float {0}>() step = Constant<value = float {1}>()"
        "p = Range(start, f, step) y = Add(x, p) }"
    )
    path = compile_model(model, tmp_path)
    assert "@jax.jit" in path.read_text()
    assert "jnp.arange(n, dtype=jnp.float32).astype(x.dtype)" in path.read_text()
    (y,) = run_module(load_module(path), [np.zeros((2, 5), np.float32)])
    np.testing.assert_array_equal(y, [[0, 1, 2, 3, 4]] * 2)
