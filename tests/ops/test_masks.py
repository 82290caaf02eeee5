"""Masks, positions and attention as exporters write them, from numbers that count: what
is always true goes, and what is left is what one would write by hand."""

import numpy as np
import pytest
from graphs import check_text

RNG = np.random.default_rng(0)
# The numbers up to the size of an axis of x, [batch, seq]
COUNTS = """
  from = Constant<value = int64 {0}> ()
  by = Constant<value = int64 {1}> ()
  shape = Shape(x)
  first = Constant<value = int64 {0}> ()
  second = Constant<value = int64 {1}> ()
  batch = Gather(shape, first)
  seq = Gather(shape, second)
  rows = Range(from, batch, by)
  positions = Range(from, seq, by)
  a0 = Constant<value = int64[1] {0}> ()
  a1 = Constant<value = int64[1] {1}> ()
  a01 = Constant<value = int64[2] {0, 1}> ()
  a12 = Constant<value = int64[2] {1, 2}> ()
  a012 = Constant<value = int64[3] {0, 1, 2}> ()
  a123 = Constant<value = int64[3] {1, 2, 3}> ()
"""
SIZES = {"batch": 2, "seq": 5}


def some(*shape):
    return RNG.standard_normal(shape) > 0


def check(body, outputs, inputs="", more=(), **options):
    """A graph over x bool[batch, seq]; both with and without open dimensions."""
    text = f"g (bool[batch,seq] x{inputs}) => ({outputs}) {{ {COUNTS} {body} }}"
    return check_text(text, [some(2, 5), *more], names=SIZES, **options)


# ---- what is always true -------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "c = GreaterOrEqual(columns, from)",
        "c = Less(columns, seq)",
        "p = Add(columns, by) c = Greater(p, from)",
        "n = Neg(by) c = Less(n, columns)",
        "p = Sub(seq, by) c = LessOrEqual(columns, p)",
    ],
)
def test_a_condition_that_always_holds_goes(condition):
    body = f"columns = Unsqueeze(positions, a0) {condition} y = And(c, x)"
    check(body, "bool[batch,seq] y", lacks=["jnp.arange", "&"])


@pytest.mark.parametrize(
    "condition",
    [
        "c = Greater(columns, from)",
        "c = LessOrEqual(columns, by)",
        "p = Add(columns, by) c = Less(p, seq)",
        "c = Less(columns, batch)",
        "c = Equal(columns, from)",
    ],
)
def test_a_condition_that_does_not_stays(condition):
    body = f"columns = Unsqueeze(positions, a0) {condition} y = And(c, x)"
    check(body, "bool[batch,seq] y", contains=["jnp.arange", "&"])


def test_one_that_never_holds_is_false():
    check(
        "c = Less(positions, from) y = Or(c, x)",
        "bool[batch,seq] y",
        lacks=["jnp.arange", "|"],
    )


def test_a_declared_size_proves_nothing():
    """The file may be wrong about what no rule computes."""
    text = """g (int64 n, bool[seq] x) => (bool[seq] y) <bool[seq] c> {
      from = Constant<value = int64 {0}> () by = Constant<value = int64 {1}> ()
      p = Range(from, n, by) c = Less(p, n) y = And(c, x) }"""
    check_text(text, [np.array(5), some(5)], jitted=False, names={"seq": 5})


def test_where_of_a_condition_that_always_holds():
    body = """
      c = GreaterOrEqual(positions, from) f = Cast<to = 1>(x) g = Neg(f)
      y = Where(c, f, g)"""
    check(body, "float[batch,seq] y", lacks=["jnp.where", "-x"])


def test_what_it_was_broadcast_to_is_left_to_the_reader():
    """(rows >= 0) & x[:, None, None], added to scores."""
    body = """
      q = Unsqueeze(positions, a012) rows4 = Transpose<perm = [0, 1, 3, 2]>(q)
      c = GreaterOrEqual(rows4, from) x4 = Unsqueeze(x, a12) m = And(c, x4)
      zero = Constant<value = float {0.0}> () low = Constant<value = float {-9.0}> ()
      bias = Where(m, zero, low) y = Add(scores, bias)"""
    scores = RNG.standard_normal((2, 3, 5, 5)).astype(np.float32)
    check(
        body,
        "float[batch,3,seq,seq] y",
        ", float[batch,3,seq,seq] scores",
        [scores],
        contains=["x[:, None, None]"],
        lacks=["broadcast_to", "arange"],
    )


