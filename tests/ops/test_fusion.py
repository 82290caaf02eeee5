"""Fusions: each row of fusions.c fires on what exporters write, computes the same, and
does not fire on what only looks like it."""

import jax
import numpy as np
import onnx.parser
import onnxruntime
import pytest
from harness import compile_model, load_module, run_module
from onnx import helper, numpy_helper

HEADER = '<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({output}) {{'
RNG = np.random.default_rng(0)


def parse(body, inputs, output, opset=20):
    declared = ", ".join(f"{spec} {name}" for name, spec in inputs.items())
    header = HEADER.format(opset=opset, inputs=declared, output=output)
    return onnx.parser.parse_model(header + body + "}")


def values(inputs):
    made = []
    for spec in inputs.values():
        kind, dims = spec.rstrip("]").split("[")
        shape = [int(d) for d in dims.split(",") if d]
        x = RNG.standard_normal(shape)
        made.append(x > 0 if kind == "bool" else x.astype(np.float32))
    return made


def check(body, inputs, folder, output="float[2,3,8] y", opset=20):
    """Compares with onnxruntime; returns the code of forward."""
    return check_model(parse(body, inputs, output, opset), values(inputs), folder)


def check_model(model, args, folder):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [x.name for x in model.graph.input]
    expected = session.run(None, dict(zip(names, args, strict=True)))
    path = compile_model(model, folder)
    for got, want in zip(run_module(load_module(path), args), expected, strict=True):
        rtol = 2e-3 if want.dtype == np.float16 else 2e-5
        np.testing.assert_allclose(got, want, rtol, 2e-6)
    return path.read_text().split("@jax.jit")[1].split("def load_params")[0]


X = {"x": "float[2,3,8]"}
XWB = {**X, "w": "float[8]", "b": "float[8]"}
ERF = "r = Constant<value = float {1.4142135}> () o = Constant<value = float {1.0}> () "
HALF = "h = Constant<value = float {0.5}> () "
TWO = "two = Constant<value = float {2.0}> () eps = Constant<value = float {1e-6}> () "

FIRES = {
    "gelu, half last": (
        ERF
        + HALF
        + "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) y = Mul(m,h)",
        X,
        "gelu(x)",
    ),
    "gelu, half first": (
        ERF
        + HALF
        + "d = Div(x, r) e = Erf(d) a = Add(o, e) m = Mul(h, x) y = Mul(m,a)",
        X,
        "gelu(x)",
    ),
    "gelu by tanh": (
        HALF
        + "o = Constant<value = float {1.0}> () t = Constant<value = float {3.0}> ()"
        "c = Constant<value = float {0.044715}> ()"
        "s = Constant<value = float {0.7978846}> ()"
        "p = Pow(x, t) q = Mul(p, c) z = Add(x, q) i = Mul(z, s) u = Tanh(i)"
        "a = Add(u, o) m = Mul(x, h) y = Mul(m, a)",
        X,
        "jax.nn.gelu(x)",
    ),
    "silu": ("s = Sigmoid(x) y = Mul(s, x)", X, "jax.nn.silu(x)"),
    "mish": ("s = Softplus(x) t = Tanh(s) y = Mul(x, t)", X, "jax.nn.mish(x)"),
    "softplus with a threshold": (
        "t = Constant<value = float {20.0}> () g = Greater(x, t) s = Softplus(x)"
        "y = Where(g, x, s)",
        X,
        "return softplus(x)",
    ),
    "layer norm": (
        TWO + "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) q = Pow(d, two)"
        "v = ReduceMean<axes = [2]>(q) a = Add(v, eps) s = Sqrt(a) n = Div(d, s)"
        "p = Mul(n, w) y = Add(p, b)",
        XWB,
        "layer_norm(x, w, b) + 1e-06)",
    ),
    "rms norm": (
        TWO + "q = Pow(x, two) v = ReduceMean<axes = [-1]>(q) a = Add(v, eps)"
        "s = Sqrt(a) r = Reciprocal(s) n = Mul(x, r) y = Mul(w, n)",
        {**X, "w": "float[8]"},
        "rms_norm(x, w) + 1e-06)",
    ),
}


