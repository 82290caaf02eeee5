"""Floats that follow from sizes: forward stays jitted, and lengths are those that the
model computes in float32."""

import numpy as np
import onnx.parser
import pytest
from harness import check_model, reference


def parse(text):
    return onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 20]> ' + text)


# The length of axis 1 as a float32 scalar f; y is as long as the integer s says.
LENGTH = (
    "g (float[b, n] x) => (float[k] y) {"
    "shape = Shape(x) one = Constant<value = int64 {1}>() len = Gather(shape, one)"
    "zero = Constant<value_ints = [0]>() half = Constant<value = float {0.5}>()"
    "k15 = Constant<value = float {1.5}>() k07 = Constant<value = float {0.7}>()"
    "three = Constant<value = float {3}>() f = Cast<to = 1>(len) BODY "
    "list = Unsqueeze(s, zero)"
    "y = ConstantOfShape<value = float[1] {1}>(list) }"
)
LENGTHS = {
    "s = Cast<to = 7>(f)": "jnp.ones((n,)",
    "m = Mul(f, k15) s = Cast<to = 7>(m)": "(n + n // 2,)",
    "m = Mul(k15, f) r = Floor(m) s = Cast<to = 7>(r)": "(n + n // 2,)",
    "m = Div(f, three) r = Ceil(m) s = Cast<to = 7>(r)": "((n + 2) // 3,)",
    "m = Div(f, three) r = Floor(m) t = Mul(r, three) s = Cast<to = 7>(t)": (
        "(3 * (n // 3),)"
    ),
    "m = Add(f, half) s = Cast<to = 6>(m) ": "jnp.ones((n,)",
    "m = Mul(f, f) r = Sub(m, f) a = Add(r, three) s = Cast<to = 7>(a)": None,
    "m = Sqrt(f) s = Cast<to = 7>(m)": "int(np.sqrt(np.float32(n)))",
    "m = Pow(f, half) s = Cast<to = 7>(m)": "int(np.float32(n) ** 0.5)",
    "m = Mul(f, k07) r = Floor(m) s = Cast<to = 7>(r)": (
        "int(np.floor(np.float32(n) * 0.7))"
    ),
    "m = Div(f, three) q = Mul(m, three) s = Cast<to = 7>(q)": (
        "int(np.float32(n / 3) * 3.0)"
    ),
    "d = Cast<to = 11>(f) m = Sqrt(d) s = Cast<to = 7>(m)": "int(np.sqrt(float(n)))",
}


@pytest.mark.parametrize("n", [1, 10, 16, 24, 41])
@pytest.mark.parametrize("body", LENGTHS)
def test_length(body, n):
    if "to = 6" in body:
        body += "t = Cast<to = 7>(s)"
    text = LENGTH.replace("BODY", body)
    model = parse(
        text.replace("Unsqueeze(s", "Unsqueeze(t") if "t = Cast" in body else text
    )
    x = np.zeros((2, n), np.float32)
    expected = reference(model, {"x": x})
    source = check_model(
        model, [x], expected, names={"n": n, "b": 2}, x64=(False, True)
    )
    assert "@jax.jit" in source
    assert (LENGTHS.get(body) or "") in source or "to = 6" in body


def test_vector():
    """Heights and widths at once, joined as floats."""
    model = parse(
        "g (float[1, 2, h, w] x) => (float[1, 2, hh, ww] y) {"
        "hw = Shape<start = 2>(x) f = Cast<to = 1>(hw)"
        "k = Constant<value_floats = [1.5, 0.25]>() m = Mul(f, k) r = Floor(m)"
        "one = Constant<value_floats = [1.0, 2.0]>() j = Concat<axis = 0>(one, r)"
        's = Cast<to = 7>(j) y = Resize<mode = "nearest">(x,,, s) }'
    )
    x = np.arange(2 * 5 * 9, dtype=np.float32).reshape(1, 2, 5, 9)
    source = check_model(model, [x], reference(model, {"x": x}), names={"h": 5, "w": 9})
    assert "sizes=(h + h // 2, w // 4)" in source


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("limit = Cast<to = 1>(len)", "jnp.arange(n, dtype=jnp.float32)"),
        (
            "f = Cast<to = 1>(len) h = Constant<value = float {2}>() limit = Div(f, h)",
            "np.float32(n / 2)",
        ),
        (
            "f = Cast<to = 1>(len) limit = Sqrt(f)",
            "np.sqrt(np.float32(n))",
        ),
    ],
)
def test_range(limit, text):
    model = parse(
        "g (float[b, n] x) => (float[k] y) {"
        "one = Constant<value = int64 {1}>() shape = Shape(x) len = Gather(shape, one)"
        "start = Constant<value = float {0}>() step = Constant<value = float {1}>()"
        f"{limit} y = Range(start, limit, step) }}"
    )
    x = np.zeros((2, 7), np.float32)
    source = check_model(model, [x], reference(model, {"x": x}), names={"n": 7})
    assert "@jax.jit" in source and text in source


@pytest.mark.parametrize("n", [9, 16])
def test_branch(n):
    """A condition on such a float is Python's."""
    model = parse(
        "g (float[b, n] x) => (float[b, n] y) { shape = Shape(x)"
        "one = Constant<value = int64 {1}>() len = Gather(shape, one)"
        "f = Cast<to = 1>(len) r = Sqrt(f) k = Constant<value = float {3.5}>()"
        "c = Less(r, k) y = If(c) <"
        "then_branch = a () => (float[b, n] p) { p = Neg(x) },"
        "else_branch = b () => (float[b, n] q) { q = Abs(x) }> }"
    )
    x = np.arange(2 * n, dtype=np.float32).reshape(2, n)
    source = check_model(model, [x], reference(model, {"x": x}), names={"n": n, "b": 2})
    assert "-x if np.sqrt(np.float32(n)) < 3.5" in source


def test_as_an_operand():
    """Arrays are divided by the size itself; two sizes keep their type."""
    model = parse(
        "g (float[b, n] x) => (float[b, n] y, float z) { shape = Shape(x)"
        "one = Constant<value = int64 {1}>() len = Gather(shape, one)"
        "f = Cast<to = 1>(len) y = Div(x, f)"
        "k = Constant<value = float {0.3}>() z = Mul(f, k) }"
    )
    x = np.ones((2, 7), np.float32)
    source = check_model(
        model,
        [x],
        reference(model, {"x": x}),
        names={"n": 7, "b": 2},
        x64=(False, True),
    )
    assert "x / n" in source


def test_negative():
    """Python's number would be a symbol, which is no size when it is negative."""
    model = parse(
        "g (float[n] x) => (float[k] y) { shape = Shape(x)"
        "f = Cast<to = 1>(shape) r = Sqrt(f) k = Constant<value_floats = [9.0]>()"
        "m = Sub(r, k) s = Cast<to = 7>(m) big = Constant<value_ints = [100]>()"
        "y = Slice(x, s, big) }"
    )
    x = np.arange(16, dtype=np.float32)
    check_model(model, [x], reference(model, {"x": x}), names={"n": 16})
