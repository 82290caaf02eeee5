"""--bound: what follows a padded value gives what it gives without padding, or is an
error that names the node."""

import jax
import numpy as np
import onnxruntime
import pytest
from graphs import parse
from harness import CompileError
from test_bound import compile_bounded

X = np.float32([3, -1, 4, 2, 5])
KEEP = np.array([True, False, True, True, False])


def check(text, inputs, *bounds, opset=18):
    """Each output begins with what onnxruntime gives; the source of the module."""
    model = parse(text, opset)
    names = [value.name for value in model.graph.input]
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, dict(zip(names, inputs, strict=True)))
    module, source = compile_bounded(text, *bounds, opset=opset)
    assert "@jax.jit" in source
    actual = module.forward({}, *inputs)
    actual = list(actual) if isinstance(actual, tuple) else [actual]
    for want, got in zip(expected, actual, strict=True):
        got = np.asarray(got)
        front = got[tuple(slice(n) for n in want.shape)]
        np.testing.assert_allclose(front, want, rtol=1e-5, atol=1e-6)
        assert got.dtype.kind == want.dtype.kind
    return source


SELECTED = """g (float[5] x, bool[5] c) => (float[{}] y) {{
  a0 = Constant<value_ints = [0]>()
  a1 = Constant<value_ints = [1]>()
  zero = Constant<value_int = 0>()
  three = Constant<value_ints = [3]>()
  z = Compress<axis = 0>(x, c)
  {}
}}"""

HIDDEN = {
    "sum": "y = ReduceSum(z)",
    "mean": "y = ReduceMean(z)",
    "mean of all": "y = ReduceMean<keepdims = 0>(z)",
    "maximum": "n = Neg(z) y = ReduceMax(n)",
    "minimum": "y = ReduceMin(z)",
    "product": "y = ReduceProd(z)",
    "norm": "e = Exp(z) y = ReduceL2(e)",
    "log of a sum of exponentials": "y = ReduceLogSumExp(z)",
    "sum of exponentials": "e = Exp(z) y = ReduceSum(e)",
    "softmax": "y = Softmax<axis = 0>(z)",
    "log softmax": "y = LogSoftmax(z)",
    "position of the largest": "n = Neg(z) i = ArgMax(n) y = Cast<to = 1>(i)",
    "position of the smallest": "e = Exp(z) i = ArgMin(e) y = Cast<to = 1>(i)",
    "sorted": "k = Shape(z) y, i = TopK(z, k)",
    "sorted upwards": "k = Shape(z) y, i = TopK<largest = 0>(z, k)",
    "one of the largest": "y, i = TopK(z, a1)",
    "count": "n = Size(z) y = Cast<to = 1>(n)",
    "mean by hand": """s = ReduceSum(z) n = Size(z) f = Cast<to = 1>(n)
      y = Div(s, f)""",
    "variance": """m = ReduceMean(z) d = Sub(z, m) q = Mul(d, d)
      y = ReduceMean(q)""",
    "product of matrices": """e = Exp(z) r = Unsqueeze(e, a0) t = Transpose(r)
      p = MatMul(r, t) y = Squeeze(p, a0)""",
    "all pairs": """r = Unsqueeze(z, a0) t = Transpose(r) p = MatMul(t, r)
      w = Softmax<axis = 1>(p) y = MatMul(w, z)""",
    "running sum": "y = CumSum(z, zero)",
    "running sum from the end": "y = CumSum<reverse = 1>(z, zero)",
    "window": """r = Unsqueeze(z, a0) b = Unsqueeze(r, a0)
      v = MaxPool<kernel_shape = [3], pads = [1, 1]>(b) q = Squeeze(v, a0)
      y = Squeeze(q, a0)""",
    "behind others": "y = Concat<axis = 0>(x, z) ",
    "padded by the model": """e = Exp(z) ends = Constant<value_ints = [1, 2]>()
      p = Pad(e, ends) y = ReduceSum(p)""",
    "a part": "m = Constant<value_ints = [9]>() y = Slice(z, a1, m)",
    "the first": "y = Gather(z, a0)",
    "selected again": """o = Exp(z) one = Constant<value = float {9}>()
      k = Greater(o, one) y = Compress<axis = 0>(z, k)""",
}
OUTPUT_RANK_0 = {"mean of all", "count"}


@pytest.mark.parametrize("name", HIDDEN)
def test_padding_is_hidden(name):
    header = "" if name in OUTPUT_RANK_0 else "k"
    text = SELECTED.format(header, HIDDEN[name])
    if header == "":
        text = text.replace("float[] y", "float y")
    bounds = ["z=5", "y=5"] if name == "selected again" else ["z=5"]
    check(text, [X, KEEP], *bounds)


