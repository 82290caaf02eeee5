"""--bound: outputs whose size depends on data are padded, so that forward is jitted."""

import subprocess
import tempfile

import jax
import numpy as np
import pytest
from graphs import check_format, parse
from harness import PROGRAM, CompileError, compile_model, load_module

X = np.float32([[0, 3, 0], [1, 0, 2]])


def compile_bounded(text, *bounds, opset=21):
    """The module of a model, and its source."""
    options = [word for bound in bounds for word in ("--bound", bound)]
    with tempfile.TemporaryDirectory() as folder:
        path = compile_model(parse(text, opset), folder, *options)
        check_format(path.read_text())
        return load_module(path), path.read_text()


def check(text, inputs, bound, expected, padding, axis=0):
    """The jitted output begins with the exact one, and goes on with padding."""
    plain, source = compile_bounded(text)
    assert "@jax.jit" not in source
    module, source = compile_bounded(text, bound)
    assert "@jax.jit" in source
    size = int(bound.split("=")[1])
    exact, padded = plain.forward({}, *inputs), module.forward({}, *inputs)
    with jax.disable_jit():
        again = module.forward({}, *inputs)
    np.testing.assert_array_equal(exact, expected)
    np.testing.assert_array_equal(padded, again)
    assert padded.dtype == exact.dtype
    assert padded.shape[axis] == size
    count = exact.shape[axis]
    front, rest = np.split(np.asarray(padded), [count], axis)
    np.testing.assert_array_equal(front, exact)
    np.testing.assert_array_equal(rest, np.broadcast_to(padding, rest.shape))
    return source


@pytest.mark.parametrize("shape", ["2, 3", "n, k"])
def test_non_zero(shape):
    text = f"g (float[{shape}] x) => (int64[2, c] y) {{ y = NonZero(x) }}"
    padding = np.array([[2], [3]])
    source = check(text, [X], "y=5", np.stack(np.nonzero(X)), padding, axis=1)
    assert "non_zero(x, size=5)" in source
    assert "y: 5 with columns of the sizes of X" in source


def test_non_zero_past_the_bound():
    """What is left out are the last ones."""
    text = "g (float[2, 3] x) => (int64[2, c] y) { y = NonZero(x) }"
    module, _ = compile_bounded(text, "y=2")
    np.testing.assert_array_equal(module.forward({}, X), [[0, 1], [1, 0]])


def test_bound_in_the_middle():
    """What follows has the size of the bound; padding is out of range, so nothing
    is written there."""
    text = """g (float[n, k] x, float[5] u) => (float[n, k] y) {
      i = NonZero(x)
      t = Transpose<perm = [1, 0]>(i)
      y = ScatterND(x, t, u)
    }"""
    module, source = compile_bounded(text, "i=5")
    assert "@jax.jit" in source
    updates = np.float32([7, 8, 9, 10, 11])
    y = module.forward({}, X, updates)
    np.testing.assert_array_equal(y, [[0, 7, 0], [8, 0, 9]])


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_compress(axis):
    attribute = "" if axis is None else f"<axis = {axis}>"
    rank = 1 if axis is None else 2
    header = ", ".join(f"d{i}" for i in range(rank))
    text = f"""g (float[3, 4] x, bool[k] c) => (float[{header}] y) {{
      y = Compress{attribute}(x, c)
    }}"""
    x = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    c = np.array([True, False, True])
    expected = np.compress(c, x, axis)
    check(text, [x, c], "y=3", expected, 0, axis=axis or 0)


UNIQUE = """g (int64[n] x) => (int64[a] y, int64[b] i, int64[n] j, int64[c] k) {{
  y, i, j, k = Unique<sorted = {}>(x)
}}"""


@pytest.mark.parametrize("sort", [0, 1])
@pytest.mark.parametrize("output", "yik")
def test_unique(sort, output):
    """Elements that are counted 0 times are padding."""
    x = np.array([5, 2, 2, 9, 5, 7, 2])
    plain, _ = compile_bounded(UNIQUE.format(sort))
    module, source = compile_bounded(UNIQUE.format(sort), f"{output}=6")
    assert "@jax.jit" in source
    exact, padded = plain.forward({}, x), module.forward({}, x)
    for name in "yik":
        value = np.asarray(getattr(padded, name))
        assert value.shape == (6,)
        np.testing.assert_array_equal(value[:4], getattr(exact, name))
    np.testing.assert_array_equal(padded.j, exact.j)
    np.testing.assert_array_equal(padded.k[4:], 0)
    np.testing.assert_array_equal(padded.y[4:], 2)
    assert (padded.k > 0).sum() == 4
    assert "y, i, j, k: 6 with the smallest element, counted 0 times" in source


