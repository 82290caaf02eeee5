"""Chains of what only looks at an array in another way: subscripts, transposes and
reshapes that follow each other become one, and gathers of consecutive rows slices."""

import numpy as np
import onnx
import pytest
from graphs import check_text
from harness import check_model
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)


class Chain:
    """A graph that is built by appending random views to one input."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        shape = [int(d) for d in self.rng.integers(1, 5, self.rng.integers(1, 4))]
        self.x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        self.y, self.nodes, self.constants = self.x, [], []

    def constant(self, values):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def add(self, op, result, *constants, **attributes):
        at = len(self.nodes)
        inputs = [f"y{at - 1}" if at else "x", *map(self.constant, constants)]
        self.nodes.append(helper.make_node(op, inputs, [f"y{at}"], **attributes))
        self.y = np.array(result, order="C")

    def unsqueeze(self):
        axis = int(self.rng.integers(0, self.y.ndim + 1))
        self.add("Unsqueeze", np.expand_dims(self.y, axis), [axis])

    def squeeze(self):
        ones = [axis for axis, size in enumerate(self.y.shape) if size == 1]
        if ones:
            self.add("Squeeze", self.y.squeeze(ones[-1]), [ones[-1]])

    def transpose(self):
        perm = [int(axis) for axis in self.rng.permutation(self.y.ndim)]
        self.add("Transpose", self.y.transpose(perm), perm=perm)

    def swap(self):
        if self.y.ndim > 1:
            perm = [*range(self.y.ndim - 2), self.y.ndim - 1, self.y.ndim - 2]
            self.add("Transpose", self.y.transpose(perm), perm=perm)

    def reshape(self):
        sizes = [int(size) for size in self.rng.permutation(self.y.shape)] or [1]
        if len(sizes) > 1 and self.rng.integers(2):
            sizes[:2] = [sizes[0] * sizes[1]]
        given = [-1, *sizes[1:]] if self.rng.integers(2) else sizes
        self.add("Reshape", self.y.reshape(sizes), given)

    def slice(self):
        if self.y.ndim:
            axis = int(self.rng.integers(0, self.y.ndim))
            start = int(self.rng.integers(0, self.y.shape[axis]))
            end = int(self.rng.integers(start + 1, self.y.shape[axis] + 1))
            kept = np.take(self.y, range(start, end), axis)
            self.add("Slice", kept, [start], [end], [axis])

    def gather(self):
        if self.y.ndim:
            axis = int(self.rng.integers(0, self.y.ndim))
            start = int(self.rng.integers(0, self.y.shape[axis]))
            rows = np.arange(start, self.y.shape[axis])
            rows = rows.reshape([(-1,), (1, -1), (-1, 1)][self.rng.integers(3)])
            self.add("Gather", np.take(self.y, rows, axis), rows, axis=axis)

    def model(self):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.x.shape)
        y = helper.make_tensor_value_info(
            f"y{len(self.nodes) - 1}", TensorProto.FLOAT, self.y.shape
        )
        graph = helper.make_graph(self.nodes, "chain", [x], [y], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


VIEWS = ("unsqueeze", "squeeze", "transpose", "swap", "reshape", "slice", "gather")


@pytest.mark.parametrize("seed", range(60))
def test_random_chains(seed):
    chain = Chain(seed)
    for view in chain.rng.choice(VIEWS, 8):
        if chain.y.ndim < 7:
            getattr(chain, view)()
    chain.add("Neg", -chain.y)  # something is computed
    onnx.checker.check_model(chain.model())
    check_model(chain.model(), [chain.x], [chain.y])


def check_open(text, inputs, **options):
    """Compares a model whose sizes are open."""
    return check_text(text, inputs, names={}, **options)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


COUNT = """
    zero = Constant<value_int = 0> () one = Constant<value_int = 1> ()
    last = Constant<value_ints = [-1]> () seq_at = Constant<value_int = 1> ()
    sizes = Shape(x) n = Gather(sizes, one) b = Gather(sizes, zero)
    rows = Range(zero, b, one) columns = Range(zero, n, one)
