"""If, Loop and Scan."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from graphs import check_text, compile_text, load_text
from harness import CompileError

X = np.array([1.0, -2.0, 3.0], np.float32)
TRUE, FALSE = np.array(True), np.array(False)


def i64(*values):
    return np.array(values[0] if len(values) == 1 else values, np.int64)


def f32(*values):
    return np.array(values, np.float32)


# ---- If ------------------------------------------------------------------------------

BRANCHES = """
g (float[3] x, bool c) => (float[3] y) {
  double = Add(x, x)
  y = If (c) <
    then_branch = t () => (float[3] a) { s = Mul(double, x)  a = Add(s, double) },
    else_branch = e () => (float[3] b) { b = Neg(x) }>
}"""


@pytest.mark.parametrize("condition", [TRUE, FALSE])
def test_if(condition):
    """Branches read outer values, which get their names outside."""
    check_text(
        BRANCHES,
        [X, condition],
        contains=["    double = x + x\n", "jax.lax.cond("],
    )


def test_if_gradient():
    module = load_text(BRANCHES)

    def loss(x, c):
        return module.forward({}, x, c).sum()

    np.testing.assert_allclose(jax.grad(loss)(X, True), 4 * X + 2)
    np.testing.assert_allclose(jax.grad(loss)(X, False), -np.ones(3))


def test_if_several_outputs():
    text = """
    g (float[3] x, bool[1] c) => (float[3] y, float[3] z) {
      y, z = If (c) <
        then_branch = t () => (float[3] a, float[3] b) { a = Exp(x)  b = Neg(a) },
        else_branch = e () => (float[3] d, float[3] f) { d = Neg(x)  f = Identity(x) }>
    }"""
    for condition in ([True], [False]):
        check_text(text, [X, np.array(condition)], contains=["c.reshape(())"])


def test_if_nested():
    text = """
    g (float[3] x, bool c, bool d) => (float[3] y) {
      y = If (c) <
        then_branch = t () => (float[3] a) {
          u = Abs(x)
          a = If (d) <
            then_branch = tt () => (float[3] p) { r = Sqrt(u)  p = Add(r, x) },
            else_branch = te () => (float[3] q) { q = Add(u, u) }>
        },
        else_branch = e () => (float[3] b) { b = Neg(x) }>
    }"""
    for c in (TRUE, FALSE):
        for d in (TRUE, FALSE):
            check_text(text, [X, c, d], contains=["jax.lax.cond"])


def test_if_shapes_differ():
    """Python's own conditional, without jit, and the file says why."""
    text = """
    g (float[3] x, bool c) => (float[n] y) {
      y = If (c) <
        then_branch = t () => (float[3] a) { a = Neg(x) },
        else_branch = e () => (float[6] b) { b = Concat<axis = 0>(x, x) }>
    }"""
    for c in (TRUE, FALSE):
        check_text(
            text,
            [X, c],
            jitted=False,
            names={"n": 3 if c else 6},
            contains=["-x if c else jnp.concatenate([x, x])", "of different shapes"],
        )


def test_if_types_differ_inside_loop():
    """What Python must decide makes the loop around it Python's, too."""
    text = """
    g (float[3] x, bool c) => (float[3] y) {
      n = Constant<value = int64 {2}>()
      y = Loop (n, , x) <body =
          b (int64 i, bool k, float[3] s) => (bool k2, float[3] t) {
        k2 = Identity(k)
        u = If (c) <
          then_branch = t () => (float[3] a) { a = Identity(s) },
          else_branch = e () => (float[6] b) { b = Concat<axis = 0>(s, s) }>
        v = ReduceSum<keepdims = 0>(u)
        t = Add(s, v)
      }>
    }"""
    for c in (TRUE, FALSE):
        check_text(text, [X, c], jitted=False, contains=["unroll("])