def test_unique_rows():
    text = "g (float[n, 3] x) => (float[m, 3] y) { y = Unique<axis = 0>(x) }"
    x = np.float32([[2, 1, 0], [1, 5, 6], [2, 1, 0]])
    check(text, [x], "y=3", x[[1, 0]], x[1], axis=0)


SUPPRESSION = """g (float[n, b, 4] boxes, float[n, c, b] scores) => (int64[k, 3] y) {
  most = Constant<value = int64 {MOST}>()
  limit = Constant<value = float {0.5}>()
  y = NonMaxSuppression(boxes, scores, most, limit)
}"""


def test_non_max_suppression():
    boxes = [[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 10, 1, 11], [0, 100, 1, 101]]
    scores = np.float32([[[0.9, 0.75, 0.6, 0.5], [0.1, 0.95, 0.2, 0.3]]])
    text = SUPPRESSION.replace("MOST", "3")
    expected = [[0, 0, 0], [0, 0, 2], [0, 0, 3], [0, 1, 1], [0, 1, 3], [0, 1, 2]]
    source = check(text, [np.float32([boxes]), scores], "y=9", expected, -1)
    assert "y: 9 with rows of -1" in source


def test_non_max_suppression_of_nothing():
    module, _ = compile_bounded(SUPPRESSION.replace("MOST", "0"), "y=2")
    y = module.forward({}, np.zeros((1, 3, 4), np.float32), np.ones((1, 1, 3)))
    np.testing.assert_array_equal(y, np.full((2, 3), -1))


def test_inside_a_loop():
    """What JAX cannot trace without a bound becomes a fori_loop with one."""
    text = """g (float[2, 3] x, int64 m) => (float[2, 3] y) {
      y = Loop (m, , x) <
        body = b (int64 i, bool k, float[2, 3] s) => (bool k2, float[2, 3] t) {
          k2 = Identity(k)
          at = NonZero(s)
          count = Size(at)
          c = CastLike(count, s)
          t = Add(s, c)
        }>
    }"""
    _, source = compile_bounded(text)
    assert "fori_loop" not in source
    module, source = compile_bounded(text, "at=6")
    assert "fori_loop" in source
    assert module.forward({}, X, 2).shape == (2, 3)


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("z=5", "the model has no such value"),
        ("indicse=5", 'did you mean "indices"'),
        ("y=5", 'the size of "y" does not depend on data'),
        ("x=5", 'the size of "x" does not depend on data'),
        ("w=5", 'the size of "w" does not depend on data'),
        ("five=5", 'the size of "five" does not depend on data'),
        ("indices", "the bound is no number"),
        ("indices=0", "the bound is no number"),
        ("indices=-1", "the bound is no number"),
        ("indices=99999999999", "the bound is no number"),
    ],
)
def test_errors(bound, message):
    text = """g (float[n] x) => (int64[1, k] indices, float[n] y) <float[1] w = {2}> {
      five = Constant<value = float {5}>()
      z1 = Mul(x, five)
      y = Mul(z1, w)
      indices = NonZero(x)
    }"""
    with pytest.raises(CompileError, match=message):
        compile_bounded(text, bound)


def test_bounds_that_differ():
    with pytest.raises(CompileError, match="bounded differently"):
        compile_bounded(UNIQUE.format(1), "y=5", "i=6")
    with pytest.raises(CompileError, match="inverse_indices is as long as X"):
        compile_bounded(UNIQUE.format(1), "j=5")


def test_known_size_has_no_bound():
    text = """g (float[4] x) => (int64[1, 4] y) {
      c = Constant<value = float[3] {1, 0, 1}>()
      y = NonZero(c)
    }"""
    with pytest.raises(CompileError, match="does not depend on data"):
        compile_bounded(text, "y=3")


def test_compress_has_no_more_than_its_input():
    text = "g (float[3] x, bool[3] c) => (float[k] y) { y = Compress(x, c) }"
    with pytest.raises(CompileError, match="larger than what there is: 3"):
        compile_bounded(text, "y=4")


def test_size_that_shapes_decide_needs_no_bound():
    """The index of every element: exporters write arange so."""
    text = """g (float[n, 3] x) => (int64[2, k] y) {
      shape = Shape(x)
      ones = ConstantOfShape<value = int64[1] {1}>(shape)
      y = NonZero(ones)
    }"""
    module, source = compile_bounded(text)
    assert "@jax.jit" in source
    np.testing.assert_array_equal(
        module.forward({}, X), np.indices((2, 3)).reshape(2, -1)
    )


def test_warning_says_what_to_do():
    text = "g (float[n] x) => (int64[1, k] y) { y = NonZero(x) }"
    with tempfile.TemporaryDirectory() as folder:
        compile_model(parse(text), folder)
        command = [PROGRAM, "compile", f"{folder}/model.onnx", "-o", f"{folder}/m.py"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '--bound "y=N"' in done.stderr