@pytest.mark.parametrize("name", ["mean", "sorted", "count", "all pairs"])
def test_a_bound_below_what_there_is(name):
    """As if the last ones were not there, and nothing of them is counted."""
    text = SELECTED.format("k", HIDDEN[name])
    if name == "count":
        text = text.replace("float[k] y", "float y")
    module, _ = compile_bounded(text, "z=2", opset=18)
    exact, _ = compile_bounded(text, opset=18)
    fewer = np.array([True, False, True, False, False])
    np.testing.assert_allclose(
        module.forward({}, X, KEEP), exact.forward({}, X, fewer), rtol=1e-6
    )


def test_mean_as_text():
    source = check(SELECTED.format("k", HIDDEN["mean"]), [X, KEEP], "z=5")
    kept = "keep_first(jnp.compress(c, x, axis=0, size=5), count)"
    assert f"y = jnp.mean({kept}, keepdims=True)" in source
    assert "return y * 5 / count" in source


@pytest.mark.parametrize("x64", [False, True])
def test_types_stay(x64):
    text = SELECTED.format("k", HIDDEN["mean"])
    with jax.enable_x64(x64):
        module, _ = compile_bounded(text, "z=5", opset=18)
        assert module.forward({}, X, KEEP).dtype == np.float32


SEEN = {
    "in front of others": ("y = Concat<axis = 0>(z, x)", "Concat"),
    "the last": (
        "b = Constant<value_ints = [-1]>() y = Gather(z, b)",
        "Gather",
    ),
    "backwards": (
        """s = Constant<value_ints = [-1]>() e = Constant<value_ints = [-9]>()
        y = Slice(z, s, e, a0, s)""",
        "Slice",
    ),
    "an unknown index": ("i = ArgMax<keepdims=0>(x) y = Gather(z, i)", "Gather"),
    "a size of its own": ("y = Add(z, x)", "Add"),
    "normalization": (
        """r = Unsqueeze(z, a0) b = Unsqueeze(r, a0)
        o = Constant<value_floats = [1.0]>()
        y = InstanceNormalization(b, o, o)""",
        "InstanceNormalization",
    ),
    "average of a window": (
        """r = Unsqueeze(z, a0) b = Unsqueeze(r, a0)
        y = AveragePool<kernel_shape = [3], pads = [1, 1]>(b)""",
        "AveragePool",
    ),
    "rows of three": (
        "s = Constant<value_ints = [-1, 3]>() y = Reshape(z, s)",
        "Reshape",
    ),
    "the last of equals": (
        "i = ArgMax<select_last_index = 1>(z) y = Cast<to=1>(i)",
        "ArgMax",
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_padding_that_would_be_seen(name):
    body, node = SEEN[name]
    text = SELECTED.format("k", body)
    compile_bounded(text, opset=18)
    with pytest.raises(CompileError, match=rf'OX0415.*padding of "z"(.|\n)*\({node},'):
        compile_bounded(text, "z=5", opset=18)


def test_indices_that_are_padded():
    """Gathered rows of nothing are padding; scattered ones are dropped."""
    text = """g (float[3, 4] x) => (float[3, 4] y, float s) {
      a1 = Constant<value_ints = [1]>()
      none = ConstantOfShape<value = float[1] {0}>(shape)
      shape = Constant<value_ints = [3, 4]>()
      i = NonZero(x)
      t = Transpose(i)
      v = GatherND(x, t)
      d = Mul(v, v)
      y = ScatterND(none, t, d)
      s = ReduceSum<keepdims = 0>(d)
    }"""
    lines = text.split("\n")
    lines[2], lines[3] = lines[3], lines[2]
    x = np.float32([[0, 2, 0, 3], [1, 0, 0, 4], [0, 0, 5, 0]])
    check("\n".join(lines), [x], "i=9")


def test_boxes():
    """Detection as exporters write it: the boxes that are left, and how many."""
    text = """g (float[1, n, 4] b, float[1, 1, n] s) => (float[k, 4] y, float top) {
      most = Constant<value = int64 {9}>()
      limit = Constant<value = float {0.5}>()
      two = Constant<value = int64 {2}>()
      a0 = Constant<value_ints = [0]>()
      k = NonMaxSuppression(b, s, most, limit)
      i = Gather<axis = 1>(k, two)
      q = Squeeze(b, a0)
      y = Gather(q, i)
      top = ReduceMax<keepdims = 0>(y)
    }"""
    boxes = np.float32([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 10, 1, 11]]]) - 20
    check(text, [boxes, np.float32([[[0.9, 0.7, 0.6]]])], "k=6")


