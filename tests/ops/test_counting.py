"""Loops whose condition only counts: fori_loop and scan, with gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import onnx.parser
import ort
import pytest
from harness import check_model, compile_model, load_module, run_module

MOST = 2**63 - 1

# x * 2 + 1 as often as the loop runs; c is a state.
LOOP = (
    "g (float[n] x, int64 r) => (float[n] y, int64 z) {{"
    "zero = Constant<value = int64 {{0}}>() one = Constant<value = int64 {{1}}>()"
    "two = Constant<value = int64 {{2}}>() five = Constant<value = int64 {{5}}>()"
    "most = Constant<value = int64 {{{most}}}>() yes = Constant<value = bool {{1}}>()"
    "dims = Shape(x) n = Squeeze(dims) {before}"
    "z, y = Loop({limit}, {keep}, {first}, x) <body = b"
    "(int64 i, bool k, int64 c, float[n] s) => (bool more, int64 d, float[n] t) {{"
    "a = Add(s, s) w = Constant<value = float {{1}}>() t = Add(a, w) {body} }}> }}"
)


def build(body, *, first="zero", limit="most", keep="yes", before="", most=MOST):
    text = LOOP.format(
        body=body, first=first, limit=limit, keep=keep, before=before, most=most
    )
    text = '<ir_version: 8, opset_import: ["" : 17]> ' + text
    return onnx.parser.parse_model(text)


def check(model, n=5, r=3):
    """Values of onnxruntime; returns the source."""
    inputs = {"x": np.linspace(-1, 1, n).astype(np.float32), "r": np.array(r)}
    expected = ort.run(model, inputs)
    return check_model(
        model, list(inputs.values()), expected, names={"n": n}, x64=(False, True)
    )


BODIES = {
    "counter": "d = Add(c, two) j = Add(i, one) more = Less(j, five)",
    "counter and a length": "d = Add(c, two) j = Add(i, one) more = Less(j, n)",
    "state": "d = Add(c, one) more = Less(d, five)",
    "state and a length": "d = Add(c, one) more = Less(d, n)",
    "state before": "d = Add(c, one) more = Less(c, five)",
    "by two": "d = Add(c, two) more = Less(d, five)",
    "by two to a length": "d = Add(c, two) more = LessOrEqual(d, n)",
    "turned": "d = Add(one, c) more = Greater(five, d)",
    "at most": "d = Add(c, one) more = LessOrEqual(d, five)",
    "at least": "d = Add(c, one) more = GreaterOrEqual(n, d)",
    "not": "d = Add(c, one) e = GreaterOrEqual(d, n) more = Not(e)",
    "both": (
        "d = Add(c, one) j = Add(i, one) p = Less(d, five) q = Less(j, n)"
        "b = And(p, q) more = Identity(b)"
    ),
    "narrow": (
        "d = Add(c, one) e = Cast<to = 6>(d) m = Cast<to = 6>(n) more = Less(e, m)"
    ),
}


@pytest.mark.parametrize("n", [1, 4, 7])
@pytest.mark.parametrize("body", BODIES)
def test_count(body, n):
    source = check(build(BODIES[body]), n)
    assert "jax.lax.fori_loop" in source and "@jax.jit" in source


@pytest.mark.parametrize("first", ["zero", "one", "five", "n"])
def test_backwards(first):
    body = "d = Sub(c, one) more = Greater(d, zero)"
    assert "jax.lax.fori_loop" in check(build(body, first=first))


@pytest.mark.parametrize("n", [0, 1, 2, 6])
@pytest.mark.parametrize("first", ["zero", "two"])
def test_condition_before(first, n):
    """The loop begins only where the condition holds for the first state."""
    body = "d = Add(c, one) more = Less(d, n)"
    model = build(body, first=first, keep="k0", before=f"k0 = Less({first}, n)")
    assert "jax.lax.fori_loop" in check(model, n)


def test_conditions_before():
    """Of several conditions some are known to hold at first."""
    body = (
        "d = Add(c, one) j = Add(i, one) p = Less(j, five) q = Less(d, n)"
        "more = And(p, q)"
    )
    before = "p0 = Less(zero, five) q0 = Less(zero, n) k0 = And(p0, q0)"
    for n in (0, 3, 8):
        model = build(body, keep="k0", before=before)
        assert "jax.lax.fori_loop" in check(model, n)


def test_state_that_stays():
    """N is a state that the body returns as it got it."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[n] x) => (float[n] y) {"
        "zero = Constant<value = int32 {0}>() one = Constant<value = int32 {1}>()"
        "yes = Constant<value = bool {1}>() dims = Shape(x) len = Squeeze(dims)"
        "m = Cast<to = 6>(len)"
        "a, b, y = Loop(, yes, zero, m, x) <body = body"
        "(int64 i, bool k, int32 c, int32 e, float[n] s) =>"
        "(bool more, int32 d, int32 f, float[n] t) {"
        "d = Add(c, one) f = Identity(e) t = Add(s, s) more = Less(d, e) }> }"
    )
    x = np.array([1.0, -2.0, 3.0], np.float32)
    source = check_model(model, [x], ort.run(model, {"x": x}), names={"n": 3})
    assert "jax.lax.fori_loop(0, max(n, 1)" in source


