"""Sequences and optionals."""

import numpy as np
import pytest
from graphs import check_text, compile_text
from harness import CompileError

A, B, C = (np.full((2, 3), k, np.float32) for k in (1, 2, 3))
THREE = "s = SequenceConstruct(a, b, c)"


def i64(*values):
    return np.array(values[0] if len(values) == 1 else values, np.int64)


def graph(outputs, body, inputs=""):
    return f"""
    g (float[2, 3] a, float[2, 3] b, float[2, 3] c{inputs}) => ({outputs}) {{
      {body}
    }}"""


def number(name, value):
    return f"{name} = Constant<value = int64 {{{value}}}>()"


@pytest.mark.parametrize("position", [0, 2, -1, -3])
def test_at(position):
    """The item is known by its shape, too."""
    check_text(
        graph(
            "float[2, 3] y",
            f"{number('p', position)} {THREE} y = SequenceAt(s, p)",
        ),
        [A, B, C],
        contains=[f"return {'abc'[position]}\n"],
    )
    check_text(
        graph("float[2, 3] y", f"{THREE} y = SequenceAt(s, p)", ", int64 p"),
        [A, B, C, i64(position)],
        jitted=False,
        contains=["[p.item()]", "needs a run-time value as a position"],
    )


@pytest.mark.parametrize("position", [None, 0, 2, 3, -1, -3])
def test_insert(position):
    given = "" if position is None else ", p"
    body = f"{number('p', position or 0)} {THREE} t = SequenceInsert(s, d{given})"
    items = [A, B, C]
    items.insert(3 if position is None else position, -A)
    source = check_text(
        graph(
            "float[8, 3] y", f"d = Neg(a) {body} y = ConcatFromSequence<axis = 0>(t)"
        ),
        [A, B, C],
        [np.concatenate(items)],
        infer=False,
    )
    assert ("insert_at" in source) == (position is not None)


@pytest.mark.parametrize("position", [None, 0, 2, -1, -3])
def test_erase(position):
    given = "" if position is None else ", p"
    items = [A, B, C]
    items.pop(-1 if position is None else position)
    check_text(
        graph(
            "float[4, 3] y",
            f"{number('p', position or 0)} {THREE} t = SequenceErase(s{given}) "
            "y = ConcatFromSequence<axis = 0>(t)",
        ),
        [A, B, C],
        [np.concatenate(items)],
        infer=False,
    )


def test_length():
    """A Python int, which shapes may be made of."""
    body = f"{THREE} n = SequenceLength(s) axis = Constant<value = int64[1] {{0}}>()"
    check_text(
        graph(
            "int64 n, float[n, 2] y",
            f"{body} one = Unsqueeze(n, axis) two = Constant<value = int64[1] {{2}}>() "
            "shape = Concat<axis = 0>(one, two) y = ConstantOfShape(shape)",
        ),
        [A, B, C],
        [i64(3), np.zeros((3, 2), np.float32)],
        names={"n": 3},
        contains=["len(s)"],
    )


def test_length_counts_a_loop():
    text = """
    g (seq(float[2]) s, float[2] x) => (float[2] y) {
      n = SequenceLength(s)
      y = Loop (n, , x) <body =
          b (int64 i, bool k, float[2] t) => (bool l, float[2] u) {
        l = Identity(k)
        item = SequenceAt(s, i)
        v = Mul(t, item)
        u = Add(v, x)
      }>
    }"""
    items = [np.array([k, k + 1], np.float32) for k in range(3)]
    check_text(text, [items, np.ones(2, np.float32)], contains=["unroll(", "s[i]"])


def test_constructs_of_different_shapes():
    """Only what the items have in common is known."""
    text = """
    g (float[2, 3] a, float[4, 3] b) => (float[n, 3] y, float[m, 3] z) {
      p = Constant<value = int64 {1}>()
      s = SequenceConstruct(a, b)
      y = SequenceAt(s, p)
      z = ConcatFromSequence<axis = -2>(s)
    }"""
    b = np.arange(12, dtype=np.float32).reshape(4, 3)
    check_text(text, [A, b], names={"n": 4, "m": 6})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_stack(axis):
    check_text(
        graph(
            "float[i, j, k] y",
            f"{THREE} y = ConcatFromSequence<axis = {axis}, new_axis = 1>(s)",
        ),
        [A, B, C],
        names=dict(zip("ijk", np.stack([A, B, C], axis).shape, strict=True)),
        contains=["jnp.stack([a, b, c]"],
    )


SPLITS = [
    # split, keepdims, code
    (None, 1, "jnp.split(x, 6, axis=1)"),
    (None, 0, "jnp.moveaxis(x, 1, 0)["),
    ("int64 {2}", 1, "jnp.split(x, 3, axis=1)"),
    ("int64 {4}", 1, "split_every(x, 4, axis=1)"),
    ("int64[3] {1, 3, 2}", 1, "jnp.split(x, [1, 4], axis=1)"),
    ("int64[1] {6}", 1, "jnp.split(x, [], axis=1)"),
]


@pytest.mark.parametrize(("split", "keepdims", "code"), SPLITS)
@pytest.mark.parametrize("position", [0, -1])
def test_split(split, keepdims, code, position):
    given = f"w = Constant<value = {split}>()" if split else ""
    text = f"""
    g (float[2, 6] x) => (float[{"i" if keepdims == 0 else "i, j"}] y) {{
      {given}
      {number("p", position)}
      s = SplitToSequence<axis = 1, keepdims = {keepdims}>(x{", w" if split else ""})
      y = SequenceAt(s, p)
    }}"""
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    check_text(text, [x], contains=[code], infer=False)