def test_if_known_condition():
    """The branch that is taken takes the node's place; the other one may be wrong."""
    text = """
    g (float[3, n] x) => (float[m] y) {
      zero = Constant<value = int64[1] {0}>()
      three = Constant<value = int64[1] {3}>()
      shape = Shape(x)
      size = Gather(shape, zero)
      c = Equal(size, three)
      y = If (c) <
        then_branch = t () => (float[n] a) {
          one = Constant<value = int64[1] {1}>()
          two = Constant<value = int64[1] {2}>()
          row = Slice(x, one, two, zero)
          a = Squeeze(row, zero)
        },
        else_branch = e () => (float[n] b) {
          axis = Constant<value = int64[1] {7}>()
          b = Squeeze(x, axis)
        }>
    }"""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    check_text(text, [x], [x[1]], names={"n": 4, "m": 4}, lacks=["cond", "if "])


def test_if_known_condition_gives_known_values():
    """Shape arithmetic goes through the branch that is taken."""
    text = """
    g (float[n, 4] x) => (float[a, b] y) {
      yes = Constant<value = bool {1}>()
      shape = If (yes) <
        then_branch = t () => (int64[2] s) {
          full = Shape(x)
          turn = Constant<value = int64[2] {1, 0}>()
          s = Gather(full, turn)
        },
        else_branch = e () => (int64[2] r) { r = Shape(x) }>
      y = Reshape(x, shape)
    }"""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    check_text(
        text,
        [x],
        names={"n": 3, "a": 4, "b": 3},
        contains=["x.reshape(4, n)"],
        lacks=["cond"],
    )


def test_if_nested_known_conditions():
    text = """
    g (float[3] x, bool c) => (float[3] y) {
      yes = Constant<value = bool {1}>()
      no = Constant<value = bool {0}>()
      y = If (yes) <
        then_branch = t () => (float[3] a) {
          u = Exp(x)
          v = If (no) <
            then_branch = tt () => (float[3] p) { p = Neg(u) },
            else_branch = te () => (float[3] q) { q = Add(u, x) }>
          a = If (c) <
            then_branch = ct () => (float[3] r) { r = Mul(v, u) },
            else_branch = ce () => (float[3] s) { s = Identity(v) }>
        },
        else_branch = e () => (float[3] b) { b = Neg(x) }>
    }"""
    for c in (TRUE, FALSE):
        source = check_text(text, [X, c])
        assert source.count("cond(") == 1


def test_if_parameters_of_one_name():
    """Branches side by side may call different weights the same."""
    text = """
    g (float[3] x, bool c) => (float[3] y) {
      y = If (c) <
        then_branch = t () => (float[3] a) <float[3] w = {1.0, 2.0, 3.0}> {
          a = Mul(x, w)
        },
        else_branch = e () => (float[3] b) <float[3] w = {4.0, 5.0, 6.0}> {
          b = Mul(x, w)
        }>
    }"""
    for c in (TRUE, FALSE):
        check_text(text, [X, c], contains=['params["w"]', 'params["w_2"]'])


def test_if_present_optional():
    """Whether an optional is there is known while JAX traces."""
    text = """
    g (optional(float[3]) x, float[3] y) => (float[3] z) {
      c = OptionalHasElement(x)
      z = If (c) <
        then_branch = t () => (float[3] a) {
          value = OptionalGetElement(x)
          a = Add(value, y)
        },
        else_branch = e () => (float[3] b) { b = Neg(y) }>
    }"""
    part = ["if x is not None else -y"]
    check_text(text, [X, X], [X + X], opset=18, contains=part, lacks=["cond"])
    check_text(text, [None, X], [-X], opset=18, contains=part)


def test_if_shape_decides():
    """Known while JAX traces, so that the branches may differ."""
    text = """
    g (float[n, 4] x) => (float[m, k] y) {
      zero = Constant<value = int64[1] {0}>()
      one = Constant<value = int64[1] {1}>()
      shape = Shape(x)
      size = Gather(shape, zero)
      five = Constant<value = int64[1] {5}>()
      small = Less(size, five)
      single = Equal(size, one)
      many = Cast<to = 9>(single)
      c = Or(small, many)
      y = If (c) <
        then_branch = t () => (float[a, b] u) { u = Concat<axis = 0>(x, x) },
        else_branch = e () => (float[d, f] v) { v = Transpose(x) }>
    }"""
    for n in (1, 4, 5, 7):
        x = np.arange(4 * n, dtype=np.float32).reshape(n, 4)
        sizes = {"n": n, "m": 2 * n if n < 5 else 4, "k": 4 if n < 5 else n}
        source = check_text(text, [x], names=sizes, contains=["if (n < 5) | (n == 1)"])
        assert "then_branch" not in source