def test_array_state():
    """A TensorArray that is written by scattering."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[n] x) => (float[n] y, int32 last) {"
        "zero = Constant<value = int32 {0}>() one = Constant<value = int32 {1}>()"
        "dims = Shape(x) len = Squeeze(dims) m = Cast<to = 6>(len)"
        "k0 = Less(zero, m) start = ConstantOfShape(dims)"
        "last, y = Loop(, k0, zero, start) <body = body"
        "(int64 i, bool k, int32 c, float[n] s) => (bool more, int32 d, float[n] t) {"
        "d = Add(c, one) ones = Constant<value_ints = [1]>() place = Reshape(c, ones)"
        "v = Gather(x, place) e = Exp(v)"
        "t = ScatterElements(s, place, e) more = Less(d, m) }> }"
    )
    x = np.linspace(-1, 1, 3).astype(np.float32)
    expected = [np.exp(x), np.int32(3)]
    source = check_model(model, [x], expected, names={"n": 3}, x64=(False, True))
    assert "jax.lax.fori_loop(0, n" in source


@pytest.mark.parametrize("limit", ["two", "n", "", "most"])
def test_limit(limit):
    body = "d = Add(c, one) more = Less(d, five)"
    for n in (1, 9):
        assert "jax.lax.fori_loop" in check(build(body, limit=limit), n)


@pytest.mark.parametrize(
    "options",
    [
        {"body": "d = Add(c, one) more = Less(d, r)"},  # N is an input
        {"body": "d = Mul(c, two) more = Less(d, five)", "first": "one"},
        {"body": "d = Add(c, i) more = Less(d, five)"},
        {
            "body": "d = Add(c, one) u = ReduceSum<keepdims = 0>(s) v = Cast<to = 7>(u)"
            " more = Less(d, v)"
        },
        {
            "body": "d = Add(c, one) more = Less(d, n)",
            "keep": "k0",
            "before": "k0 = Less(one, n)",
        },  # another condition
        {
            "body": "d = Add(c, one) more = Less(d, n)",
            "keep": "k0",
            "before": "k0 = Less(r, n)",
        },
    ],
)
def test_other_loops(options):
    """What data decide, and what does not count, stays a while_loop."""
    for n, r in ((1, 0), (3, 3), (3, 7)):
        assert "while_loop" in check(build(**options), n, r)


def test_limit_at_run_time():
    body = "d = Add(c, one) more = Less(d, five)"
    for r in (0, 2, 9):
        assert "while_loop" in check(build(body, limit="r"), 3, r)


def test_never_ends_by_counting():
    """c stays below n: only M ends the loop."""
    body = "d = Sub(c, one) more = Less(d, n)"
    check(build(body, limit="five"))


def test_growing_state():
    """Rows that are joined one by one: unrolled, as the number is known."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[n, 2] x) => (float[m, 2] y) {"
        "one = Constant<value = int64 {1}>() start = Constant<value_ints = [0]>()"
        "yes = Constant<value = bool {1}>() zero = Constant<value = int64 {0}>()"
        "dims = Shape(x) n = Gather(dims, zero)"
        "none = Slice(x, start, start)"
        "y = Loop(, yes, none) <body = b (int64 i, bool k, float[p, 2] s)"
        "=> (bool more, float[q, 2] t) {"
        "row = Gather(x, i) r = Unsqueeze(row, start) e = Neg(r)"
        "t = Concat<axis = 0>(s, e) j = Add(i, one) more = Less(j, n) }> }"
    )
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    source = check_model(model, [x], [-x], names={"n": 3}, infer=False)
    assert "unroll(" in source and "@jax.jit" in source