def test_a_slope_has_to_fit_what_it_is_for():
    """PRelu broadcasts one of its inputs only."""
    body = """
      f = Cast<to = 1>(x) row = ReduceMax<keepdims = 1>(f, a01)
      wide = Expand(row, shape)
      n = Neg(positions) slope = Cast<to = 1>(n) y = PRelu(wide, slope)"""
    check(body, "float[batch,seq] y", contains=["broadcast_to"])


def test_somebody_has_to_broadcast():
    body = """
      q = Unsqueeze(positions, a012) rows4 = Transpose<perm = [0, 1, 3, 2]>(q)
      c = GreaterOrEqual(rows4, from) x4 = Unsqueeze(x, a12) y = And(c, x4)"""
    check(body, "bool[batch,1,seq,seq] y", contains=["broadcast_to"])


def test_equal_operands_of_other_shapes_are_two():
    body = """
      q = Unsqueeze(positions, a012) rows4 = Transpose<perm = [0, 1, 3, 2]>(q)
      r = Unsqueeze(rows, a123)
      c = GreaterOrEqual(rows4, from) d = GreaterOrEqual(q, from)
      e = GreaterOrEqual(r, from) seen = ReduceMax<keepdims = 1>(x8, a01)
      s = Cast<to = 9>(seen) y = And(c, s) z = And(d, s) w = And(e, s)"""
    body = "x8 = Cast<to = 6>(x) " + body
    check(
        body.replace("s = Cast", "t = Unsqueeze(seen, a01) s = Cast").replace(
            "(seen)", "(t)"
        ),
        "bool[1,1,seq,1] y, bool[1,1,1,seq] z, bool[batch,1,1,1] w",
    )


# ---- triangles -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compare", "code"),
    [
        ("LessOrEqual(columns, rows2)", "jnp.tril(jnp.ones((seq, seq), bool))"),
        ("GreaterOrEqual(rows2, columns)", "jnp.tril(jnp.ones((seq, seq), bool))"),
        ("Less(columns, rows2)", "jnp.tril(jnp.ones((seq, seq), bool), -1)"),
        ("Greater(rows2, columns)", "jnp.tril(jnp.ones((seq, seq), bool), -1)"),
        ("Greater(columns, rows2)", "jnp.triu(jnp.ones((seq, seq), bool), 1)"),
        ("LessOrEqual(rows2, columns)", "jnp.triu(jnp.ones((seq, seq), bool))"),
        ("LessOrEqual(columns, later)", "jnp.tril(jnp.ones((seq, seq), bool), 1)"),
        ("Less(later, columns)", "jnp.triu(jnp.ones((seq, seq), bool), 2)"),
        ("Greater(later, columns)", "jnp.tril(jnp.ones((seq, seq), bool))"),
        ("Less(gap, by)", "jnp.tril(jnp.ones((seq, seq), bool))"),
    ],
)
def test_comparing_positions_is_a_triangle(compare, code):
    body = f"""
      columns = Unsqueeze(positions, a0) rows2 = Unsqueeze(positions, a1)
      later = Add(rows2, by) gap = Sub(columns, rows2) y = {compare}"""
    check(body, "bool[seq,seq] y", contains=[code], lacks=["arange"])


def test_a_triangle_with_other_axes():
    body = """
      q = Unsqueeze(positions, a012) rows4 = Transpose<perm = [0, 1, 3, 2]>(q)
      c = LessOrEqual(q, rows4) x4 = Unsqueeze(x, a12) y = And(c, x4)"""
    tril = "jnp.tril(jnp.ones((seq, seq), bool))[None, None]"
    check(body, "bool[batch,1,seq,seq] y", contains=[tril])


def test_triangles_of_other_sizes_are_two():
    body = """
      columns = Unsqueeze(positions, a0) tall = Unsqueeze(rows, a1)
      rows2 = Unsqueeze(positions, a1) y = LessOrEqual(columns, rows2)
      z = LessOrEqual(columns, tall)"""
    check(body, "bool[seq,seq] y, bool[batch,seq] z")