ROTARY = (
    "zero = Constant<value = int64[1] {0}> () half = Constant<value = int64[1] {4}> ()"
    "end = Constant<value = int64[1] {9223372036854775807}> ()"
    "axis = Constant<value = int64[1] {2}> ()"
    "low = Slice(x, zero, half, axis) high = Slice(x, half, end, axis)"
    "minus = Neg(high) t = Concat<axis = -1>(minus, low) a = Mul(x, cos)"
    "c = Mul(t, sin) y = Add(a, c)"
)
ANGLES = {**X, "cos": "float[3,8]", "sin": "float[3,8]"}
FIRES["rotary embedding"] = (ROTARY, ANGLES, "apply_rotary(x, cos, sin)")


GROUPS = (
    "ones = Constant<value = float[3] {1, 1, 1}> () "
    "zeros = Constant<value = float[3] {0, 0, 0}> () "
    "flat = Constant<value = int64[3] {0, 3, -1}> () "
    "full = Constant<value = int64[4] {2, 6, 4, 4}> () "
    "axes = Constant<value = int64[2] {1, 2}> () r = Reshape(x, flat)"
    "i = InstanceNormalization<epsilon = 1e-4>(r, ones, zeros) n = Reshape(i, full)"
    "w1 = Unsqueeze(w, axes) b1 = Unsqueeze(b, axes) m = Mul(n, w1) y = Add(m, b1)"
)
IMAGES = {"x": "float[2,6,4,4]", "w": "float[6]", "b": "float[6]"}
CHANNELS = (
    "ones = Constant<value = float[6] {1, 1, 1, 1, 1, 1}> () "
    "zeros = Constant<value = float[6] {0, 0, 0, 0, 0, 0}> () "
    "axes = Constant<value = int64[2] {1, 2}> () "
    "n = InstanceNormalization<epsilon = 1e-4>(x, ones, zeros)"
    "w1 = Unsqueeze(w, axes) b1 = Unsqueeze(b, axes) m = Mul(n, w1) y = Add(m, b1)"
)
FIRES["instance norm"] = (CHANNELS, IMAGES, "instance_norm(x, w, b) + 0.0001)")
FIRES["group norm"] = (GROUPS, IMAGES, "group_norm(x, 3, w, b) + 0.0001)")


@pytest.mark.parametrize("case", FIRES, ids=str)
def test_fires(case, tmp_path):
    body, inputs, code = FIRES[case]
    call, _, own = code.partition(" +")  # a number in the helper's definition
    assert call in check(body, inputs, tmp_path, inputs["x"] + " y", opset=17)
    (source,) = (path.read_text() for path in tmp_path.glob("*.py"))
    assert not own or f"+{own}" in source.partition("@jax.jit")[0]


LOOKALIKES = {
    "another constant": (
        ERF.replace("1.4142135", "1.414") + HALF + "d = Div(x, r) e = Erf(d)"
        "a = Add(e, o) m = Mul(x, a) y = Mul(m, h)",
        X,
        "gelu",
    ),
    "another value": (
        ERF
        + HALF
        + "d = Div(z, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) y = Mul(m,h)",
        {**X, "z": "float[2,3,8]"},
        "gelu",
    ),
    "a broadcast value": (
        "s = Sigmoid(z) y = Mul(s, x)",
        {**X, "z": "float[8]"},
        "silu",
    ),
    "the mean of another axis": (
        TWO + "q = Pow(x, two) v = ReduceMean<axes = [1]>(q) a = Add(v, eps)"
        "s = Sqrt(a) n = Div(x, s) y = Mul(w, n)",
        {**X, "w": "float[8]"},
        "rms_norm",
    ),
    "a mean without its axis": (
        "k = Constant<value = int64[1] {0}> () "
        + TWO
        + "q = Pow(x, two) v = ReduceMean<axes = [-1], keepdims = 0>(q)"
        "e = Unsqueeze(v, k) a = Add(e, eps) s = Sqrt(a) n = Div(x, s) y = Mul(w, n)",
        {"x": "float[3,3]", "w": "float[3]"},
        "rms_norm",
    ),
    "a low threshold": (
        "t = Constant<value = float {2.0}> () g = Greater(x, t) s = Softplus(x)"
        "y = Where(g, x, s)",
        X,
        "return softplus(x)",
    ),
}


