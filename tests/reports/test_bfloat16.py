"""Models that were exported in float32, run with parameters in bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
import onnx.parser
import pytest
from harness import compile_model, load_module
from onnx import numpy_helper

import oxide_xla

HEADER = '<ir_version: 10, opset_import: ["": 21]> '
PERSISTENT = "pkg.torch.export.graph_signature.InputSpec.persistent"


def compiled(text, **tensors):
    """The generated module of a model with these initializers, and its weights."""
    model = onnx.parser.parse_model(HEADER + text)
    for name, value in tensors.items():
        array = np.asarray(value, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return oxide_xla.compile(model)


def run(model, *inputs, buffers=()):
    """The result with all but the buffers in bfloat16, without implicit promotion."""
    params = {
        k: v if k in buffers else jnp.asarray(v, jnp.bfloat16)
        for k, v in model.params.items()
    }
    with jax.numpy_dtype_promotion("strict"):
        return model.module.forward(params, *inputs)


def bf16(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.bfloat16)


# huggingface/transformers#24262: float32 cos and sin promote q and k of a half model.
ROTARY = """g (float[4, 8] x, int64[4] at) => (float[4, 8] y) {
    position = Cast <to = 1> (at)
    axes = Constant <value_ints = [1]> ()
    column = Unsqueeze (position, axes)
    angle = Mul (column, frequencies)
    cos = Cos (angle)
    q = MatMul (x, w)
    y = Mul (q, cos)
}"""


def test_a_float32_table_does_not_promote():
    frequencies = 10000.0 ** (-np.arange(8) / 8)
    model = compiled(ROTARY, frequencies=frequencies, w=np.eye(8))
    x, at = bf16((4, 8)), np.array([0, 1, 700, 2000])
    assert run(model, x, at).dtype == jnp.bfloat16


# huggingface/transformers#29285: rounding inv_freq loses the angles of late positions.
def test_a_buffer_keeps_its_type(tmp_path):
    model = onnx.parser.parse_model(HEADER + ROTARY)
    frequencies = (10000.0 ** (-np.arange(8) / 8)).astype(np.float32)
    for name, array in (("frequencies", frequencies), ("w", np.eye(8, dtype="f4"))):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    info = model.graph.value_info.add(name="frequencies")
    info.metadata_props.add(key=PERSISTENT, value="False")
    module = load_module(compile_model(model, tmp_path))
    params = module.load_params(dtype=jnp.bfloat16)
    assert params["w"].dtype == jnp.bfloat16
    assert params["frequencies"].dtype == jnp.float32
    x, at = jnp.ones((4, 8), jnp.bfloat16), np.array([0, 1, 700, 2000])
    with jax.numpy_dtype_promotion("strict"):
        y = module.forward(params, x, at)
    assert y.dtype == jnp.bfloat16
    expected = np.cos(at[:, None].astype(np.float32) * frequencies)
    np.testing.assert_allclose(np.asarray(y, np.float32), expected, atol=2**-8)


# huggingface/transformers#17306: float32's lowest number is -inf in a smaller type, and
# the softmax of a row that is masked as a whole becomes NaN.
@pytest.mark.parametrize(
    "mask",
    [
        "z = Where (seen, zero, lowest)\n h = MatMul (x, w)\n s = Add (h, z)",
        "h = MatMul (x, w)\n s = Where (seen, h, lowest)",
    ],
)
def test_a_masked_row_stays_finite(mask):
    lowest = float(np.finfo(np.float32).min)
    model = compiled(
        f"""g (float[2, 4] x, bool[2, 4] seen) => (float[2, 4] y) {{
            zero = Constant <value_float = 0.0> ()
            lowest = Constant <value_float = {lowest!r}> ()
            {mask}
            y = Softmax (s)
        }}""",
        w=np.eye(4),
    )
    y = run(model, bf16((2, 4)), np.array([[True, True, False, False], [False] * 4]))
    assert y.dtype == jnp.bfloat16
    assert np.isfinite(np.asarray(y, np.float32)).all()
    np.testing.assert_allclose(np.asarray(y, np.float32)[1], 0.25, atol=2**-8)


# The zeros from which a recurrent layer starts are float32 in the file: the report said
# that an LSTM returned float32 in silence.
def test_a_float32_state_does_not_promote():
    model = compiled(
        """g (float[3, 2, 4] x) => (float[3, 1, 2, 5] y) {
            shape = Constant <value_ints = [1, 2, 5]> ()
            zeros = ConstantOfShape (shape)
            y = LSTM <hidden_size = 5> (x, w, r, , , zeros, zeros)
        }""",
        w=np.random.default_rng(1).normal(size=(1, 20, 4)),
        r=np.random.default_rng(2).normal(size=(1, 20, 5)),
    )
    assert run(model, bf16((3, 2, 4))).dtype == jnp.bfloat16


# JAX's own promote_types refuses bfloat16 and float32 in the strict mode: the report
# said that every layer norm failed there.
@pytest.mark.parametrize(
    "node",
    [
        "LayerNormalization (x, w, w)",
        "RMSNormalization (x, w)",
        "BatchNormalization (x, w, w, w, w)",
    ],
)
def test_norms_are_strict(node):
    text = f"g (float[2, 4] x) => (float[2, 4] y) {{ y = {node} }}"
    model = onnx.parser.parse_model(HEADER.replace("21", "23") + text)
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    model.graph.initializer.append(weight)
    assert run(oxide_xla.compile(model), bf16((2, 4))).dtype == jnp.bfloat16


# TorchScript writes the same buffer as a Constant without a name.
def test_a_constant_table_keeps_its_type(tmp_path):
    frequencies = (10000.0 ** (-np.arange(32) / 32)).astype(np.float32)
    values = ", ".join(repr(float(x)) for x in frequencies)
    table = f"{{ frequencies = Constant <value_floats = [{values}]> ()"
    text = (
        ROTARY.replace("{", table, 1).replace("8] x", "32] x").replace("8] y", "32] y")
    )
    model = onnx.parser.parse_model(HEADER + text)
    weight = numpy_helper.from_array(np.eye(32, dtype=np.float32), "w")
    model.graph.initializer.append(weight)
    params = load_module(compile_model(model, tmp_path)).load_params(dtype=jnp.bfloat16)
    types = {key: str(value.dtype) for key, value in params.items()}
    assert types == {"w": "bfloat16", "frequencies": "float32"}


# ViperEkura/AstrAI#57: probabilities rounded to bfloat16 tie, and a router that chooses
# among them takes another expert.
def test_probabilities_that_are_chosen_from_are_not_rounded():
    model = compiled(
        "g (float[n, 64] x) => (int64[n, 1] chosen, float[n, 1] y) <int64[1] k = {1}> {"
        "p = Softmax(x) v, chosen = TopK(p, k) y = Mul(v, w) }",
        w=[2.0],
    )
    x = jnp.zeros((1, 64), jnp.bfloat16).at[0, 40].set(2.0**-9)
    chosen, y = run(model, x)
    assert chosen == 40
    assert y.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "body",
    [
        "y, i = TopK(p, k)",
        "v, i = TopK(p, k) s = ReduceSum<keepdims = 1>(v) y = Div(v, s)",
        "v, i = TopK(p, k) y, j = TopK(p, k)",
    ],
)
def test_probabilities_that_are_results_have_the_type_of_the_model(body):
    model = compiled(
        f"g (float[n, 4] x) => (float[n, 2] y) <int64[1] k = {{2}}> {{"
        f"q = Mul(x, w) p = Softmax(q) {body} }}",
        w=[2.0],
    )
    assert run(model, bf16((3, 4))).dtype == jnp.bfloat16