def test_if_symbolic_dimension_of_a_branch():
    """Equal shapes, though only symbols say so."""
    text = """
    g (float[n, 4] x, bool c) => (float[n, 2] y) {
      y = If (c) <
        then_branch = t () => (float[n, 2] a) {
          one = Constant<value = int64[1] {1}>()
          three = Constant<value = int64[1] {3}>()
          a = Slice(x, one, three, one)
        },
        else_branch = e () => (float[n, 2] b) {
          shape = Constant<value = int64[3] {0, 2, 2}>()
          cut = Reshape(x, shape)
          b = ReduceSum<keepdims = 0>(cut, axis)
        }>
    }""".replace(
        "b = ReduceSum",
        "axis = Constant<value = int64[1] {2}>()\n          b = ReduceSum",
    )
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    for c in (TRUE, FALSE):
        check_text(text, [x, c], names={"n": 2}, contains=["jax.lax.cond"])


# ---- Loop: fori_loop and scan --------------------------------------------------------


def loop(outputs, count, state, body, *, cond="", before=""):
    """A model with one Loop; the state begins at the inputs x, ..."""
    names = re.findall(r"(\w+)(?:,|$)", re.sub(r"\[.*?\]", "", outputs))
    return f"""
    g (float[3] x, int64 m, bool c) => ({outputs}) {{
      {before}
      five = Constant<value = int64 {{5}}>()
      none = Constant<value = int64 {{0}}>()
      {", ".join(names)} =
        Loop ({count}, {cond}, {state}) <body = b {body}>
    }}"""


POWER = """(int64 i, bool k, float[3] s) => (bool k2, float[3] t) {
  k2 = Identity(k)
  f = Cast<to = 1>(i)
  u = Add(s, f)
  t = Mul(u, x)
}"""


YES = "yes = Constant<value = bool {1}>()"


@pytest.mark.parametrize("opset", [9, 11, 13, 16, 21, 25])
def test_loop_known_count(opset):
    """Differentiable in reverse, as the count is a Python int."""
    text = loop("float[3] y", "five", "x", POWER)
    check_text(
        text,
        [X, i64(3), TRUE],
        opset=opset,
        contains=["jax.lax.fori_loop(0, 5, ", ", x)"],
        lacks=["carry"],
    )
    module = load_text(text, opset)
    gradient = jax.grad(lambda x: module.forward({}, x, 3, True).sum())(X)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("count", [0, 1, 4])
@pytest.mark.parametrize("cond", ["", "yes"])
def test_loop_count_at_run_time(count, cond):
    check_text(
        loop(
            "float[3] y",
            "m",
            "x",
            POWER,
            cond=cond,
            before=YES,
        ),
        [X, i64(count), TRUE],
        contains=["jax.lax.fori_loop(0, m, "],
    )


FIBONACCI = """(int64 i, bool k, float[3] p, float[3] q) =>
    (bool k2, float[3] q2, float[3] r, float[3] row, float f) {
  k2 = Identity(k)
  q2 = Identity(q)
  r = Add(p, q)
  row = Mul(r, x)
  f = Cast<to = 1>(i)
}"""


def test_loop_stacked_outputs():
    check_text(
        loop(
            "float[3] a, float[3] b, float[5,3] y, float[5] z",
            "five",
            "x, x",
            FIBONACCI,
        ),
        [X, i64(3), TRUE],
        contains=["(a, b), (y, z) = jax.lax.scan(body, (x, x), jnp.arange(5))"],
    )


