"""If with branches of different ranks, and with branches that cannot run."""

import re

import numpy as np
import ort
import pytest
from graphs import check_format, check_text, compile_text, load_text, parse
from harness import CompileError, compile_model, load_module

import oxide_xla

TRUE, FALSE = np.array(True), np.array(False)

RANKS = """
g (float[n, 4, k] x, float[3, 4, 1] w) => (float[n, 3, p] y, float[q, r, s] z) {
  two = Constant<value = int64 {2}>()
  one = Constant<value = int64[1] {1}>()
  last = Constant<value = int64[1] {2}>()
  shape = Shape(x)
  size = Gather(shape, last)
  c = Equal(size, one)
  flat = If (c) <
    then_branch = t () => (float[a, b] u) { u = Squeeze(x, last) },
    else_branch = e () => (float[d, f, h] v) { v = Neg(x) }>
  relu = Relu(flat)
  full = Shape(relu)
  ndim = Size(full)
  d = Equal(ndim, two)
  back = If (d) <
    then_branch = t2 () => (float[aa, bb, cc] u2) { u2 = Unsqueeze(relu, last) },
    else_branch = e2 () => (float[dd, ff, hh] v2) { v2 = Identity(relu) }>
  y = Conv(back, w)
  z = Exp(back)
}"""


@pytest.mark.parametrize("k", [1, 3])
def test_if_ranks_differ(k):
    """JAX knows the rank while it traces, and the weights of Conv tell it before."""
    x = np.linspace(-1, 1, 8 * k, dtype=np.float32).reshape(2, 4, k)
    w = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4, 1)
    check_text(
        RANKS,
        [x, w],
        names={"n": 2, "k": k, "p": k, "q": 2, "r": 4, "s": k},
        contains=["x.squeeze(2) if k == 1 else -x", "if relu.ndim == 2 else relu"],
    )


def test_if_declared_rank_is_that_of_one_branch():
    """A negative axis is another one in the other rank."""
    text = """
    g (float[n, k] x) => (float[a, b, c] y) <float[d, e] flat> {
      one = Constant<value = int64[1] {1}>()
      last = Constant<value = int64[1] {-1}>()
      second = Constant<value = int64[1] {-2}>()
      shape = Shape(x)
      size = Gather(shape, one)
      c = Equal(size, one)
      flat = If (c) <
        then_branch = t () => (float[f] u) { u = Squeeze(x, one) },
        else_branch = e () => (float[g, h] v) { v = Neg(x) }>
      y = Unsqueeze(flat, second)
    }"""
    model = parse(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    forward = oxide_xla.compile(model).forward
    for k in (1, 3):
        x = np.arange(2 * k, dtype=np.float32).reshape(2, k)
        (expected,) = ort.run(model, {"x": x})
        y = forward({}, x)
        assert y.shape == expected.shape
        np.testing.assert_array_equal(y, expected)


SQUEEZED = """
g (float[n, 4, k] x, float[3, 4, 1] w) => (float[n, 3, 1] y) {
  one = Constant<value = int64[1] {1}>()
  last = Constant<value = int64[1] {2}>()
  shape = Shape(x)
  size = Gather(shape, last)
  c = Equal(size, one)
  flat = If (c) <
    then_branch = t () => (float[a, b] u) { u = Squeeze(x, last) },
    else_branch = e () => (float[d, f, h] v) { v = Identity(x) }>
  back = Unsqueeze(flat, last)
  y = Conv(back, w)
}"""


def test_if_only_one_rank_fits():
    """What follows can run with the results of one branch only."""
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4, 1)
    w = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4, 1)
    check_text(
        SQUEEZED,
        [x, w],
        names={"n": 2, "k": 1},
        contains=["x.squeeze(2) if k == 1 else refuse("],
    )
    with pytest.raises(ValueError, match="the branch for these inputs cannot run"):
        load_text(SQUEEZED).forward({}, np.repeat(x, 3, axis=2), w)


def test_if_no_rank_fits():
    """An error, not a choice."""
    with pytest.raises(CompileError, match="OX0401"):
        compile_text(SQUEEZED.replace("float[3, 4, 1] w", "float[3, 5, 1] w"))