LOOKALIKES["halves of another axis"] = (
    ROTARY.replace("axis = Constant<value = int64[1] {2}> ()", "")
    .replace("half, axis", "half, zero")
    .replace("end, axis", "end, zero")
    .replace("axis = -1", "axis = 0"),
    {"x": "float[8,3,2]", "cos": "float[2]", "sin": "float[2]"},
    "apply_rotary",
)
LOOKALIKES["unequal halves"] = (
    ROTARY.replace("{4}", "{3}"),
    ANGLES,
    "apply_rotary",
)


LOOKALIKES["groups of pixels"] = (
    GROUPS.replace("{0, 3, -1}", "{1, 3, -1}"),
    IMAGES,
    "group_norm(x, 3",
)


LOOKALIKES["channels that are scaled already"] = (
    CHANNELS.replace("{1, 1, 1, 1, 1, 1}", "{1, 1, 1, 2, 1, 1}"),
    IMAGES,
    "instance_norm(x, w, b",
)
LOOKALIKES["a weight for each row"] = (
    CHANNELS.replace("{1, 2}", "{0, 2}"),
    {**IMAGES, "x": "float[2,6,6,4]"},
    "instance_norm(x, w, b",
)


@pytest.mark.parametrize("case", LOOKALIKES, ids=str)
def test_does_not_fire(case, tmp_path):
    body, inputs, code = LOOKALIKES[case]
    output = inputs["x"] + " y"
    assert code not in check(body, inputs, tmp_path, output, opset=17)


def test_a_value_with_other_readers_stays(tmp_path):
    body = "s = Sigmoid(x) y = Mul(s, x)"
    model = parse(body, X, "float[2,3,8] y, float[2,3,8] s")
    code = compile_model(model, tmp_path).read_text()
    assert "silu" not in code
    assert " sigmoid(x)" in code


# ---- attention -----------------------------------------------------------------------

Q = {"q": "float[2,5,4,8]", "k": "float[2,6,4,8]", "v": "float[2,6,4,8]"}
SPLIT = "qt = Transpose<perm = [0,2,1,3]>(q) vt = Transpose<perm = [0,2,1,3]>(v) "
KEYS = "kt = Transpose<perm = [0,2,3,1]>(k) "
SCALE = "c = Constant<value = float {0.5946036}> () "  # 8 ** -0.25
END = "p = Softmax<axis = -1>(s) z = MatMul(p, vt) y = Transpose<perm = [0,2,1,3]>(z)"
PLAIN = SPLIT + KEYS + SCALE + "a = Mul(qt, c) b = Mul(kt, c) "
ZERO = "zero = Constant<value = float {0.0}> () "
LOWEST = ZERO + "low = Constant<value = float {-3.4028235e38}> () "
INFINITE = ZERO + "low = Constant<value = float {-inf}> () "
GUARD = (
    "o = Constant<value = float {0.0}> () p0 = Softmax<axis = -1>(s) n = IsNaN(p0)"
    "p = Where(n, o, p0) z = MatMul(p, vt) y = Transpose<perm = [0,2,1,3]>(z)"
)
OUT = "float[2,5,4,8] y"


