"""Random operators: what they draw, and from which key."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from graphs import check_format, compile_text, load_text
from harness import CompileError, check_node

KEYS = [jax.random.key(seed) for seed in (0, 1)]


def load(text, opset=22):
    """The module, after ruff has seen its source."""
    check_format(compile_text(text, opset))
    return load_text(text, opset)


def draw(text, *inputs, opset=22, key=KEYS[0], x64=False):
    """What the model gives, without a warning."""
    with warnings.catch_warnings(), jax.enable_x64(x64):
        warnings.simplefilter("error")
        return load(text, opset).forward({}, *inputs, key=key)


def shaped(op, attributes="", opset=22, dtype="float"):
    attributes = f"shape = [200, 100], {attributes}".rstrip(", ")
    return f"g () => ({dtype}[200, 100] y) {{ y = {op}<{attributes}>() }}"


@pytest.mark.parametrize("opset", [1, 22])
@pytest.mark.parametrize(
    ("dtype", "number"),
    [("float", 1), ("float16", 10), ("double", 11), ("bfloat16", 16)],
)
def test_normal(dtype, number, opset):
    attributes = f"dtype = {number}, mean = 3.0, scale = 0.5"
    y = draw(shaped("RandomNormal", attributes, dtype=dtype), opset=opset, x64=True)
    assert y.dtype == {"float": "float32", "double": "float64"}.get(dtype, dtype)
    y = np.asarray(y, np.float64)
    assert abs(y.mean() - 3) < 0.02
    assert abs(y.std() - 0.5) < 0.02


def test_normal_by_default():
    y = draw(shaped("RandomNormal"))
    assert y.dtype == np.float32
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02


@pytest.mark.parametrize("opset", [1, 22])
@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-3.0, 5.0)])
def test_uniform(low, high, opset):
    attributes = f"low = {low}, high = {high}" if low else ""
    y = draw(shaped("RandomUniform", attributes), opset=opset)
    assert low <= y.min() < low + 0.1
    assert high - 0.1 < y.max() < high
    assert abs(y.mean() - (low + high) / 2) < 0.1


@pytest.mark.parametrize("op", ["RandomNormalLike", "RandomUniformLike"])
@pytest.mark.parametrize(
    ("dtype", "expected"), [("", "float16"), ("<dtype = 1>", "float32")]
)
def test_like(op, dtype, expected):
    """The shape is the input's, symbols included."""
    out = "float16" if not dtype else "float"
    text = f"g (float16[n, 3] x) => ({out}[n, 3] y) {{ y = {op}{dtype}(x) }}"
    y = draw(text, np.zeros((50, 3), np.float16))
    assert y.shape == (50, 3)
    assert y.dtype == expected
    assert len(np.unique(np.asarray(y))) > 20


@pytest.mark.parametrize("opset", [15, 22])
@pytest.mark.parametrize(
    ("attribute", "out"),
    [("", "float"), ("<dtype = 9>", "bool"), ("<dtype = 6>", "int32")],
)
def test_bernoulli(attribute, out, opset):
    p = np.repeat(np.float32([0, 0.25, 1]), 10000).reshape(3, 10000)
    y = draw(
        f"g (float[3, n] p) => ({out}[3, n] y) {{ y = Bernoulli{attribute}(p) }}",
        p,
        opset=opset,
    )
    assert y.dtype == {"float": "float32"}.get(out, out)
    means = np.asarray(y, np.float64).mean(axis=1)
    np.testing.assert_allclose(means, [0, 0.25, 1], atol=0.02)


