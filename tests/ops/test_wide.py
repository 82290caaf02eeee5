"""Integers that 32 bits do not hold, with JAX's 64-bit types and without."""

import subprocess

import jax
import numpy as np
import onnx.parser
import pytest
from harness import (
    PROGRAM,
    check_node,
    compile_model,
    load_module,
    reference,
    run_module,
)

LEAST, MOST = -(2**63), 2**63 - 1
X = np.array([0, -5, 2**31 - 1, -(2**31)])


def parse(text):
    return onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 20]> ' + text)


def warnings_of(model, folder):
    """What the program says about a model that it compiles."""
    source = folder / "model.onnx"
    source.write_bytes(model.SerializeToString())
    output = str(folder / "m_jax.py")
    command = [PROGRAM, "compile", "--quiet", str(source), "--output", output]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


def run(path, x64, *inputs):
    with jax.enable_x64(x64):
        return [np.asarray(y) for y in run_module(load_module(path), list(inputs))]


@pytest.mark.parametrize("wide", [LEAST, MOST, 2**31, -(2**31) - 1, 2**40])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    "op", ["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"]
)
def test_comparisons(op, first, wide):
    inputs = {"A": wide, "B": X} if first else {"A": X, "B": wide}
    inputs = {k: np.asarray(v, np.int64) for k, v in inputs.items()}
    check_node(op, inputs, constant=["A" if first else "B"])


def test_comparison_with_several():
    wide = np.array([[LEAST], [3], [2**31 - 1], [2**31]])
    check_node("Less", [X, wide], constant=["B"])


@pytest.mark.parametrize(
    ("op", "wide"), [("Min", MOST), ("Min", 2**31), ("Max", LEAST), ("Max", -(2**40))]
)
def test_min_max(op, wide):
    wide = np.array(wide)
    check_node(op, {"data_0": X, "data_0_1": wide}, constant=["data_0_1"])


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (LEAST, MOST, "return input\n"),
        (0, MOST, "jax.nn.relu(input)"),
        (LEAST, 3, "jnp.minimum(input, 3)"),
        (-(2**40), 2**40, "saturated(1099511627776)"),
    ],
)
def test_clip(low, high, text):
    inputs = {"input": X, "min": np.array(low), "max": np.array(high)}
    check_node("Clip", inputs, constant=["min", "max"], contains=text)


def test_no_warning_where_nothing_changes(tmp_path):
    model = parse(
        "g (int64[4] x) => (bool[4] a, int64[4] b, int64[2] c)"
        f"<int64 most = {{{MOST}}}, int64[1] end = {{{MOST}}}, int64[1] two = {{2}}>"
        "{ a = Less(x, most) b = Min(x, most) c = Slice(x, two, end) }"
    )
    assert warnings_of(model, tmp_path) == ""


MASKED = (
    "g (int64[4] x, bool[4] m) => (int64 a, bool[4] b, bool[4] c) {"
    f"end = Constant<value = int64 {{{LEAST}}}>() f = Where(m, end, x)"
    "a = ReduceMax<keepdims = 0>(f) b = Equal(f, end) c = Greater(f, end) }"
)


@pytest.mark.parametrize("x64", [False, True])
def test_masked(x64, tmp_path):
    """The end that stands in is found again by comparisons with the model's."""
    inputs = np.array([5, -3, 7, 2]), np.array([False, True, True, False])
    model = parse(MASKED)
    expected = reference(model, dict(zip("xm", inputs, strict=True)))
    for y, e in zip(
        run(compile_model(model, tmp_path), x64, *inputs), expected, strict=True
    ):
        np.testing.assert_array_equal(y, e)
    warning = warnings_of(model, tmp_path)
    assert warning.count("warning[OX0410]") == 1
    assert f"{LEAST} becomes" in warning and "(Where" in warning
    assert "jax_enable_x64" in warning


@pytest.mark.parametrize("x64", [False, True])
def test_filled(x64, tmp_path):
    model = parse(
        "g (int64[2] shape) => (int64[a, b] y, uint64[2] z) {"
        f"y = ConstantOfShape<value = int64[1] {{{MOST}}}>(shape)"
        "z = Constant<value = uint64[2] {1, 18446744073709551615}>() }"
    )
    y, z = run(compile_model(model, tmp_path), x64, np.array([2, 3]))
    bits = 64 if x64 else 32
    np.testing.assert_array_equal(y, np.full((2, 3), 2 ** (bits - 1) - 1))
    np.testing.assert_array_equal(z, np.array([1, 2**bits - 1], np.uint64))