# Lengths that the model predicts: durations, their sum, a frame for each unit of time.
SPEECH = """g (float[4] d, float[4, 3] h, float[2, 3, 3] w, float[2, 2, 4] u)
    => (float[1, 2, k] y, float[a, 3] at, int64 n) {
  zero = Constant<value_int = 0>()
  one = Constant<value_int = 1>()
  a0 = Constant<value_ints = [0]>()
  a1 = Constant<value_ints = [1]>()
  ends = CumSum(d, zero)
  total = ReduceMax<keepdims = 0>(ends)
  length = Cast<to = 7>(total)
  frames = Range(zero, length, one)
  f = Cast<to = 1>(frames)
  e2 = Unsqueeze(ends, a1)
  f2 = Unsqueeze(f, a0)
  past = LessOrEqual(e2, f2)
  p1 = Cast<to = 7>(past)
  unit = ReduceSum<keepdims = 0>(p1, a0)
  q = Gather(h, unit)
  k = Transpose(q)
  s = MatMul(q, k)
  p = Softmax(s)
  at = MatMul(p, q)
  t = Transpose(at)
  b = Unsqueeze(t, a0)
  c = Conv<pads = [1, 1]>(b, w)
  r = Relu(c)
  y = ConvTranspose<strides = [2], pads = [1, 1]>(r, u)
  n = Size(frames)
}"""


def test_predicted_lengths():
    rng = np.random.default_rng(0)
    shapes = [(4, 3), (2, 3, 3), (2, 2, 4)]
    weights = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    for durations in ([1, 2, 0, 3], [2, 2, 2, 3], [0, 1, 0, 0]):
        source = check(SPEECH, [np.float32(durations), *weights], "frames=9")
    assert "jnp.arange(9)" in source


@pytest.mark.parametrize(
    ("start", "limit", "delta"), [(0, 3, 1), (7, 2, -2), (5, 5, 1), (-1, 6, 3)]
)
@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_range(start, limit, delta, dtype):
    name = "int64" if dtype == np.int64 else "float"
    text = f"""g ({name} a, {name} b, {name} c) => ({name}[k] y, {name} s) {{
      r = Range(a, b, c)
      y = Abs(r)
      s = ReduceSum<keepdims = 0>(y)
    }}"""
    check(text, [np.array(v, dtype) for v in (start, limit, delta)], "r=4")


def test_expand_and_constant_of_shape():
    text = """g (int64 n, float[1, 3] x) => (float[k, 3] y, float s) {
      a0 = Constant<value_ints = [0]>()
      three = Constant<value_ints = [3]>()
      n1 = Unsqueeze(n, a0)
      shape = Concat<axis = 0>(n1, three)
      e = Expand(x, shape)
      c = ConstantOfShape<value = float[1] {2}>(n1)
      y = Relu(e)
      p = ReduceSum<keepdims = 0>(y)
      q = ReduceSum<keepdims = 0>(c)
      s = Add(p, q)
    }"""
    x = np.float32([[1, 2, 3]])
    source = check(text, [np.array(2), x], "e=4", "c=4")
    assert "e: 4 with the same elements" in source


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("y=5", 'the size of "y" follows from that of "r"'),
        ("e=5", 'the shape of "e" is not that of one size'),
    ],
)
def test_what_has_no_bound_of_its_own(bound, message):
    text = """g (int64 n) => (int64[k] y, float[i, j] e) {
      zero = Constant<value_int = 0>()
      one = Constant<value_int = 1>()
      a0 = Constant<value_ints = [0]>()
      r = Range(zero, n, one)
      y = Neg(r)
      n1 = Unsqueeze(n, a0)
      n2 = Concat<axis = 0>(n1, n1)
      e = ConstantOfShape(n2)
    }"""
    with pytest.raises(CompileError, match=message):
        compile_bounded(text, bound, opset=18)


def test_inside_a_loop():
    """A count that a body computes with is that of the moment."""
    text = """g (float[2, 3] x, int64 m) => (float[2, 3] y) {
      y = Loop (m, , x) <
        body = b (int64 i, bool k, float[2, 3] s) => (bool k2, float[2, 3] t) {
          k2 = Identity(k)
          at = NonZero(s)
          count = Size(at)
          c = CastLike(count, s)
          t = Mul(s, c)
        }>
    }"""
    x = np.float32([[0, 3, 0], [1, 0, 2]])
    check(text, [x, np.array(2)], "at=6")


def test_that_leaves_a_loop():
    text = """g (float[2, 3] x, int64 m) => (float[l, 2, k] y) {
      y = Loop (m, ) <
        body = b (int64 i, bool k) => (bool k2, float[2, q] t) {
          k2 = Identity(k)
          at = NonZero(x)
          t = CastLike(at, x)
        }>
    }"""
    compile_bounded(text, opset=18)
    with pytest.raises(CompileError, match=r"OX0415.*it leaves a subgraph"):
        compile_bounded(text, "at=6", opset=18)