@pytest.mark.parametrize(
    ("kept", "target"),
    [
        ("ay", "(a, _), (y, _) ="),
        ("yz", "_, (y, z) ="),
        ("ab", "(a, b), _ ="),
        ("z", "_, (_, z) ="),
    ],
)
def test_loop_unwanted_outputs(kept, target):
    types = {"a": "[3]", "b": "[3]", "y": "[5, 3]", "z": "[5]"}
    outputs = ", ".join(f"float{types[name]} {name}" for name in kept)
    text = loop(outputs, "five", "x, x", FIBONACCI)
    text = re.sub(r"[a-z, ]+ =(?=\s+Loop)", "a, b, y, z =", text)
    check_text(text, [X, i64(3), TRUE], contains=[target])


def test_loop_without_state():
    body = """(int64 i, bool k) => (bool k2, float[3] row) {
      k2 = Identity(k)
      f = Cast<to = 1>(i)
      row = Add(x, f)
    }"""
    check_text(
        loop("float[5,3] y", "five", "", body, cond="yes", before=YES).replace(
            ", ) <", ") <"
        ),
        [X, i64(3), TRUE],
        contains=["_, y = jax.lax.scan(", "None, jnp.arange(5))"],
    )


def test_loop_counter_unused():
    body = """(int64 i, bool k, float[3] s) => (bool k2, float[3] t, float[3] row) {
      k2 = Identity(k)
      t = Mul(s, x)
      row = Neg(t)
    }"""
    check_text(
        loop("float[3] y, float[5,3] z", "five", "x", body),
        [X, i64(3), TRUE],
        contains=["jax.lax.scan(body, x, length=5)", "def body(s, _):"],
    )


def test_loop_over_a_dimension():
    """The count is a shape's: one file for every size."""
    text = """
    g (float[n, 2] x) => (float[2] y, float[n, 2] z) {
      shape = Shape<end = 1>(x)
      count = Squeeze(shape)
      first = ReduceSum<keepdims = 0>(x, axis)
      y, z = Loop (count, , first) <
        body = b (int64 i, bool k, float[2] s) => (bool k2, float[2] t, float[2] r) {
          k2 = Identity(k)
          row = Gather(x, i)
          t = Add(s, row)
          r = Mul(t, row)
        }>
    }""".replace("first =", "axis = Constant<value = int64[1] {0}>()\n      first =")
    for n in (1, 3):
        x = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
        check_text(text, [x], names={"n": n}, contains=["jnp.arange(n)"])


def test_loop_nested():
    text = loop(
        "float[3] y",
        "five",
        "x",
        """(int64 i, bool k, float[3] s) => (bool k2, float[3] t) {
          k2 = Identity(k)
          u = Loop (i, , s) <
            body = inner (int64 j, bool k3, float[3] v) => (bool k4, float[3] w) {
              k4 = Identity(k3)
              sum = Add(i, j)
              f = Cast<to = 1>(sum)
              w = Add(v, f)
            }>
          t = Mul(u, x)
        }""",
    )
    check_text(
        text, [X, i64(3), TRUE], contains=["fori_loop(0, 5, body", "fori_loop(0, i,"]
    )


def test_loop_invariant_state():
    """A state that never changes may decide shapes."""
    text = loop(
        "float[3] y, int64[1] z",
        "five",
        "x, three",
        """(int64 i, bool k, float[3] s, int64[1] n) =>
            (bool k2, float[3] t, int64[1] n2) {
          k2 = Identity(k)
          n2 = Identity(n)
          u = Reshape(s, n)
          t = Mul(u, x)
        }""",
        before="three = Constant<value = int64[1] {3}>()",
    )
    check_text(text, [X, i64(3), TRUE], contains=["fori_loop"])


# ---- Loop: while ---------------------------------------------------------------------

HALVE = """(int64 i, bool k, float[3] s) => (bool k2, float[3] t) {
  t = Mul(s, half)
  size = ReduceMax<keepdims = 0>(t)
  k2 = Greater(size, least)
}"""
HALVES = """half = Constant<value = float {0.5}>()
least = Constant<value = float {0.3}>()"""


