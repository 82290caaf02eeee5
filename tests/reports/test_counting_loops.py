"""Loops that a converter writes with a condition that only counts."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx.parser

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ops"))

from harness import compile_model, load_module  # noqa: E402


# onnx/tensorflow-onnx#1871: a Keras LSTM behind a mask is converted into a Loop with a
# condition; onnx/tensorflow-onnx#732 has the same of a GRU.
def test_recurrent_loop(tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 13]> '
        "g (float[T, b] x, bool[T, b] mask) => (float[b] h, float[T, b] rows) {"
        "most = Constant<value = int64 {9223372036854775807}>()"
        "zero = Constant<value = int32 {0}>() one = Constant<value = int32 {1}>()"
        "z1 = Constant<value_ints = [0]>() o1 = Constant<value_ints = [1]>()"
        "dims = Shape(x) t1 = Slice(dims, z1, o1, z1) t0 = Squeeze(t1, z1)"
        "two = Constant<value_ints = [2]>()"
        "n = Cast<to = 6>(t0) width = Slice(dims, o1, two, z1)"
        "start = ConstantOfShape(width) k0 = Less(zero, n)"
        "time, h, rows = Loop(most, k0, zero, start) <body = body"
        "(int64 i, bool k, int32 t, float[c] s) => (bool m, int32 u, float[d] v,"
        " float[e] row) { u = Add(t, one) xi = Gather(x, t) mi = Gather(mask, t)"
        "w = Add(s, xi) th = Tanh(w) v = Where(mi, th, s) row = Identity(v)"
        "m = Less(u, n) }> }"
    )
    module = load_module(compile_model(model, tmp_path))
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 3)).astype(np.float32)
    mask = random.random((4, 3)) > 0.4

    def states(x):
        h, rows = jnp.zeros(3), []
        for row, keep in zip(x, mask, strict=True):
            h = jnp.where(keep, jnp.tanh(h + row), h)
            rows.append(h)
        return h, jnp.stack(rows)

    h, rows = module.forward({}, x, mask)
    np.testing.assert_allclose(h, states(x)[0], 1e-6)
    np.testing.assert_allclose(rows, states(x)[1], 1e-6)
    gradient = jax.grad(lambda x: jnp.sum(module.forward({}, x, mask).h))(x)
    expected = jax.grad(lambda x: jnp.sum(states(x)[0]))(x)
    np.testing.assert_allclose(gradient, expected, 1e-5)