"""


def test_axes_that_are_added_one_after_another():
    check_open(
        "g (float[b,n] x) => (int64[1,1,n,1] y) {"
        + COUNT
        + """
            first = Constant<value_ints = [0]> () end = Constant<value_ints = [2]> ()
            a = Unsqueeze(columns, first) c = Unsqueeze(a, first)
            d = Unsqueeze(c, last) y = Neg(d) }""",
        [array(2, 3)],
        contains=["jnp.arange(n)[None, None, :, None]"],
    )


def test_rows_that_follow_each_other_are_a_slice():
    check_open(
        "g (float[b,n] x, float[8,4] w) => (float[1,n,4] y) {"
        + COUNT
        + """
            first = Constant<value_ints = [0]> ()
            a = Unsqueeze(columns, first) y = Gather(w, a) }""",
        [array(2, 3), array(8, 4)],
        contains=["w[None, :n]"],
        lacks=["arange"],
    )
    check_open(
        "g (float[8,4] w) => (float[8,1,3] y) {"
        "i = Constant<value = int64[1,3] {1, 2, 3}> () y = Gather<axis = 1>(w, i) }",
        [array(8, 4)],
        contains=["w[:, None, 1:]"],
    )


def test_rows_of_a_table_that_is_longer_stay_a_gather():
    """The first n of 4 rows are at most 4, where a slice would have n."""
    check_open(
        "g (float[n] x, float[8,2] w) => (float[m,2] y) {"
        "i = Constant<value_ints = [0, 1, 2, 3]> () s = Shape(x)"
        "zero = Constant<value_ints = [0]> () j = Slice(i, zero, s) y = Gather(w, j) }",
        [array(6), array(8, 2)],
        contains=["[:n]]"],
        lacks=["w[:n]"],
    )


# ---- operands that are broadcast in vain ---------------------------------------------


def test_an_operand_that_another_covers_is_not_broadcast_first():
    check_open(
        "g (float[b,n] x, float[n] w) => (float[b,n] y) {"
        "s = Shape(x) wide = Expand(w, s) y = Mul(x, wide) }",
        [array(2, 3), array(3)],
        contains=["x * w\n"],
    )


def test_an_operand_that_nothing_covers_is_broadcast():
    check_open(
        "g (float[b,n] x, float[n] w) => (float[b,n] y) {"
        "s = Shape(x) wide = Expand(w, s) one = Expand(w, s) y = Mul(wide, one) }",
        [array(2, 3), array(3)],
        contains=["jnp.broadcast_to(w * w, (b, n))"],
    )


def test_a_row_for_every_place_is_read_once():
    """The table of token types, where all are of type 0."""
    text = (
        "g (int64[b,n] x, float[5,4] w, float[2,4] kinds) => (float[b,n,4] y) {"
        "s = Shape(x) zeros = ConstantOfShape<value = int64[1] {%d}>(s)"
        "words = Gather(w, x) kind = Gather(kinds, zeros) y = Add(words, kind) }"
    )
    inputs = [np.array([[0, 3, 2]]), array(5, 4), array(2, 4)]
    check_open(text % 0, inputs, contains=["w[x] + kinds[None, :1]"])
    check_open(text % -1, inputs, contains=["w[x] + kinds[None, -1:]"])


def test_a_row_that_others_read_too_stays_wide():
    check_open(
        "g (int64[b,n] x, float[5,4] w, float[2,4] t)"
        "=> (float[b,n,4] y, float[b,n,4] z) {"
        "s = Shape(x) zeros = ConstantOfShape<value = int64[1] {0}>(s)"
        "words = Gather(w, x) kind = Gather(t, zeros) y = Add(words, kind)"
        "z = Neg(kind) }",
        [np.array([[0, 3, 2]]), array(5, 4), array(2, 4)],
        contains=["t[jnp.zeros("],
    )


def test_a_row_that_others_read_by_another_name_stays_wide():
    check_open(
        "g (int64[b,n] x, float[5,4] w, float[2,4] t)"
        "=> (float[b,n,4] y, float[b,n,4] z) {"
        "s = Shape(x) zeros = ConstantOfShape<value = int64[1] {0}>(s)"
        "words = Gather(w, x) row = Gather(t, zeros) kind = Identity(row)"
        "y = Add(words, kind) z = Neg(kind) }",
        [np.array([[0, 3, 2]]), array(5, 4), array(2, 4)],
        contains=["t[jnp.zeros("],
    )


# ---- GatherND ------------------------------------------------------------------------


def grid(shape, first="i", second="j"):
    """x at every pair of a row and a column, in an array of this shape."""
    return (
        COUNT
        + f"""
        rows_at = Constant<value_ints = [1, 2, 3]> ()
        columns_at = Constant<value_ints = [0, 1, 2]> ()
        i = Unsqueeze(rows, rows_at) j = Unsqueeze(columns, columns_at)
        front = Constant<value_ints = [0]> () unit = Constant<value_ints = [1]> ()
        two = Constant<value_ints = [2]> ()
        b1 = Unsqueeze(b, front) n1 = Unsqueeze(n, front)
        full = Concat<axis = 0>({shape})
        iw = Expand({first}, full) jw = Expand({second}, full)
        it = Unsqueeze(iw, last) jt = Unsqueeze(jw, last)
        tuples = Concat<axis = -1>(it, jt) y = GatherND(x, tuples)"""
    )


def test_a_grid_of_all_indices_places_axes():
    check_open(
        "g (float[b,n] x) => (float[b,1,1,n] y) {" + grid("b1, unit, unit, n1") + "}",
        [array(2, 3)],
        contains=["return x[:, None, None]"],
        lacks=["arange"],
    )


def test_a_grid_that_is_wider_is_broadcast():
    check_open(
        "g (float[b,n] x) => (float[b,1,2,n] y) {" + grid("b1, unit, two, n1") + "}",
        [array(2, 3)],
        contains=["jnp.broadcast_to(x[:, None, None], (b, 1, 2, n))"],
    )


def test_what_lies_behind_the_tuples_stays_behind():
    check_open(
        "g (float[b,n,5] x) => (float[b,1,1,n,5] y) {"
        + grid("b1, unit, unit, n1")
        + "}",
        [array(2, 3, 5)],
        contains=["return x[:, None, None]"],
    )


@pytest.mark.parametrize(
    "body",
    [
        grid("b1, unit, unit, n1", "j", "i").replace("x)", "x)"),  # transposed
        grid("b1, unit, unit, n1").replace("Range(zero, n, one)", "Range(one, n, one)"),
    ],
    ids=["turned", "from one"],
)
def test_other_tuples_are_gathered(body):
    body = body.replace("sizes = Shape(x)", "sizes = Shape(x) w = Identity(z)")
    if "Range(one" in body:
        body = body.replace("unit, n1)", "unit, m1)").replace(
            "full =", "m = Sub(n, one) m1 = Unsqueeze(m, front) full ="
        )
    x = array(3, 3)
    check_open(
        "g (float[b,n] x, float[p,q] z) => (float[s,t,u,v] y) {" + body + "}",
        [x, array(4, 4)],
        contains=["tuples[..., 0], tuples[..., 1]]"],
    )


def test_tuples_into_a_larger_array_cut_it():
    body = grid("b1, unit, unit, n1").replace("GatherND(x,", "GatherND(z,")
    check_open(
        "g (float[b,n] x, float[p,q] z) => (float[s,t,u,v] y) {" + body + "}",
        [array(3, 3), array(4, 4)],
        contains=["return z[:b, None, None, :n]"],
    )


@pytest.mark.parametrize(
    ("indices", "subscript"),
    [
        ("int64[1,1] {-2}", "x[-2:-1]"),
        ("int64[3,1] {1, 2, 3}", "x[1:]"),
        ("int64[1,2,1] {0, 1}", "x[None, :2]"),
        ("int64[2,1,1] {2, 3}", "x[2:, None]"),
        ("int64[1] {3}", "x[3]"),
        ("int64[2,1] {-1, 0}", "x[jnp.array([[-1], [0]], int)[..., 0]]"),
        ("int64[2,1] {2, 1}", "x[jnp.array([[2], [1]], int)[..., 0]]"),
    ],
)
def test_known_tuples_of_one_number_are_slices(indices, subscript):
    rank = indices.count(",", 0, indices.index("]")) + 1
    shape = ",".join("?" * rank)
    check_open(
        f"g (float[4,2] x) => (float[{shape}] y) {{"
        f"i = Constant<value = {indices}> () a = GatherND(x, i) y = Neg(a) }}".replace(
            "?", "a"
        ),
        [array(4, 2)],
        contains=[f"-{subscript}"],
    )


def test_known_tuples_of_one_number_are_slices_to_write():
    check_open(
        "g (float[4,2] x, float[2,2] u) => (float[4,2] y) {"
        "i = Constant<value = int64[2,1] {2, 3}> () y = ScatterND(x, i, u) }",
        [array(4, 2), array(2, 2)],
        contains=["x.at[2:].set(u)"],
    )