def attention(body, folder, **more):
    return check(body, {**Q, **more}, folder, OUT)


def test_attention(tmp_path):
    code = attention(PLAIN + "s = MatMul(a, b) " + END, tmp_path)
    assert "return jax.nn.dot_product_attention(q, k, v)" in code


def test_attention_with_its_scale_outside(tmp_path):
    scale = "c = Constant<value = float {3.0}> () "
    body = SPLIT + KEYS + scale + "m = MatMul(qt, kt) s = Div(m, c) " + END
    assert "scale=0.33333334" in attention(body, tmp_path)


def test_attention_with_a_bias(tmp_path):
    body = PLAIN + "m = MatMul(a, b) s = Add(m, bias) " + END
    code = attention(body, tmp_path, bias="float[1,4,5,6]")
    assert "jax.nn.dot_product_attention(q, k, v, bias=bias)" in code


def test_attention_with_a_mask(tmp_path):
    body = (
        PLAIN
        + LOWEST
        + ("m = MatMul(a, b) w = Where(mask, zero, low) s = Add(m, w) " + GUARD)
    )
    code = attention(body, tmp_path, mask="bool[2,1,5,6]")
    assert "jax.nn.dot_product_attention(q, k, v, mask=mask)" in code


HIDDEN = (
    PLAIN
    + INFINITE
    + ("m = MatMul(a, b) w = Where(mask, zero, low) s = Add(m, w) " + GUARD)
)


@pytest.mark.parametrize("shape", [(2, 1, 5, 6), (2, 4, 5, 6), (2, 1, 1, 6), (5, 6)])
def test_attention_where_all_keys_may_be_hidden(shape, tmp_path):
    """A query that sees none has a softmax of NaN, of which the guard makes 0."""
    mask = RNG.random(shape) > 0.5
    mask[..., 0, :] = False
    mask[:1] = False
    dims = ",".join(map(str, shape))
    model = parse(HIDDEN, {**Q, "mask": f"bool[{dims}]"}, OUT, 20)
    code = check_model(model, [*values(Q), mask], tmp_path)
    assert "masked_attention(q, k, v, mask" in code


def test_attention_to_all_in_front(tmp_path):
    """There each query sees a key."""
    body = f"""
      from = Constant<value = int64 {{0}}> () by = Constant<value = int64 {{1}}> ()
      t = Constant<value = int64 {{9}}> () s0 = Constant<value = int64 {{10}}> ()
      a1 = Constant<value = int64[1] {{1}}> () a0 = Constant<value = int64[1] {{0}}> ()
      i = Range(from, t, by) j = Range(from, s0, by)
      rows = Unsqueeze(i, a1) columns = Unsqueeze(j, a0)
      mask = LessOrEqual(columns, rows) {HIDDEN}"""
    long = {k: v.replace("5", "9").replace("6", "10") for k, v in Q.items()}
    code = check(body, long, tmp_path, OUT.replace("5", "9"))
    assert "jax.nn.dot_product_attention(q, k, v, is_causal=True)" in code


def test_attention_keeps_a_guard_that_it_does_not_know(tmp_path):
    """Any bias may hide all keys."""
    body = PLAIN + "m = MatMul(a, b) s = Add(m, bias) " + GUARD
    model = parse(body, {**Q, "bias": "float[2,1,5,6]"}, OUT, 20)
    bias = np.where(RNG.random((2, 1, 5, 6)) > 0.5, 0, -np.inf).astype(np.float32)
    bias[0, 0, 2] = -np.inf
    code = check_model(model, [*values(Q), bias], tmp_path)
    assert "dot_product" not in code