def test_if_only_one_branch_can_run(tmp_path):
    """The other is no reason to refuse a model, as long as nobody asks for it: a size
    that the user gives is for one of them."""
    text = """
    g (float[n, 3] x, bool c) => (float[a, b] y) {
      y = If (c) <
        then_branch = t () => (float[n, 6] u) { u = Concat<axis = 1>(x, x) },
        else_branch = e () => (float[6] v) {
          axes = Constant<value = int64[1] {0}>()
          flat = Squeeze(x, axes)
          v = Concat<axis = 0>(flat, flat)
        }>
    }"""
    path = compile_model(parse(text), tmp_path, "--shape", "x=4,3")
    assert 'if c else refuse("If")' in path.read_text()
    module = load_module(path)
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(
        module.forward({}, x, True), np.concatenate([x, x], axis=1)
    )
    with pytest.raises(ValueError, match="cannot run"):
        module.forward({}, x, False)


def test_if_traces_no_branch_that_may_refuse():
    """lax.cond would trace it though it is not taken."""
    inner = re.search(r"\{\n(.*)\}", SQUEEZED, re.DOTALL).group(1)
    text = f"""
    g (float[n, 4, k] x, float[3, 4, 1] w, bool go) => (float[n, 3, 1] z) {{
      z = If (go) <
        then_branch = yes () => (float[n, 3, 1] y) {{ {inner} }},
        else_branch = no () => (float[n, 3, 1] o) {{
          axes = Constant<value = int64[1] {{2}}>()
          sum = ReduceSum(x, axes)
          o = Conv(sum, w)
        }}>
    }}"""
    w = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4, 1)
    for k, go in ((1, TRUE), (1, FALSE), (3, FALSE)):
        x = np.linspace(-1, 1, 8 * k, dtype=np.float32).reshape(2, 4, k)
        check_text(
            text,
            [x, w, go],
            names={"n": 2, "k": k},
            jitted=False,
            contains=["then_branch() if go else"],
            lacks=["lax.cond"],
        )


BATCHED = """
g (float[n, 3] x, float[1, 8, 3] w, float[1, 8, 2] r) =>
    (float[a, b] y, float[c, d] h) {
  two = Constant<value = int64 {2}>()
  zero = Constant<value = int64[1] {0}>()
  one = Constant<value = int64[1] {1}>()
  shape = Shape(x)
  ndim = Size(shape)
  is_matrix = Equal(ndim, two)
  is_batched = Not(is_matrix)
  batched = Cast<to = 9>(is_batched)
  x3 = If (batched) <
    then_branch = t () => (float[e, f, g] u) { u = Identity(x) },
    else_branch = e () => (float[i, j, k] v) { v = Unsqueeze(x, one) }>
  ys, h3, c3 = LSTM<hidden_size = 2>(x3, w, r)
  y4 = Squeeze(ys, one)
  y, h = If (batched) <
    then_branch = t2 () => (float[l, m, n2] u2, float[o, p, q] uh) {
      u2 = Identity(y4)  uh = Identity(h3)
    },
    else_branch = e2 () => (float[s, t] v2, float[u3, v3] vh) {
      v2 = Squeeze(y4, one)  vh = Squeeze(h3, zero)
    }>
}"""


def test_rank_of_an_input_that_the_file_does_not_know():
    """Of an LSTM with and without a batch, the cell of which tells the rank."""
    model = parse(BATCHED)
    for value in (model.graph.input[0], *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    compiled = oxide_xla.compile(model)
    assert not compiled.messages
    assert "x3 = jnp.expand_dims(x, (1,)) if x.ndim == 2 else x\n" in compiled.source
    check_format(compiled.source)
    rng = np.random.default_rng(0)
    w, r = (rng.standard_normal((1, 8, n)).astype(np.float32) for n in (3, 2))
    for shape in ((5, 3), (5, 4, 3)):
        x = rng.standard_normal(shape).astype(np.float32)
        expected = ort.run(model, {"x": x, "w": w, "r": r})
        for a, e in zip(compiled.forward({}, x, w, r), expected, strict=True):
            assert a.shape == e.shape
            np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)