@pytest.mark.parametrize("x64", [False, True])
def test_ends_as_arguments(x64, tmp_path):
    model = parse(
        "g (int64[2] i, uint64[2] u) => (int64[4] a, int64[2, 2] b, uint64[2] c) {"
        f"most = Constant<value = int64 {{{MOST}}}>()"
        "pads = Constant<value = int64[2] {1, 1}>() two = Constant<value = int64 {2}>()"
        f"values = Constant<value = int64[2] {{0, {MOST}}}>()"
        f"all = Constant<value = uint64 {{{2**64 - 1}}}>()"
        "a = Pad(i, pads, most) b = OneHot(i, two, values) c = Max(u, all) }"
    )
    i, u = np.array([0, 1]), np.array([3, 4], np.uint64)
    a, b, c = run(compile_model(model, tmp_path), x64, i, u)
    bits = 64 if x64 else 32
    most = 2 ** (bits - 1) - 1
    np.testing.assert_array_equal(a, [most, 0, 1, most])
    np.testing.assert_array_equal(b, [[most, 0], [0, most]])
    np.testing.assert_array_equal(c, np.array([2**bits - 1] * 2, np.uint64))


@pytest.mark.parametrize("op", ["Mul", "Add", "BitwiseXor", "Mod"])
@pytest.mark.parametrize("wide", [3_000_000_000, MOST])
def test_arithmetic_is_refused(op, wide, tmp_path):
    model = parse(
        "g (int64[4] x) => (int64[4] y) {"
        f'w = Constant<value = int64 {{{wide}}}>() ["hash"] y = {op}(x, w) }}'
    )
    warning = warnings_of(model, tmp_path)
    assert "warning[OX0411]" in warning and '"hash"' in warning
    assert "jax_enable_x64" in warning and str(wide) in warning
    path = compile_model(model, tmp_path)
    with pytest.raises(OverflowError):
        run(path, False, X)
    expected = reference(model, {"x": X})
    np.testing.assert_array_equal(run(path, True, X)[0], expected[0])


@pytest.mark.parametrize("weights", ["safetensors", "npz", "reference"])
@pytest.mark.parametrize("packed", [False, True])
def test_table(weights, packed, tmp_path):
    """The loaders of plain and of packed weights files refuse to wrap around."""
    table = np.arange(300) + 2**31
    model = parse(
        "g (int64[k] i) => (int64[k] y, float[2] z)"
        "<int64[300] table, float8e4m3fnuz[2] packed>"
        "{ y = Gather(table, i) z = Cast<to = 1>(packed) }"
    )
    del model.graph.initializer[:], model.graph.value_info[:]
    model.graph.initializer.append(onnx.numpy_helper.from_array(table, "table"))
    if packed:
        packed = onnx.helper.make_tensor("packed", 18, [2], [1.0, 2.0])
        model.graph.initializer.append(packed)
    else:
        del model.graph.node[1], model.graph.output[1]
    assert "warning[OX0412]" in warnings_of(model, tmp_path)
    path = compile_model(model, tmp_path, "--weights", weights)
    with pytest.raises(OverflowError, match="table needs 64-bit.*jax_enable_x64"):
        load_module(path).load_params()
    y = run(path, True, np.array([0, 299]))[0]
    np.testing.assert_array_equal(y, table[[0, 299]])


SHIFT = (
    "g (int64[4] x, int64 by) => (int64[4] y) <int64 zero = {0}> {"
    "ones = Constant<value = uint64 {18446744073709551615}>()"
    "signs = Constant<value = uint64 {18374686479671623680}>()"
    "n = Less(x, zero) u = Cast<to = 13>(x) k = Cast<to = 13>(by)"
    's = BitShift<direction = "DIR">(u, k) low = BitShift<direction = "RIGHT">(ones, k)'
    "mask = BitwiseNot(low) o = BitwiseOr(s, MASK) a = Cast<to = 7>(o)"
    "b = Cast<to = 7>(s) y = Where(n, a, b) }"
)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("by", [0, 1, 7, 31])
def test_signed_shift(by, x64, tmp_path):
    """BitShift has no signed integers; PyTorch's exporter sets the signs by hand."""
    path = compile_model(
        parse(SHIFT.replace("DIR", "RIGHT").replace("MASK", "mask")), tmp_path
    )
    assert "return x >> by" in path.read_text()
    np.testing.assert_array_equal(run(path, x64, X, np.array(by))[0], X >> by)


@pytest.mark.parametrize("by", [7, 8])
def test_signed_shift_by_constant(by, tmp_path):
    """2**64 - 2**56 are the signs of a shift by eight, and no other."""
    text = (
        SHIFT.replace(", int64 by", "").replace("DIR", "RIGHT").replace("MASK", "signs")
    )
    model = parse(text.replace("zero = {0}", f"zero = {{0}}, int64 by = {{{by}}}"))
    path = compile_model(model, tmp_path)
    assert ("return x >> 8" in path.read_text()) == (by == 8)
    expected = reference(model, {"x": X})[0]
    np.testing.assert_array_equal(run(path, True, X)[0], expected)


def test_other_shift(tmp_path):
    model = parse(SHIFT.replace("DIR", "LEFT").replace("MASK", "mask"))
    assert "x >>" not in compile_model(model, tmp_path).read_text()