@pytest.mark.parametrize("condition", [TRUE, FALSE])
@pytest.mark.parametrize("count", ["", "m", "five", "endless"])
def test_loop_while(count, condition):
    endless = "endless = Constant<value = int64 {9223372036854775807}>()"
    text = loop(
        "float[3] y", count, "x", HALVE, cond="c", before=f"{HALVES}\n{endless}"
    )
    limit = {"m": ", limit=m)", "five": ", limit=5)"}.get(count, ", (x,))")
    for m in (0, 2, 100):
        check_text(
            text, [X, i64(m), condition], contains=["while_loop(body, c, (x,)", limit]
        )


def test_loop_while_condition_of_rank_1():
    text = """
    g (float[3] x, bool[1] c) => (float[3] y, int64 n) {
      zero = Constant<value = int64 {0}>()
      one = Constant<value = int64 {1}>()
      y, n = Loop ( , c, x, zero) <
        body = b (int64 i, bool[1] k, float[3] s, int64 j) =>
            (bool[1] k2, float[3] t, int64 j2) {
          half = Constant<value = float {0.5}>()
          least = Constant<value = float {0.3}>()
          t = Mul(s, half)
          j2 = Add(j, one)
          axes = Constant<value = int64[1] {0}>()
          size = ReduceMax<keepdims = 1>(t, axes)
          k2 = Greater(size, least)
        }>
    }"""
    check_text(text, [X, np.array([True])], [X / 16, i64(4)], contains=["while_loop("])


def test_loop_stacks_while():
    """How many rows there are is not known before: without jit."""
    body = HALVE.replace("float[3] t)", "float[3] t, float size2)").replace(
        "k2 = Greater", "size2 = Identity(size)\n  k2 = Greater"
    )
    text = loop("float[3] y, float[n] z", "m", "x", body, cond="c", before=HALVES)
    for m, rows in ((0, 0), (2, 2), (100, 4)):
        sizes = np.float32(3) / 2 ** np.arange(1, rows + 1, dtype=np.float32)
        check_text(
            text,
            [X, i64(m), TRUE],
            [X / np.float32(2**rows), sizes],
            jitted=False,
            names={"n": rows},
            contains=["runs as often as the data decide", "python_loop("],
        )


# ---- Loop: in Python -----------------------------------------------------------------


def test_loop_growing_state():
    """Unrolled while JAX traces."""
    body = """(int64 i, bool k, float[n] s) => (bool k2, float[m] t) {
      k2 = Identity(k)
      t = Concat<axis = 0>(s, x)
    }"""
    check_text(
        loop("float[d] y", "five", "x", body),
        [X, i64(3), TRUE],
        names={"d": 18},
        contains=["unroll(", ", 5, (x,))[0]"],
    )
    check_text(
        loop("float[d] y", "m", "x", body),
        [X, i64(3), TRUE],
        jitted=False,
        names={"d": 12},
        contains=["has a state whose shape may change"],
    )


def test_loop_counter_decides_shapes():
    body = """(int64 i, bool k, float[3] s) => (bool k2, float[3] t) {
      k2 = Identity(k)
      one = Constant<value = int64 {1}>()
      axis = Constant<value = int64[1] {0}>()
      next = Add(i, one)
      end = Unsqueeze(next, axis)
      part = Slice(x, axis, end)
      sum = ReduceSum<keepdims = 0>(part)
      f = Cast<to = 1>(i)
      u = Add(sum, f)
      t = Add(s, u)
    }"""
    check_text(
        loop("float[3] y", "five", "x", body),
        [X, i64(3), TRUE],
        contains=["unroll(", "x[: i + 1]"],
    )


def test_loop_unrolled_rows():
    body = """(int64 i, bool k, float[n] s) => (bool k2, float[m] t, float row) {
      k2 = Identity(k)
      t = Concat<axis = 0>(s, x)
      row = ReduceSum<keepdims = 0>(t)
    }"""
    for count, n in (("five", 5), ("none", 0)):
        total = X.sum(dtype=np.float32)
        rows = np.array([total * (i + 2) for i in range(n)], np.float32)
        check_text(
            loop("float[d] y, float[e] z", count, "x", body),
            [X, i64(3), TRUE],
            [np.tile(X, n + 1), rows],
            names={"d": 3 * n + 3, "e": n},
            contains=["empty=(jnp.zeros((0,), jnp.float32),)"],
        )