def test_attention_with_shared_keys(tmp_path):
    """Two query heads for each key, as repeat_kv of transformers writes it."""
    few = {"k": "float[2,6,2,8]", "v": "float[2,6,2,8]"}
    repeat = (
        "two = Constant<value = int64[1] {2}> () "
        "wide = Constant<value = int64[5] {2, 2, 2, 6, 8}> () "
        "four = Constant<value = int64[4] {2, 4, 6, 8}> () "
        "k1 = Transpose<perm = [0,2,1,3]>(k) k2 = Unsqueeze(k1, two)"
        "k3 = Expand(k2, wide) k4 = Reshape(k3, four)"
        "v1 = Transpose<perm = [0,2,1,3]>(v) v2 = Unsqueeze(v1, two)"
        "v3 = Expand(v2, wide) vt = Reshape(v3, four)"
        "qt = Transpose<perm = [0,2,1,3]>(q) kt = Transpose<perm = [0,1,3,2]>(k4) "
    )
    code = attention(repeat + "s = MatMul(qt, kt) " + END, tmp_path, **few)
    assert "jax.nn.dot_product_attention(q, k, v, scale=1.0)" in code


def test_attention_over_other_axes_is_no_attention(tmp_path):
    body = PLAIN + "s = MatMul(a, b) " + END.replace("axis = -1", "axis = 2")
    assert "dot_product" not in attention(body, tmp_path)


# ---- numbers that are not known ------------------------------------------------------

MASK = {**Q, "mask": "bool[2,1,5,6]"}
HALF_NORM = (
    TWO + "f = Cast<to = 1>(x) q = Pow(f, two) v = ReduceMean<axes = [-1]>(q)"
    "a = Add(v, eps) s = Sqrt(a) r = Reciprocal(s) n = Mul(f, r) h = Cast<to = 10>(n)"
    "y = Mul(w, h)"
)
#: a body for each row of the table that reads numbers
ROWS = {name: (body, inputs) for name, (body, inputs, _) in FIRES.items()}
ROWS["rms norm in halves"] = (HALF_NORM, {"x": "float16[2,3,8]", "w": "float16[8]"})
ROWS["attention"] = (PLAIN + "s = MatMul(a, b) " + END, Q)
ROWS["attention with a mask"] = (
    f"{PLAIN}{LOWEST}m = MatMul(a, b) w = Where(mask, zero, low) s = Add(m, w) {GUARD}",
    MASK,
)


def constants(model):
    return [
        node
        for node in model.graph.node
        if node.op_type == "Constant" and node.attribute[0].t.data_type == 1
    ]


def unknown(model, constant, name, kind):
    """The model with a constant as a parameter or an input of that name; returns what
    the input is called with."""
    value = numpy_helper.to_array(constant.attribute[0].t)
    model.graph.node.remove(constant)
    for node in model.graph.node:
        for i, read in enumerate(node.input):
            if read == constant.output[0]:
                node.input[i] = name
    if kind == "parameter":
        model.graph.initializer.append(numpy_helper.from_array(value, name))
        return []
    model.graph.input.append(helper.make_tensor_value_info(name, 1, value.shape))
    return [value]


def arguments(inputs):
    made = values(inputs)
    for i, spec in enumerate(inputs.values()):
        if spec.startswith("float16"):
            made[i] = made[i].astype(np.float16)
    return made


NUMBERS = [
    (row, i)
    for row, (body, inputs) in ROWS.items()
    for i in range(len(constants(parse(body, inputs, "float y"))))
]


@pytest.mark.parametrize("kind", ["parameter", "input"])
@pytest.mark.parametrize(("row", "i"), NUMBERS)
def test_numbers_that_are_not_known(row, i, kind, tmp_path):
    """Each number of each row in turn: what is not known is not made up."""
    body, inputs = ROWS[row]
    first = next(iter(inputs))
    model = parse(body, inputs, f"{inputs[first]} y", opset=17)
    more = unknown(model, constants(model)[i], "layers.0.norm.eps", kind)
    code = check_model(model, arguments(inputs) + more, tmp_path)
    assert "nan" not in code.replace("isnan", "")


