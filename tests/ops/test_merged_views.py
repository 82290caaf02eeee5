"""What becomes one view, or one choice: rolls, slices of slices, transposes of axes of
size 1 between reshapes, choices by one condition; and tables as literals."""

import numpy as np
import pytest
from graphs import check_text
from harness import check_model
from onnx import helper, numpy_helper

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 4)).astype(np.float32)

# start and stop of the two slices along axis 1, which is 5 long; how far that rolls
ROLLS = {
    "to the front": ((2, 99), (0, 2), "jnp.roll(x, -2, axis=1)"),
    "to the back": ((-2, 99), (0, -2), "jnp.roll(x, 2, axis=1)"),
    "all but one": ((4, 5), (0, 4), "jnp.roll(x, -4, axis=1)"),
    "an end in the middle": ((2, 4), (0, 2), None),
    "twice the same entry": ((2, 99), (0, 3), None),
    "an entry that is left out": ((3, 99), (0, 2), None),
    "further than the array": ((7, 99), (0, 7), None),
    "further back than the array": ((-7, 99), (0, -7), None),
    "a start in the middle": ((2, 99), (1, 2), None),
}


def cut(x, y, start, stop, axis, step=1):
    """The text of a slice."""
    names = [f"{y}{word}" for word in ("from", "to", "on", "by")]
    numbers = zip(names, (start, stop, axis, step), strict=True)
    constants = "".join(
        f"{name} = Constant<value_ints = [{i}]>() " for name, i in numbers
    )
    return f"{constants} {y} = Slice({x}, {', '.join(names)}) "


@pytest.mark.parametrize("case", ROLLS)
def test_rolls(case):
    first, second, expected = ROLLS[case]
    nodes = cut("x", "a", *first, 1) + cut("x", "b", *second, 1)
    text = (
        f"g (float[2,5,4] x) => (float[2,n,4] y) {{ {nodes} y = Concat<axis=1>(a, b) }}"
    )
    contains, lacks = ([expected], ["concatenate"]) if expected else ([], ["jnp.roll"])
    check_text(text, [X], contains=contains, lacks=lacks)


def test_rolls_of_two_axes():
    """They are one; axes are rolled by themselves, where a batch is open."""
    nodes = (
        cut("x", "a", -1, 99, 1) + cut("x", "b", 0, -1, 1) + "r = Concat<axis=1>(a, b) "
    )
    nodes += (
        cut("r", "c", 3, 99, 2) + cut("r", "d", 0, 3, 2) + "y = Concat<axis=-1>(c, d)"
    )
    text = f"g (float[n,5,4] x) => (float[n,5,4] y) {{ {nodes} }}"
    source = check_text(
        text, [X], contains=["jnp.roll(x, (1, -3), axis=(1, 2))"], names={}
    )
    assert "concatenate" not in source


def test_what_is_rolled_twice_is_read_twice():
    """The first roll is read by others, too."""
    nodes = (
        cut("x", "a", 1, 99, 1) + cut("x", "b", 0, 1, 1) + "r = Concat<axis=1>(a, b) "
    )
    nodes += (
        cut("r", "c", 1, 99, 2) + cut("r", "d", 0, 1, 2) + "s = Concat<axis=2>(c, d) "
    )
    text = f"g (float[n,5,4] x) => (float[n,5,4] y) {{ {nodes} y = Mul(r, s) }}"
    lacks = ["concatenate", "axis=(1, 2)"]
    check_text(text, [X], contains=["axis=1)", "axis=2)"], lacks=lacks, names={})


def test_slices_that_are_joined_in_their_order():
    nodes = cut("x", "a", 0, 2, 1) + cut("x", "b", 2, 99, 1)
    text = (
        f"g (float[2,5,4] x) => (float[2,5,4] y) {{ {nodes} y = Concat<axis=1>(a, b) }}"
    )
    check_text(text, [X], lacks=["jnp.roll"])


def test_slices_of_two_arrays():
    nodes = cut("x", "a", 2, 99, 1) + cut("z", "b", 0, 2, 1)
    text = (
        "g (float[2,5,4] x, float[2,5,4] z) => (float[2,5,4] y) {"
        f"{nodes} y = Concat<axis=1>(a, b) }}"
    )
    check_text(text, [X, X + 1], lacks=["jnp.roll"])


def test_an_open_axis_is_not_rolled():
    """It may be shorter than what is cut off."""
    nodes = cut("x", "a", 2, 99, 1) + cut("x", "b", 0, 2, 1)
    text = (
        f"g (float[2,n,4] x) => (float[2,m,4] y) {{ {nodes} y = Concat<axis=1>(a, b) }}"
    )
    check_text(text, [X], lacks=["jnp.roll"], names={})
    check_text(text, [X[:, :1]], lacks=["jnp.roll"], names={})