def test_loop_over_a_growing_list():
    """What TorchScript makes of appending to a list."""
    text = (
        loop(
            "float[5, 3] y",
            "five",
            "empty",
            """(int64 i, bool k, seq(float[3]) s) => (bool k2, seq(float[3]) t) {
          k2 = Identity(k)
          f = Cast<to = 1>(i)
          u = Mul(x, f)
          t = SequenceInsert(s, u)
        }""",
            before="empty = SequenceEmpty<dtype = 1>()",
        )
        .replace("y =\n", "list =\n")
        .replace(
            "}>\n",
            """}>
      y = ConcatFromSequence<axis = 0, new_axis = 1>(list)
    """,
        )
    )
    x = np.stack([X * i for i in range(5)])
    check_text(text, [X, i64(3), TRUE], [x], contains=["unroll(", "jnp.stack("])


def test_loop_deeply_nested():
    """Types of very deep loops are inferred once; nothing explodes."""
    body = "t = Add(s, x)"
    for depth in range(12):
        body = f"""t = Loop (m, , s) <
          body = b{depth} (int64 i{depth}, bool k{depth}, float[3] s) => (bool c{depth},
          float[3] t) {{ c{depth} = Identity(k{depth}) {body} }}>"""
    text = f"g (float[3] x, float[3] s, int64 m) => (float[3] t) {{ {body} }}"
    source = compile_text(text)
    assert source.count("def body") >= 8


@pytest.mark.parametrize(
    "body",
    [
        "(int64 i, bool k) => (bool k2) { k2 = Identity(k) }",
        "(int64 i, bool k, float[3] s) => (bool k2) { k2 = Identity(k) }",
    ],
)
def test_loop_malformed(body):
    with pytest.raises(CompileError, match="OX0303.*inputs and outputs do not fit"):
        compile_text(loop("float[3] y", "five", "x", body))


def test_loop_that_never_ends():
    with pytest.raises(CompileError, match="nothing ends the loop"):
        compile_text(loop("float[3] y", "", "x", POWER))


# ---- Scan ----------------------------------------------------------------------------

SCAN = """
g (float[3] x, float[4, 3] a, float[3, 4] b) => (float[3] y, {rows}) {{
  y, z, w = Scan (x, a, b) <num_scan_inputs = 2, {attributes},
    body = f (float[3] s, float[3] p, float[3] q) =>
        (float[3] t, float[3] u, float[3] v) {{
      t = Add(s, p)
      u = Mul(t, q)
      r = Sub(u, x)
      v = Add(r, q)
    }}>
}}"""


def scan_reference(x, a, b, in_dirs, out_dirs, out_axes):
    """What the specification says, step by step."""
    xs = [a, b.T]
    xs = [v[::-1] if d else v for v, d in zip(xs, in_dirs)]
    state, rows = x, ([], [])
    for p, q in zip(*xs):
        state = state + p
        u = state * q
        for row, value, d in zip(rows, (u, u - x + q), out_dirs):
            row.insert(0 if d else len(row), value)
    stacked = [np.stack(r, axis) for r, axis in zip(rows, out_axes)]
    return [state, *stacked]


DIRECTIONS = list(itertools.product([(0, 0), (1, 1), (1, 0)], [(0, 0), (1, 1), (0, 1)]))


@pytest.mark.parametrize(
    ("opset", "out_axes", "in_dirs", "out_dirs"),
    [
        *[(21, (0, 0), *dirs) for dirs in DIRECTIONS],
        *[(11, (1, -2), *dirs) for dirs in DIRECTIONS],
        (9, (0, 0), (0, 1), (1, 0)),
        (9, (1, 1), (1, 1), (0, 1)),
        (16, (-1, 0), (1, 1), (0, 1)),
    ],
)
def test_scan(opset, out_axes, in_dirs, out_dirs):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((4, 3), (3, 4)))
    attributes = f"""scan_input_axes = [0, 1],
      scan_input_directions = [{in_dirs[0]}, {in_dirs[1]}],
      scan_output_axes = [{out_axes[0]}, {out_axes[1]}],
      scan_output_directions = [{out_dirs[0]}, {out_dirs[1]}]"""
    expected = scan_reference(X, a, b, in_dirs, out_dirs, out_axes)
    shapes = [f"float[{r.shape[0]}, {r.shape[1]}]" for r in expected[1:]]
    text = SCAN.format(attributes=attributes, rows=f"{shapes[0]} z, {shapes[1]} w")
    both = in_dirs == out_dirs == (1, 1)
    check_text(
        text,
        [X, a, b],
        expected,
        opset=opset,
        contains=["jax.lax.scan(body, x, (a"] + [", reverse=True)"] * both,
        rtol=1e-5,
    )