@pytest.mark.parametrize("name", ["eps", "layers.0.norm.eps", "onnx::Add_12"])
@pytest.mark.parametrize("row", ["rms norm", "layer norm"])
def test_an_epsilon_for_each_channel(row, name, tmp_path):
    body, inputs = ROWS[row]
    body = body.replace("ReduceMean<axes = [-1]>(q)", "ReduceMean<axes = [2]>(q)")
    model = parse(body, inputs, "float[2,3,8] y", opset=17)
    constant = next(n for n in constants(model) if n.output[0] == "eps")
    epsilons = np.linspace(1e-3, 1, 8, dtype=np.float32)
    constant.attribute[0].t.CopyFrom(numpy_helper.from_array(epsilons))
    unknown(model, constant, name, "parameter")
    assert "norm(" not in check_model(model, values(inputs), tmp_path)


def test_a_computed_epsilon(tmp_path):
    body, inputs = ROWS["rms norm"]
    body = body.replace("eps = Constant<value = float {1e-6}> ()", "eps = Exp(e)")
    code = check(body, {**inputs, "e": "float[1]"}, tmp_path, opset=17)
    assert "jnp.exp(e)" in code


def test_internal_operators_are_in_no_file(tmp_path):
    text = (
        '<ir_version: 8, opset_import: ["" : 20, "oxide.internal" : 1]>'
        "g (float[2] x) => (float[2] y)"
        "{ y = oxide.internal.DotProductAttention<scale = 1.0>(x, x, x) }"
    )
    with pytest.raises(Exception, match="OX0301"):
        compile_model(onnx.parser.parse_model(text), tmp_path)


# ---- products with a transposed weight -----------------------------------------------

TURN = "t = Transpose<perm = [1, 0]>(w) "
W = 'params["w"]'


def product_model(body, inputs=X, shape=(6, 8)):
    """`w` is a parameter of this shape unless it is an input."""
    model = parse(body, inputs, "float[a,b,c] y", opset=17)
    if "w" not in inputs:
        array = RNG.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, "w"))
    return model


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (TURN + "y = MatMul(x, t)", f"return jnp.inner(x, {W})"),
        ("t = Transpose(w) y = MatMul(x, t)", f"return jnp.inner(x, {W})"),
        (
            TURN + "m = MatMul(x, t) n = Neg(x) o = MatMul(n, t) y = Add(m, o)",
            f"jnp.inner(-x, {W})",
        ),
    ],
)
def test_inner(body, code, tmp_path):
    forward = check_model(product_model(body), values(X), tmp_path)
    assert code in forward
    assert ".T" not in forward


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        (TURN + "y = MatMul(x, t)", {**X, "w": "float[6,8]"}),
        ("n = Neg(w) t = Transpose<perm = [1, 0]>(n) y = MatMul(x, t)", X),
        ("t = Transpose<perm = [0, 2, 1]>(x) y = MatMul(w, t)", X),
        (TURN + "v = MatMul(t, w) y = MatMul(x, v)", X),
    ],
)
def test_no_inner(body, inputs, tmp_path):
    forward = check_model(product_model(body, inputs), values(inputs), tmp_path)
    assert "jnp.inner" not in forward


def test_one_row_waits_for_no_copy_of_the_weight(tmp_path):
    """XLA on a CPU transposes the weight for x @ weight.T."""
    inputs = {"x": "float[1,64]", "z": "float[96]"}
    model = product_model(TURN + "m = MatMul(x, t) y = Add(m, z)", inputs, (96, 64))
    model.graph.output[0].type.tensor_type.shape.dim.pop()
    module = load_module(compile_model(model, tmp_path))
    params, arrays = module.load_params(), values(inputs)

    def transposes(f):
        text = jax.jit(f).lower(params, *arrays).compile().as_text()
        return "transpose" in text[text.index("ENTRY") :]

    assert transposes(lambda params, x, z: x @ params["w"].T + z)
    assert not transposes(module.forward)