@pytest.mark.parametrize("opset", [7, 22])
@pytest.mark.parametrize(("dtype", "out"), [("", "int32"), (", dtype = 7", "int64")])
def test_multinomial(dtype, out, opset):
    """Unnormalized logarithms of probabilities."""
    logits = np.log(np.float32([[1, 2, 5], [6, 1, 1]])) + 7
    text = f"""g (float[n, 3] x) => ({out}[n, 20000] y) {{
      y = Multinomial<sample_size = 20000{dtype}>(x)
    }}"""
    y = np.asarray(draw(text, logits, opset=opset, x64=True))
    assert (y.shape, y.dtype) == ((2, 20000), out)
    for row, expected in zip(y, [[1, 2, 5], [6, 1, 1]]):
        np.testing.assert_allclose(
            np.bincount(row, minlength=3) / 20000, np.array(expected) / 8, atol=0.02
        )


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("y = RandomNormalLike(x)", "RandomNormalLike gives no int32"),
        ("y = RandomUniform<shape = [2], dtype = 6>()", "RandomUniform gives no int32"),
        ("y = Multinomial<dtype = 1>(x)", "Multinomial gives no float32"),
        ("y = Bernoulli<dtype = 8>(x)", "Bernoulli gives no string"),
    ],
)
def test_types_that_cannot_be_drawn(node, message):
    with pytest.raises(CompileError, match=message):
        compile_text(f"g (int32[3, 4] x) => (y) {{ {node} }}")


# ---- Dropout -------------------------------------------------------------------------

ONES = np.ones((200, 100), np.float32)
DROPOUT = """
g (float[n, 100] x) => (float[n, 100] y, bool[n, 100] mask) {
  ratio = Constant<value = float {RATIO}>()
  training = Constant<value = bool {TRAINING}>()
  y, mask = Dropout(x, ratio, training)
}"""


def dropout_text(ratio, training=1):
    return DROPOUT.replace("RATIO", str(ratio)).replace("TRAINING", str(training))


def check_dropped(y, mask, x, ratio):
    """A share `ratio` is zero; what remains is scaled."""
    mask = np.asarray(mask)
    assert abs(mask.mean() - (1 - ratio)) < 0.02
    expected = np.where(mask, np.asarray(x, np.float64) / (1 - ratio), 0)
    tolerance = 1e-6 if x.dtype == np.float32 else 1e-2
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=tolerance)


@pytest.mark.parametrize("opset", [12, 13, 22])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9])
def test_dropout_trains(opset, ratio):
    y, mask = draw(dropout_text(ratio), ONES, opset=opset)
    assert (y.dtype, mask.dtype) == (np.float32, bool)
    check_dropped(y, mask, ONES, ratio)


def test_dropout_without_its_mask():
    text = dropout_text(0.25).replace(", bool[n, 100] mask", "").replace("y, mask", "y")
    assert "return dropout(x, 0.25, key)" in compile_text(text)
    y = draw(text, ONES)
    check_dropped(y, y != 0, ONES, 0.25)


def test_ratio_of_dropout_by_default():
    text = """g (float[n, 100] x) => (float[n, 100] y) {
      training = Constant<value = bool {1}>()
      y = Dropout(x, , training)
    }"""
    y = draw(text, ONES)
    check_dropped(y, y != 0, ONES, 0.5)


@pytest.mark.parametrize("opset", [1, 6])
@pytest.mark.parametrize("outputs", ["y", "y, mask"])
def test_dropout_before_7(opset, outputs):
    """is_test decides; a mask has the type of the data."""
    header = ", ".join(f"float[200, 100] {name}" for name in outputs.split(", "))
    text = (
        f"g (float[200, 100] x) => ({header}) {{{outputs} = Dropout<ratio = 0.25>(x)}}"
    )
    y = draw(text, ONES, opset=opset)
    y, mask = (y, y != 0) if outputs == "y" else y
    assert outputs == "y" or mask.dtype == np.float32
    check_dropped(y, mask != 0, ONES, 0.25)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("ratio", ["constant", "given"])
def test_dropout_of_small_floats(dtype, ratio):
    given = ", float ratio" if ratio == "given" else ""
    constant = "" if given else "ratio = Constant<value = float {0.25}>()"
    text = f"""g ({dtype}[n, 100] x, bool mode{given}) => ({dtype}[n, 100] y) {{
      {constant} y = Dropout(x, ratio, mode)
    }}"""
    x = jnp.ones((200, 100), dtype) * 3
    y = draw(text, x, True, *([np.float32(0.25)] if given else []))
    assert y.dtype == dtype
    check_dropped(y, y != 0, x, 0.25)