def test_scan_symbolic_length():
    text = """
    g (float[k] x, float[n, k] a) => (float[k] y, float[n, k] z) {
      y, z = Scan (x, a) <num_scan_inputs = 1,
        body = f (float[k] s, float[k] p) => (float[k] t, float[k] u) {
          t = Add(s, p)
          u = Mul(t, x)
        }>
    }"""
    for n in (1, 4):
        a = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
        check_text(text, [X, a], names={"n": n, "k": 3})


def test_scan_without_state():
    text = """
    g (float[4, 3] a) => (float[4, 3] z) {
      z = Scan (a) <num_scan_inputs = 1,
        body = f (float[3] p) => (float[3] u) { u = Softmax(p) }>
    }"""
    a = np.arange(12, dtype=np.float32).reshape(4, 3)
    check_text(text, [a], contains=["_, z = jax.lax.scan("])


def test_scan_in_a_loop():
    text = """
    g (float[3] x, float[4, 3] a, int64 m) => (float[3] y) {
      y = Loop (m, , x) <body =
          b (int64 i, bool k, float[3] s) => (bool k2, float[3] t) {
        k2 = Identity(k)
        t, rows = Scan (s, a) <num_scan_inputs = 1,
          body = f (float[3] p, float[3] q) => (float[3] r, float[3] v) {
            half = Constant<value = float {0.5}>()
            u = Mul(p, half)
            r = Add(u, q)
            v = Identity(q)
          }>
      }>
    }"""
    a = np.arange(12, dtype=np.float32).reshape(4, 3)
    check_text(text, [X, a, i64(2)], contains=["fori_loop", "scan("])


@pytest.mark.parametrize("lengths", [None, [4, 2], [0, 3]])
@pytest.mark.parametrize("directions", [(0, 0), (0, 1), (1, 1)])
def test_scan_8(lengths, directions):
    """A batch, whose items may have fewer steps; rows past them are zeros."""
    text = f"""
    g (int64[2] n, float[2, 3] x, float[2, 4, 3] a, float[2, 4, 3] b) =>
        (float[2, 3] y, float[2, 4, 3] z) {{
      y, z = Scan ({"n" if lengths else ""}, x, a, b) <num_scan_inputs = 2,
        directions = [{directions[0]}, {directions[1]}],
        body = f (float[3] s, float[3] p, float[3] q) => (float[3] t, float[3] u) {{
          t = Add(s, p)
          u = Mul(t, q)
        }}>
    }}"""
    rng = np.random.default_rng(0)
    shapes = (2, 3), (2, 4, 3), (2, 4, 3)
    x, a, b = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    y, z = x.copy(), np.zeros((2, 4, 3), np.float32)
    for i, steps in enumerate(lengths or [4, 4]):
        xs = [v[i, :steps] for v in (a, b)]
        xs = [v[::-1] if d else v for v, d in zip(xs, directions)]
        for k, (p, q) in enumerate(zip(*xs)):
            y[i] += p
            z[i, k] = y[i] * q
    n = np.array(lengths or [4, 4], np.int64)
    check_text(text, [n, x, a, b], [y, z], opset=8, contains=["scan_batch("])


def test_scan_gradient():
    module = load_text("""
    g (float x, float[4] a) => (float y) {
      y = Scan (x, a) <num_scan_inputs = 1,
        body = f (float s, float p) => (float t) { t = Mul(s, p) }>
    }""")
    a = jnp.arange(1.0, 5.0)
    assert jax.grad(lambda x: module.forward({}, x, a))(1.0) == 24