@pytest.mark.parametrize("step", [2, -1])
def test_other_steps_are_no_triangle(step):
    body = f"""
      k = Constant<value = int64 {{{step}}}> () columns = Unsqueeze(positions, a0)
      wide = Mul(columns, k) rows2 = Unsqueeze(positions, a1) y = Less(wide, rows2)"""
    check(body, "bool[seq,seq] y", lacks=["jnp.tri"])


# ---- indices -------------------------------------------------------------------------

FLAT = """
  column = Constant<value = int64[2] {-1, 1}> () flat = Reshape(x, column)
  r = Unsqueeze(rows, a123) c = Unsqueeze(positions, a012)
  all = Constant<value = int64[1] {-1}> () one = Constant<value = int64[1] {1}> ()
"""
BACK = """
  many = Reshape(picked, all) b1 = Reshape(batch, all) s1 = Reshape(seq, all)
  back = Concat<axis = 0>(b1, one, one, s1) y = Reshape(many, back)"""


def test_an_index_into_all_elements():
    """mask[batch, position] of TorchScript: one index into rows of one element."""
    body = f"{FLAT} s = Mul(r, seq) i = Add(c, s) picked = Gather(flat, i) {BACK}"
    check(
        body,
        "bool[batch,1,1,seq] y",
        contains=["x[:, None, None]"],
        lacks=["arange", "reshape"],
    )


@pytest.mark.parametrize(
    "index",
    [
        "s = Mul(c, batch) i = Add(r, s)",
        "s = Mul(r, seq) t = Mul(c, from) i = Add(s, t)",
    ],
)
def test_an_index_into_all_elements_in_another_order(index):
    body = f"{FLAT} {index} y = Gather(flat, i)"
    check(body, "bool[batch,1,1,seq,1] y", contains=["arange"])


TABLE = ", float[9,4] table"


@pytest.mark.parametrize(
    ("index", "shape", "code"),
    [
        ("i = Identity(positions)", "seq,4", "table[:seq]"),
        ("i = Unsqueeze(positions, a0)", "1,seq,4", "table[None, :seq]"),
        (
            "two = Constant<value = int64 {2}> () p = Add(positions, two)"
            "i = Unsqueeze(p, a0)",
            "1,seq,4",
            "table[None, 2 : seq + 2]",
        ),
        (
            "p = Unsqueeze(positions, a0) i = Expand(p, shape)",
            "batch,seq,4",
            "jnp.broadcast_to(table[None, :seq], (batch, seq, 4))",
        ),
    ],
)
def test_rows_of_a_table_by_position(index, shape, code):
    """Also where the positions have other readers."""
    table = RNG.standard_normal((9, 4)).astype(np.float32)
    body = f"{index} y = Gather(table, i) z = Neg(i)"
    check(
        body,
        f"float[{shape}] y, int64[{shape.rpartition(',')[0]}] z",
        TABLE,
        [table],
        contains=[code],
    )


def test_rows_for_all_of_a_batch_are_broadcast_by_who_adds_them():
    table = RNG.standard_normal((9, 4)).astype(np.float32)
    words = RNG.standard_normal((2, 5, 4)).astype(np.float32)
    check(
        "p = Unsqueeze(positions, a0) i = Expand(p, shape) e = Gather(table, i)"
        "y = Add(words, e)",
        "float[batch,seq,4] y",
        f"{TABLE}, float[batch,seq,4] words",
        [table, words],
        contains=["words + table[None, :seq]"],
    )


def test_a_length_that_a_table_cuts():
    """words + table[:seq] has the length of words: else they would not fit."""
    words = RNG.standard_normal((2, 5, 4)).astype(np.float32)
    table = RNG.standard_normal((9, 4)).astype(np.float32)
    check(
        "end = Reshape(seq, a1) e = Slice(table, a0, end, a0) t = Add(words, e)"
        "s = Shape(t) n = Gather(s, second) y = Range(from, n, by)",
        "int64[seq] y",
        f"{TABLE}, float[batch,seq,4] words",
        [table, words],
        contains=["jnp.arange(seq)"],
    )
