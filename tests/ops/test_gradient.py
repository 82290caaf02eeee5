"""Gradient: functions between named values, differentiated, against torch.autograd."""

import tempfile
from pathlib import Path

import jax
import numpy as np
import onnx.backend.test
import onnx.parser
import pytest
import torch
from graphs import check_format
from harness import CompileError, check_model, compile_model, load_module

DOMAIN = "ai.onnx.preview.training"


def parse(text):
    opsets = f'["": 21, "{DOMAIN}": 1]'
    return onnx.parser.parse_model(f"<ir_version: 10, opset_import: {opsets}> {text}")


def gradient(outputs, inputs, xs, y, zs=None):
    """The node in ONNX's text form."""

    def names(values):
        return "[" + ", ".join(f'"{v}"' for v in values.split()) + "]"

    attributes = f'xs = {names(xs)}, y = "{y}"'
    attributes += f", zs = {names(zs)}" if zs else ""
    return f"{outputs} = {DOMAIN}.Gradient <{attributes}> ({inputs})"


def check(text, inputs, expected, *contains, **options):
    options.setdefault("rtol", 1e-5)
    options.setdefault("atol", 1e-6)
    source = check_model(parse(text), inputs, expected, x64=(False, True), **options)
    for part in contains:
        assert part in source, source
    check_format(source)
    return source


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tensors(*arrays):
    return [torch.from_numpy(np.array(a)).requires_grad_() for a in arrays]


def torch_gradient(f, *arrays):
    """Of the sum of f, for each array."""
    xs = tensors(*arrays)
    f(*xs).sum().backward()
    return [x.grad.numpy() for x in xs]


@pytest.mark.parametrize(
    "name", ["test_gradient_of_add", "test_gradient_of_add_and_mul"]
)
def test_official_case(name):
    folder = Path(onnx.backend.test.__file__).parent / "data" / "simple" / name
    model = onnx.load(folder / "model.onnx")

    def read(kind, values):
        for i, value in enumerate(values):
            data = (folder / "test_data_set_0" / f"{kind}_{i}.pb").read_bytes()
            tensor = onnx.TensorProto.FromString(data)
            assert tensor.name == value.name
            yield onnx.numpy_helper.to_array(tensor)

    inputs = list(read("input", model.graph.input))
    check_model(model, inputs, list(read("output", model.graph.output)))


A, B = rand(2, 3), rand(2, 3, seed=1)


def test_two_variables():
    text = f"""g (float[n, 3] a, float[n, 3] b) => (float[n, 3] da, float[n, 3] db) {{
      s = Sin(a)
      c = Mul(s, b)
      {gradient("da, db", "a, b", "a b", "c")}
    }}"""
    expected = torch_gradient(lambda a, b: a.sin() * b, A, B)
    check(
        text,
        [A, B],
        expected,
        "jax.grad(summed(",
        "argnums=(0, 1))(a, b)",
        names={"n": 2},
    )


def test_scalar_needs_no_sum():
    text = f"""g (float[3] a) => (float[3] da) {{
      c = ReduceSumSquare<keepdims = 0>(a)
      {gradient("da", "a", "a", "c")}
    }}"""
    source = check(text, [A[0]], [2 * A[0]])
    assert "summed" not in source


@pytest.mark.parametrize("outputs", ["da, db", "da,", ", db"])
def test_outputs_are_optional(outputs):
    """zs holds what is not differentiated."""
    names = [name.strip() for name in outputs.split(",") if name.strip()]
    header = ", ".join(f"float[2, 3] {name}" for name in names)
    model = parse(f"""g (float[2, 3] a, float[2, 3] b, float[2, 3] z) => ({header}) {{
      s = Mul(a, b)
      c = Mul(s, z)
      {gradient("da, db", "a, b, z", "a b", "c", "z")}
    }}""")
    node = model.graph.node[-1]
    node.output[:] = [name if name in names else "" for name in node.output]
    z = rand(2, 3, seed=2)
    expected = {"da": B * z, "db": A * z}
    check_model(model, [A, B, z], [expected[name] for name in names])


def test_at_other_values():
    """The inputs give the point, which need not be the values that the names have."""
    text = f"""g (float[2, 3] a, float[2, 3] b) => (float[2, 3] c, float[2, 3] d) {{
      c = Exp(a)
      {gradient("d", "b", "a", "c")}
    }}"""
    check(text, [A, B], [np.exp(A), np.exp(B)])


def test_intermediate_value():
    """dY/dH for H in the middle: what makes H is no part of the function."""
    text = f"""g (float[2, 3] a, float[2, 3] b) => (float[2, 3] d) {{
      h = Exp(a)
      s = Sin(h)
      c = Mul(s, b)
      {gradient("d", "h", "h", "c")}
    }}"""
    source = check(text, [A, B], [np.cos(np.exp(A)) * B])
    assert source.count("jnp.exp") == 1