AT_RUN_TIME = """
g (float[n, 100] x, float ratio, bool mode) => (float[n, 100] y, bool[n, 100] mask) {
  y, mask = Dropout(x, ratio, mode)
}"""


def test_dropout_decided_at_run_time():
    """One function that jit compiles once serves training and inference."""
    module = load(AT_RUN_TIME)
    y, mask = module.forward({}, ONES, np.float32(0.25), True, key=KEYS[0])
    check_dropped(y, mask, ONES, 0.25)
    for ratio, mode in ((0.25, False), (0, True)):
        x = np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32)
        y, mask = module.forward({}, x, np.float32(ratio), mode, key=KEYS[0])
        np.testing.assert_array_equal(y, x)
        assert mask.all()


@pytest.mark.parametrize(("ratio", "training"), [(0, 1), (0.5, 0)])
def test_dropout_that_drops_nothing(ratio, training):
    source = compile_text(dropout_text(ratio, training))
    assert "key" not in source
    assert "jnp.ones_like(x, bool)" in source


@pytest.mark.parametrize("opset", [7, 10, 12, 22])
def test_dropout_at_inference(opset):
    x = np.float32([[1, 2], [3, 4]])
    check_node("Dropout", [x], opset=opset, expected=[x], contains="return data\n")


@pytest.mark.parametrize("opset", [1, 6])
def test_dropout_in_test_mode(opset):
    check_node("Dropout", [ONES], {"is_test": 1}, opset=opset, expected=[ONES])


@pytest.mark.parametrize("opset", [10, 13])
def test_the_mask_of_dropout_is_true(opset):
    expected = [ONES, np.ones(ONES.shape, bool)]
    check_node("Dropout", [ONES], opset=opset, outputs=2, expected=expected)


def test_dropout_needs_a_ratio_below_1():
    with pytest.raises(CompileError, match="ratio is not in"):
        compile_text(dropout_text(1))


def test_two_dropouts_drop_differently():
    text = """g (float[n, 100] x) => (float[n, 100] a, float[n, 100] b) {
      training = Constant<value = bool {1}>()
      a = Dropout(x, , training)
      b = Dropout(x, , training)
    }"""
    a, b = draw(text, ONES)
    assert 0.4 < (a == b).mean() < 0.6


def test_seed_of_dropout():
    module = load(dropout_text(0.5).replace("Dropout(", "Dropout<seed = 3>("))
    first, again = module.forward({}, ONES), module.forward({}, ONES)
    np.testing.assert_array_equal(first.y, again.y)
    assert "key(3)" in compile_text(
        dropout_text(0.5).replace("Dropout(", "Dropout<seed = 3>(")
    )


def test_gradient_of_dropout():
    """What is dropped has none; what is kept has the scale."""
    forward = load(dropout_text(0.25)).forward
    grad = jax.grad(lambda x: forward({}, x, key=KEYS[0]).y.sum())(ONES)
    _, mask = forward({}, ONES, key=KEYS[0])
    np.testing.assert_allclose(grad, np.where(mask, 1 / 0.75, 0), rtol=1e-6)


# ---- keys ----------------------------------------------------------------------------

TWO = """
g (float[50] x) => (float[50] a, float[50] b) {
  a = RandomNormalLike(x)
  b = RandomNormalLike(x)
}"""
ZEROS = np.zeros(50, np.float32)


def test_same_key_same_numbers():
    module = load(TWO)
    first, again = (module.forward({}, ZEROS, key=KEYS[0]) for _ in range(2))
    other = module.forward({}, ZEROS, key=KEYS[1])
    np.testing.assert_array_equal(first.a, again.a)
    assert (first.a != other.a).all()


