"""`--input-value NAME=VALUE`: an input that is fixed when the model is compiled."""

import inspect
import subprocess

import numpy as np
import onnx
import ort
import pytest
from graphs import check_format, parse
from harness import PROGRAM, compile_model, load_module

import oxide_xla

FLAG = """
g (float[n, 4] x, bool[1] flag) => (float[m, 4] y) {
  y = If (flag) <
    then_branch = t () => (float[n2, 4] a) { a = Concat<axis = 0>(x, x) },
    else_branch = e () => (float[n, 4] b) { b = Neg(x) }>
}"""

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def check(text, values, inputs, *, shapes=None, lacks=()):
    """forward takes the inputs that are not given, is jitted, and computes the same."""
    model = parse(text)
    compiled = oxide_xla.compile(model, input_values=values, shapes=shapes)
    assert not compiled.messages
    assert "@jax.jit" in compiled.source
    for part in lacks:
        assert part not in compiled.source
    check_format(compiled.source)
    names = [v.name for v in model.graph.input]
    types = {
        v.name: onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)
        for v in model.graph.input
    }
    given = {name: np.asarray(v, types[name]) for name, v in values.items()}
    expected = ort.run(model, {n: given[n] if n in given else inputs[n] for n in names})
    assert [*inspect.signature(compiled.forward).parameters][1:] == [*inputs]
    actual = compiled.forward(compiled.params, *inputs.values())
    actual = actual if isinstance(actual, tuple) else (actual,)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)
        assert a.shape == e.shape
    return compiled.source


@pytest.mark.parametrize("flag", [True, False])
def test_flag(flag):
    """The branch is decided, and the docstring says by what."""
    source = check(FLAG, {"flag": [flag]}, {"x": X}, lacks=[" if ", "cond"])
    assert f"flag: bool[1] = [{flag}]\n" in source


@pytest.mark.parametrize("word", ["1", "true", "True", "[1]", "[ true ]"])
def test_ways_to_write_a_flag(word, tmp_path):
    """A number will do for an input of one element."""
    path = compile_model(parse(FLAG), tmp_path, "--input-value", f"flag={word}")
    y = load_module(path).forward({}, X)
    np.testing.assert_array_equal(y, np.concatenate([X, X]))


def test_shape():
    """What decides a Reshape; the length of the list is known, too."""
    text = """
    g (float[n, 4] x, int64[k] to) => (float[a, b, c] y) { y = Reshape(x, to) }"""
    source = check(text, {"to": [2, -1, 2]}, {"x": X})
    assert "x.reshape(2, -1, 2)" in source or "x.reshape(2, n, 2)" in source


def test_numbers_in_arithmetic():
    text = """
    g (float[2, 2] x, float factor, float16[2, 2] table, int8[] small) =>
        (float[2, 2] y, float16[2, 2] z, int8[2] w) {
      y = Mul(x, factor)
      half = Cast<to = 10>(x)
      z = Add(half, table)
      two = Constant<value = int64[1] {2}>()
      w = Expand(small, two)
    }"""
    values = {"factor": 0.1, "table": [[1e-3, -2.5], [65504, 0]], "small": -128}
    check(text, values, {"x": X[:2, :2]})


def test_infinities(tmp_path):
    text = "g (float[3] x, float[3] limit) => (float[3] y) { y = Min(x, limit) }"
    path = compile_model(
        parse(text), tmp_path, "--input-value", "limit=[inf, -inf, -0.5e+1]"
    )
    y = load_module(path).forward({}, np.float32([7, 8, 9]))
    np.testing.assert_array_equal(y, [7, -np.inf, -5])


def test_size_that_other_inputs_share():
    """The batch is read from the first input that has it, which is no more."""
    text = """
    g (int64[n] ids, float[n, 4] x) => (float[n, 4] y, int64[2] s) {
      axes = Constant<value = int64[1] {1}>()
      f = Cast<to = 1>(ids)
      column = Unsqueeze(f, axes)
      y = Mul(x, column)
      s = Shape(x)
    }"""
    source = check(text, {"ids": [5, 6, 7]}, {"x": X})
    assert "x: float32[3,4]" in source and "y: float32[3,4]" in source


def test_empty_list():
    text = """
    g (float[2, 4] x, int64[k] axes) => (float[...] y) {
      y = ReduceSum<noop_with_empty_axes = 1>(x, axes)
    }""".replace("float[...] y", "float[a, b] y")
    check(text, {"axes": np.zeros(0, np.int64)}, {"x": X[:2]})


def test_with_shapes():
    """Both options at once, also where a batch that the file fixes becomes another."""
    text = """
    g (float[1, 4] x, float[k] bias) => (float[1, 4] y) { y = Add(x, bias) }"""
    compiled = oxide_xla.compile(
        parse(text),
        shapes={"x": (3, 4), "bias": (4,)},
        input_values={"bias": [1, 2, 3, 4]},
    )
    y = compiled.forward({}, X)
    np.testing.assert_array_equal(y, X + np.float32([1, 2, 3, 4]))