def test_initializers_are_parameters():
    text = f"""g (float[4, 3] x) => (float[4, 2] y, float[3, 2] dw)
      <float[3, 2] w = {{1, 2, 3, 4, 5, 6}}> {{
      h = MatMul(x, w)
      y = Tanh(h)
      {gradient("dw", "w", "w", "y")}
    }}"""
    x, w = rand(4, 3), np.arange(1, 7, dtype=np.float32).reshape(3, 2)
    x *= 0.1
    expected = torch_gradient(lambda w: torch.tanh(torch.from_numpy(x) @ w), w)
    check(text, [x], [np.tanh(x @ w), *expected], infer=False)


def test_known_elements_are_variables_too():
    text = f"""g (float[2] x) => (float[2] y, float[] d) {{
      two = Constant<value = float {{2}}>()
      c = Mul(two, two)
      y = Mul(x, c)
      {gradient("d", "two", "two", "c")}
    }}"""
    check(text, [A[0, :2]], [A[0, :2] * 4, np.float32(4)])


def test_not_dependent():
    text = f"""g (float[2, 3] a, float[2, 3] b) => (float[2, 3] da, float[2, 3] db) {{
      c = Exp(a)
      {gradient("da, db", "a, b", "a b", "c")}
    }}"""
    check(text, [A, B], [np.exp(A), np.zeros_like(B)])


def test_second_order():
    """The example of the specification: d2O/dW2 by a Gradient of a Gradient."""
    text = f"""g (float[2, 3] x, float[2, 3] w) => (float[2, 3] d, float[2, 3] e) {{
      p = Mul(x, w)
      o = Exp(p)
      {gradient("first, dw", "x, w", "x w", "o")}
      {gradient("d, e", "x, w", "x w", "dw")}
    }}"""
    product = np.exp(A * B)
    expected = [product * (1 + A * B), A * A * product]
    check(text, [A, B], expected, rtol=1e-4, atol=1e-5)


def test_control_flow_inside():
    """A loop that captures the variable is part of the function."""
    text = f"""g (float[2, 3] a) => (float[2, 3] y, float[2, 3] da) {{
      count = Constant<value = int64 {{3}}>()
      y = Loop (count, , a) <
        body = b (int64 i, bool k, float[2, 3] s) => (bool k2, float[2, 3] t) {{
          half = Constant<value = float {{0.5}}>()
          k2 = Identity(k)
          u = Mul(s, a)
          t = Mul(u, half)
        }}>
      {gradient("da", "a", "a", "y")}
    }}"""
    check(text, [A], [A**4 / 8, A**3 / 2], infer=False)


def test_shapes_follow_from_inputs():
    text = f"""g (float[n, 3] a, float[n, 3] b) => (float[n, 3] da) {{
      shape = Shape(a)
      last = Constant<value = int64[1] {{-1}}>()
      flat = Reshape(a, last)
      back = Reshape(flat, shape)
      c = Mul(back, b)
      {gradient("da", "a, b", "a", "c", "b")}
    }}"""
    check(text, [A, B], [B], "@jax.jit", names={"n": 2})


def test_in_a_function():
    text = f"""g (float[2, 3] a) => (float[2, 3] d) {{ d = local.slope(a) }}
    <opset_import: ["": 21, "{DOMAIN}": 1], domain: "local">
    slope (p) => (d) {{
      q = Identity(p)
      r = Exp(q)
      {gradient("d", "q", "q", "r")}
    }}"""
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21, "local": 1, "{DOMAIN}": 1]> {text}'
    )
    check_model(model, [A], [np.exp(A)], infer=False)


def test_draws_are_those_of_the_forward_pass():
    text = f"""g (float[2, 300] a) => (float[2, 300] y, float[2, 300] da) {{
      on = Constant<value = bool {{1}}>()
      y = Dropout(a, , on)
      {gradient("da", "a", "a", "y")}
    }}"""
    with tempfile.TemporaryDirectory() as folder:
        forward = load_module(compile_model(parse(text), folder)).forward
    y, da = forward({}, np.ones((2, 300), np.float32), key=jax.random.key(0))
    np.testing.assert_array_equal(y, da)
    assert 0 < (y == 0).mean() < 1


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (gradient("d", "a", "q", "c"), 'no value "q" is made before'),
        (gradient("d", "a", "a", "late"), 'no value "late" is made before'),
        (gradient("d", "a, b", "a", "c"), "1 names for 2 inputs"),
        (gradient("d, e", "a", "a", "c"), "1 names for 1 inputs and 2 outputs"),
        (gradient("d", "a, a", "a a", "c"), "name a value twice"),
        (gradient("d", "i", "i", "c"), "must be tensors of a float type"),
    ],
)
def test_errors(node, message):
    text = f"""g (float[2] a, float[2] b, int64[2] i) => (float[2] d) {{
      c = Exp(a)
      {node}
      late = Exp(b)
    }}"""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(CompileError, match=message),
    ):
        compile_model(parse(text), folder)