def test_nodes_have_their_own_keys():
    """Equal nodes are not merged."""
    y = draw(TWO, ZEROS)
    assert (y.a != y.b).all()
    assert "keys = jax.random.split(key, 2)" in compile_text(TWO)


def test_one_node_takes_the_key():
    source = compile_text("g (float[3] x) => (float[3] y) { y = Bernoulli(x) }")
    assert "x: jax.Array, *, key: jax.Array)" in source.replace("\n)", ")")
    assert "jax.random.bernoulli(key, x)" in source
    assert "split" not in source


def test_key_is_required():
    with pytest.raises(TypeError, match="key"):
        load(TWO).forward({}, ZEROS)


@pytest.mark.parametrize("name", ["key", "keys"])
def test_input_with_the_name(name):
    """An input that is called so gets another name, and stays in its place."""
    text = TWO.replace("float[50] x", f"float[50] {name}").replace("(x)", f"({name})")
    module = load(text)
    parameters = list(inspect.signature(module.forward).parameters)
    assert parameters == ["params", f"{name}_1", "key"]
    module.forward({}, ZEROS, key=KEYS[0])


def test_key_without_random_operators():
    """Then it is a name as any other."""
    module = load("g (float[50] key) => (float[50] y) { y = Neg(key) }")
    assert list(inspect.signature(module.forward).parameters) == ["params", "key"]


def test_seed():
    """The model's own choice: the same numbers at every call, and no key."""
    module = load("""g (float[50] x) => (float[50] a, float[50] b, float[50] c) {
      a = RandomNormalLike<seed = 7.0>(x)
      b = RandomNormalLike<seed = 7.0>(x)
      c = RandomNormalLike<seed = 8.0>(x)
    }""")
    y = module.forward({}, ZEROS)
    np.testing.assert_array_equal(y.a, y.b)
    assert (y.a != y.c).all()


LOOP = """
g (float[50] x, int64 m, bool c) => (float[50] y, float[n, 50] z) {{
  count = Constant<value = int64 {{3}}>()
  y, z = Loop ({count}, {cond}, x) <
    body = b (int64 i, bool k, float[50] s) => (bool k2, float[50] t, float[50] r) {{
      k2 = Identity(k)
      r = RandomNormalLike(x)
      t = Add(s, r)
    }}>
}}"""


@pytest.mark.parametrize(("count", "cond"), [("count", ""), ("m", ""), ("count", "c")])
def test_iterations_draw_anew(count, cond):
    text = LOOP.format(count=count, cond=cond)
    y, z = draw(text, ZEROS, 3, True)
    assert z.shape == (3, 50)
    assert len(np.unique(np.asarray(z))) == 150
    np.testing.assert_allclose(y, z.sum(axis=0), rtol=1e-5)


def test_nested_iterations_draw_anew():
    text = """
    g (float[50] x, int64 m) => (float[n, k, 50] z) {
      count = Constant<value = int64 {3}>()
      z = Loop (count, ) <body = b (int64 i, bool k) => (bool k2, float[k, 50] r) {
        k2 = Identity(k)
        r = Loop (count, ) <body = b (int64 j, bool q) => (bool q2, float[50] u) {
          q2 = Identity(q)
          u = RandomUniformLike(x)
        }>
      }>
    }"""
    z = draw(text, ZEROS, 3)
    assert z.shape == (3, 3, 50)
    assert len(np.unique(np.asarray(z))) > 440


def test_branches_share_the_key():
    text = """
    g (float[50] x, bool c) => (float[50] y) {
      y = If (c) <
        then_branch = t () => (float[50] a) { a = RandomNormalLike(x) },
        else_branch = e () => (float[50] b) { b = RandomUniformLike(x) }>
    }"""
    module = load(text)
    assert module.forward({}, ZEROS, True, key=KEYS[0]).min() < 0
    assert module.forward({}, ZEROS, False, key=KEYS[0]).min() >= 0