def test_output_that_is_the_input():
    text = "g (float[2] x, int64[2] k) => (float[2] y) { y = Neg(x) }"
    model = parse(text)
    compiled = oxide_xla.compile(model, input_values={"k": [1, 2]}, outputs=["k", "y"])
    k, y = compiled.forward({}, X[0, :2])
    np.testing.assert_array_equal(k, [1, 2])
    np.testing.assert_array_equal(y, -X[0, :2])


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("flag", "there is no ="),
        ("flog=1", 'did you mean "flag"?'),
        ("flag=2", '"2" is no bool'),
        ("flag=", '"" is no bool'),
        ("flag=[1,0]", "the input is bool[1]"),
        ("flag=[[1]]", "the input is bool[1]"),
        ("flag=[1", "a list does not end"),
        ("flag=[1]]", "more behind the value"),
        ("flag=" + "[" * 40, "too deep"),
        ("k=1.0", '"1.0" is no int32'),
        ("k=2147483648", '"2147483648" is no int32'),
        ("k=99999999999999999999", "is no int32"),
        ("x=[[1,2,3,4],[1,2,3]]", "not of one length"),
        ("x=[[1,2,3,4],5]", "not of one depth"),
        ("x=[[1,2,3,4e]]", '"4e" is no float32'),
        ("x=[[1,2,3,1e39]]", '"1e39" is no float32'),
        ("x=[[1,2,3,.]]", '"." is no float32'),
        ("x=[[1,2,3,0x1]]", '"0x1" is no float32'),
        (f"x=[{','.join(['[1,2,3,4]'] * 257)}]", "more than 1024 elements"),
        ("s=[1]", "only tensors"),
        ("t=a", "type string cannot be given"),
    ],
)
def test_wrong_values(spec, what, tmp_path):
    text = """
    g (float[n, 4] x, bool[1] flag, int32 k, seq(float[2]) s, string t)
        => (float[n, 4] y) { y = Neg(x) }"""
    model = tmp_path / "net.onnx"
    onnx.save(parse(text), model)
    done = subprocess.run(
        [PROGRAM, "compile", model, "-o", tmp_path / "m.py", "--input-value", spec],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("error[OX0003]") == 1
    assert what in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_hint_names_the_inputs():
    """Those that decide, through arithmetic and branches, and no others."""
    text = """
    g (float[n, 4] x, int64 a, int64 b, bool c, float[n, 4] d) => (float[m, k] y) {
      other = If (c) <
        then_branch = t () => (int64 p) { p = Neg(b) },
        else_branch = e () => (int64 q) { q = Identity(b) }>
      sum = Add(a, other)
      zero = Constant<value = int64[1] {0}>()
      size = Unsqueeze(sum, zero)
      rest = Constant<value = int64[1] {-1}>()
      to = Concat<axis = 0>(size, rest)
      z = Add(x, d)
      y = Reshape(z, to)
    }"""
    messages = oxide_xla.compile(parse(text)).messages
    for name in "abc":
        assert f'--input-value "{name}=VALUE"' in messages
    assert '"x=' not in messages and '"d=' not in messages
    fixed = oxide_xla.compile(parse(text), input_values={"a": 1, "b": 2, "c": False})
    assert not fixed.messages


def test_hint_of_an_error():
    """What cannot be compiled without the value says so, too."""
    text = """
    g (float[2, 4] x, float[1] tiles, float[1] axis) => (float[a, b] y) {
      y = Tile(x, tiles, axis)
    }"""
    with pytest.raises(oxide_xla.OxideError) as error:
        oxide_xla.compile(parse(text, opset=1))
    assert "OX0402" in str(error.value)
    for name in ("tiles", "axis"):
        assert f'--input-value "{name}=VALUE"' in str(error.value)


def test_no_hint_where_nobody_could_write_the_value():
    text = """
    g (float[n, 4] x) => (float[m, 4] y) {
      zero = Constant<value = float {0.0}>()
      sum = ReduceSum<keepdims = 0>(x)
      c = Greater(sum, zero)
      y = If (c) <
        then_branch = t () => (float[n2, 4] a) { a = Concat<axis = 0>(x, x) },
        else_branch = e () => (float[n, 4] b) { b = Neg(x) }>
    }"""
    messages = oxide_xla.compile(parse(text)).messages
    assert "OX0502" in messages and "help" not in messages


@pytest.mark.parametrize("kind", [bool, np.array, "jax"])
def test_constants_of_a_callers_jit(kind):
    """Without the option, a flag that is a constant while a caller's jit traces."""
    import jax
    import jax.numpy as jnp

    forward = oxide_xla.compile(parse(FLAG)).forward
    make = jnp.array if kind == "jax" else kind
    for flag in (True, False):
        value = [make(flag)] if kind is bool else make([flag])
        y = jax.jit(lambda x, value=value: forward({}, x, np.asarray(value)))(X)
        np.testing.assert_array_equal(y, np.concatenate([X, X]) if flag else -X)


def test_a_fixed_input_that_has_the_name_of_a_buffer():
    """It has no tensor that a checkpoint's could be compared with."""
    model = parse("g (int64 x, int64[2] y) => (int64[2] z) { z = Add(x, y) }")
    state = model.metadata_props.add()
    state.key, state.value = "oxide_xla.state", "buffer\tx\n"
    module = oxide_xla.compile(model, input_values={"x": 3}).module
    np.testing.assert_array_equal(module.forward({}, np.array([1, 2])), [4, 5])
    assert not hasattr(module, "LITERALS")