# ---- as tf2onnx writes Keras' layers -------------------------------------------------

# Both counters, the time and the loop's own, are int32 states; rows of the inputs are
# gathered, a TensorArray of results is a scan output, and a mask keeps the old state.
KERAS = (
    '<ir_version: 8, opset_import: ["" : 13]> '
    "g (float[b, T, 3] x, bool[b, T] mask) => (float[b, T, 4] y, float[b, 4] h)"
    "<float[3, 4] W, float[4, 4] U> {"
    "xt = Transpose<perm = [1, 0, 2]>(x) mt = Transpose<perm = [1, 0]>(mask)"
    "z1 = Constant<value_ints = [0]>() o1 = Constant<value_ints = [1]>()"
    "t1 = Constant<value_ints = [2]>() f1 = Constant<value_ints = [4]>()"
    "dims = Shape(xt) len = Slice(dims, z1, o1, z1) sq = Squeeze(len, z1)"
    "n = Cast<to = 6>(sq) rows = Slice(dims, o1, t1, z1)"
    "size = Concat<axis = 0>(rows, f1) h0 = ConstantOfShape(size)"
    "zero = Constant<value = int32 {0}>() one = Constant<value = int32 {1}>()"
    "most = Constant<value = int64 {9223372036854775807}>()"
    "p0 = Less(zero, n) q0 = Less(zero, n) k0 = And(p0, q0)"
    "lc, time, h, array = Loop(most, k0, zero, zero, h0) <body = body"
    "(int64 i, bool k, int32 lin, int32 tin, float[p, 4] hin)"
    "=> (bool kout, int32 lout, int32 tout, float[q, 4] hout, float[q, 4] row) {"
    "lout = Add(lin, one) tout = Add(tin, one)"
    "xi = Gather<axis = 0>(xt, tin) mi = Gather<axis = 0>(mt, tin)"
    "column = Unsqueeze(mi, o1) u = MatMul(xi, W) v = MatMul(hin, U) s = Add(u, v)"
    "th = Tanh(s) hout = Where(column, th, hin) row = Identity(hout)"
    "la = Less(lout, n) lb = Less(tout, n) both = And(la, lb) kout = Identity(both) }>"
    "y = Transpose<perm = [1, 0, 2]>(array) }"
)


def keras():
    model = onnx.parser.parse_model(KERAS.replace("<float[3, 4] W, float[4, 4] U>", ""))
    random = np.random.default_rng(0)
    for name, shape in (("W", (3, 4)), ("U", (4, 4))):
        array = random.normal(size=shape).astype(np.float32) / 2
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return model


def test_recurrent_layer(tmp_path):
    random = np.random.default_rng(1)
    model, x = keras(), random.normal(size=(2, 5, 3)).astype(np.float32)
    mask = random.random((2, 5)) > 0.3
    expected = ort.run(model, {"x": x, "mask": mask})
    source = check_model(
        model,
        [x, mask],
        expected,
        names={"b": 2, "T": 5},
        infer=False,
        x64=(False, True),
    )
    assert "jax.lax.scan" in source and "while_loop" not in source

    module = load_module(compile_model(model, tmp_path))
    params = module.load_params()

    def loss(params):
        y, h = module.forward(params, x, mask)
        return jnp.sum(y * y) + jnp.sum(jnp.sin(h))

    gradient = jax.grad(loss)(params)
    for key, value in params.items():
        for at in np.ndindex(value.shape):
            up = loss({**params, key: value.at[at].add(1e-2)})
            down = loss({**params, key: value.at[at].add(-1e-2)})
            np.testing.assert_allclose(
                gradient[key][at], (up - down) / 2e-2, 1e-2, 2e-3
            )


def test_gradient_of_fori_loop(tmp_path):
    path = compile_model(build(BODIES["state and a length"]), tmp_path)
    module = load_module(path)
    x = np.array([0.5, -2.0, 3.0], np.float32)
    gradient = jax.grad(lambda x: jnp.sum(module.forward({}, x, 0).y ** 2))(x)
    y = run_module(module, [x, np.array(0)])[0]
    np.testing.assert_allclose(gradient, 2 * y * 8, 1e-6)