def test_slices_of_slices():
    nodes = cut("x", "e", 0, 99, 1, 2) + cut("e", "a", 0, 99, 2, 2)
    nodes += cut("e", "b", -1, -5, 2, -1) + cut("e", "c", 1, 3, -2)
    text = (
        "g (float[n,5,4] x) => (float[n,3,2] a, float[n,3,4] b, float[n,2,4] c) {"
        f"{nodes} }}"
    )
    check_text(text, [X], contains=["x[:, ::2, ::2]", "x[:, ::2, ::-1]"], names={})


def test_a_transpose_of_axes_of_size_1_is_a_reshape():
    """As windows that are as large as the image are cut and put together."""
    text = """g (float[batch,16,6] x) => (float[batch,16,6] y) {
        s = Constant<value_ints = [-1, 1, 4, 1, 4, 6]>()
        back = Constant<value_ints = [-1, 16, 6]>()
        apart = Reshape(x, s)
        turned = Transpose<perm = [0, 1, 3, 2, 4, 5]>(apart)
        windows = Reshape(turned, back)
        y = Relu(windows)
    }"""
    x = RNG.normal(size=(2, 16, 6)).astype(np.float32)
    check_text(
        text,
        [x],
        contains=["jax.nn.relu(x)"],
        lacks=[".reshape", "transpose"],
        names={},
    )


def test_a_transpose_of_longer_axes_stays():
    text = """g (float[batch,16,6] x) => (float[m,8,6] y) {
        s = Constant<value_ints = [-1, 2, 4, 2, 1, 6]>()
        back = Constant<value_ints = [-1, 8, 6]>()
        apart = Reshape(x, s)
        turned = Transpose<perm = [0, 1, 3, 2, 4, 5]>(apart)
        y = Reshape(turned, back)
    }"""
    x = RNG.normal(size=(2, 16, 6)).astype(np.float32)
    check_text(text, [x], contains=["transpose(0, 1, 3, 2, 4, 5)"], names={})


CHOICES = {
    "where(c, x, where(c, y, z))": "d = Where(c, b, z) y = Where(c, a, d)",
    "where(c, x, where(~c, y, z))": "n = Not(c) d = Where(n, b, z) y = Where(c, a, d)",
    "where(c, where(c, x, y), z)": "d = Where(c, a, b) y = Where(c, d, z)",
    "where(~c, where(c, x, y), z)": "n = Not(c) d = Where(c, b, a) y = Where(n, d, z)",
}


@pytest.mark.parametrize("case", CHOICES)
def test_choices_by_one_condition(case):
    text = (
        "g (bool[2,3] c, float[2,3] a, float[3] b, float[2,1] z) => (float[2,3] y) {"
        f"{CHOICES[case]} }}"
    )
    c = np.array([[True, False, True], [False, False, True]])
    a, b, z = (RNG.normal(size=s).astype(np.float32) for s in ((2, 3), 3, (2, 1)))
    source = check_text(text, [c, a, b, z])
    assert source.count("jnp.where") == 1, source


def test_a_choice_that_gives_the_shape_stays():
    """What is never read broadcasts the rest, which has one row."""
    text = """g (bool[3] c, float[3] a, float[3] b, float[2,3] z) => (float[2,3] y) {
        d = Where(c, z, b)
        y = Where(c, a, d)
    }"""
    c = np.array([True, False, True])
    a, b, z = (RNG.normal(size=s).astype(np.float32) for s in (3, 3, (2, 3)))
    source = check_text(text, [c, a, b, z])
    assert source.count("jnp.where") == 2, source


TABLES = {
    "integers": (np.array([[0, 7, 2, 9, 4], [3, 1, 8, 6, 5]]), "[0, 7, 2, 9, 4]"),
    "a column": (np.array([3, 1, 4, 1, 5, 9, 2, 6, 5])[:, None], "6, 5], "),
    "minus zero": (np.array([-0.0, 7, 2, 9, 4, 3, 1, 8, 6]), "-0.0"),
    "a fraction": (np.array([0.5, 7, 2, 9, 4, 3, 1, 8, 6]), "7.0"),
    "infinity": (np.array([np.inf, 7, 2, 9, 4, 3, 1, 8, 6]), "7.0"),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("case", TABLES)
def test_tables(case, dtype):
    """Whole numbers read better without a point; the sign of a zero is kept."""
    table, expected = TABLES[case]
    table = table.astype(dtype)
    elem = helper.np_dtype_to_tensor_dtype(table.dtype)
    constant = helper.make_node(
        "Constant", [], ["t"], value=numpy_helper.from_array(table, "t")
    )
    graph = helper.make_graph(
        [constant, helper.make_node("Div", ["x", "t"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", elem, ["n", *table.shape])],
        [helper.make_tensor_value_info("y", elem, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    x = np.ones((2, *table.shape), dtype)
    with np.errstate(divide="ignore"):
        result = x / table
    wide = (True,) if dtype == np.float64 else (False, True)
    source = check_model(model, [x], [result], x64=wide, names={})
    assert expected in source, source