def test_split_first_axis():
    text = """
    g (float[n, 3] x) => (float[3] y) {
      p = Constant<value = int64 {1}>()
      s = SplitToSequence<keepdims = 0>(x)
      y = SequenceAt(s, p)
    }"""
    check_text(text, [A], names={"n": 2}, contains=["return x[1]"])


@pytest.mark.parametrize(
    ("split", "value", "code"),
    [
        ("int64", i64(4), "split_every(x, w.item())"),
        ("int64[2]", i64(5, 1), "split_sizes(x, tuple(w.tolist()))"),
    ],
)
def test_split_at_run_time(split, value, code):
    text = f"""
    g (float[6] x, {split} w) => (float[n] y) {{
      {number("p", 1)}
      s = SplitToSequence(x, w)
      y = SequenceAt(s, p)
    }}"""
    x = np.arange(6, dtype=np.float32)
    check_text(
        text,
        [x, value],
        jitted=False,
        names={"n": 2 if value.ndim == 0 else 1},
        contains=[code],
    )


def test_map():
    """Tensors are the same for each item; outer values are captured."""
    text = """
    g (seq(float[3]) s, float[3] x, float[3] z) => (float[2, 3] y, float[2, 3] w) {
      w2, y2 = SequenceMap (s, x) <
        body = b (float[3] p, float[3] q) => (float[3] r, float[3] t) {
          u = Add(p, q)
          r = Mul(u, z)
          t = Sub(u, p)
        }>
      y = ConcatFromSequence<axis = 0, new_axis = 1>(y2)
      w = ConcatFromSequence<axis = 0, new_axis = 1>(w2)
    }"""
    p, q = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    x, z = np.float32([1, 0, 1]), np.float32([2, 2, 3])
    expected = [np.stack([x, x]), np.stack([(p + x) * z, (q + x) * z])]
    check_text(
        text,
        [[p, q], x, z],
        expected,
        names={"n": 2},
        contains=["map(body, s, [x] * len(s))"],
        infer=False,
    )


def test_sequences_as_inputs_and_outputs():
    """Lists, with their lengths known to jit only by what is passed."""
    text = """
    g (seq(float[k]) s, float[k] x) => (seq(float[k]) y) {
      y = SequenceInsert(s, x)
    }"""
    items = [np.arange(3, dtype=np.float32), np.ones(2, np.float32)]
    x = np.zeros(4, np.float32)
    check_text(text, [items, x], [[*items, x]], contains=["return [*s, x]"])
    text = """
    g (seq(float[k]) s, optional(float[3]) o) =>
        (seq(float[k]) y, optional(float[3]) z) {
      y = SequenceErase(s)
      z = Identity(o)
    }"""
    y = np.arange(3, dtype=np.float32)
    options = {
        "infer": False,
        "contains": ["    y: list[jax.Array]\n    z: jax.Array | None\n"],
    }
    check_text(text, [items, y], [items[:1], y], **options)
    check_text(text, [items, None], [items[:1], None], **options)


def test_names_in_elements_are_not_dimensions():
    """k of an item cannot be read from a list."""
    text = """
    g (seq(float[k]) s, float[k] x) => (float[1, k] y) {
      one = Constant<value = int64[1] {1}>()
      shape = Shape(x)
      full = Concat<axis = 0>(one, shape)
      y = Reshape(x, full)
    }"""
    x = np.arange(4, dtype=np.float32)
    check_text(text, [[x], x], names={"k": 4}, lacks=["s.shape"])


def test_empty_and_insert():
    """An empty list takes the type of what is put into it."""
    check_text(
        graph(
            "float[2, 3] y",
            f"""{number("p", 0)}
            none = SequenceEmpty<dtype = 1>()
            s = SequenceInsert(none, a)
            y = SequenceAt(s, p)""",
        ),
        [A, B, C],
        contains=["return a\n"],
    )


# ---- optionals -----------------------------------------------------------------------


@pytest.mark.parametrize("opset", [15, 18])
def test_optional(opset):
    text = """
    g (float[3] x) => (float[3] y, bool z) {
      o = Optional(x)
      y = OptionalGetElement(o)
      z = OptionalHasElement(o)
    }"""
    x = np.arange(3, dtype=np.float32)
    check_text(text, [x], [x, np.array(True)], opset=opset)


def test_optional_absent():
    text = """
    g (float[3] x, optional(float[3]) v) => (bool y, bool z, bool w) {
      o = Optional<type = float[3]>()
      y = OptionalHasElement(o)
      z = OptionalHasElement()
      w = OptionalHasElement(v)
    }"""
    x = np.arange(3, dtype=np.float32)
    false, true = np.array(False), np.array(True)
    check_text(text, [x, None], [false, false, false], opset=18)
    check_text(text, [x, x], [false, false, true], opset=18)


def test_optional_of_a_sequence():
    text = """
    g (optional(seq(float[3])) o) => (float[3] y) {
      p = Constant<value = int64 {1}>()
      s = OptionalGetElement(o)
      y = SequenceAt(s, p)
    }"""
    x = np.arange(3, dtype=np.float32)
    check_text(text, [[x, -x]], [-x], opset=18, contains=["return o[1]"])


# ---- what is wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y = SequenceAt(a, p)", "input 0 is not a sequence of tensors"),
        ("s = SequenceConstruct(a) y = SequenceConstruct(s)", "is not a tensor"),
        ("o = Optional(a) y = Optional(o)", "cannot hold an optional"),
        (f"{THREE} y = ConcatFromSequence<axis = 5>(s)", "axis 5 is out of range"),
    ],
)
def test_errors(body, message):
    with pytest.raises(CompileError, match=message):
        compile_text(graph("float[n] y", f"{number('p', 0)} {body}"), opset=16)
