"""Helpers are only as general as a module uses them."""

import numpy as np
from graphs import check_text, compile_text

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 8, 8)).astype(np.float32)
W = RNG.standard_normal((4, 4, 3, 3)).astype(np.float32)
B = RNG.standard_normal(4).astype(np.float32)
IMAGE = "float[2,4,8,8] x, float[4,4,3,3] w"


def convolutions(*nodes, inputs=IMAGE):
    return f"g ({inputs}) => (float[N,C,H,W] y) {{ {' '.join(nodes)} }}"


def function(source, name):
    """The lines of one function."""
    lines = source.split(f"\ndef {name}(")[1]
    return f"def {name}(" + lines.split("\n\n\n")[0]


def test_what_no_call_gives_is_not_there():
    source = check_text(convolutions("y = Conv(x, w)"), [X, W])
    assert function(source, "conv") == (
        "def conv(x, w):\n"
        '    """Convolution of x (N, C, ...) with kernel w (..., C, M)."""\n'
        "    n = x.ndim - 2\n"
        '    axes = "XYZUVW"[:n]\n'
        "    return jax.lax.conv_general_dilated(\n"
        "        x,\n"
        "        w,\n"
        "        (1,) * n,\n"
        "        [(0, 0)] * n,\n"
        '        dimension_numbers=(f"NC{axes}", f"{axes}IO", f"NC{axes}"),\n'
        "    )"
    )
    assert "per_axis" not in source


def test_what_some_call_gives_stays():
    source = check_text(
        convolutions(
            "a = Conv<pads = [1, 1, 1, 1]>(x, w)",
            "y = Conv<strides = [2, 2]>(a, w, b)",
            inputs=IMAGE + ", float[4] b",
        ),
        [X, W, B],
        contains=["def conv(x, w, b=None, stride=1, padding=0):"],
        rtol=1e-4,
        atol=1e-4,
    )
    body = function(source, "conv")
    assert "y if b is None else" in body
    assert "(stride,) * n," in body and "[(padding, padding)] * n," in body
    assert "isinstance" not in source and "may" not in body


def test_sizes_by_axis_need_the_general_form():
    source = check_text(
        convolutions(
            "a = Conv<strides = [2, 1], pads = [1, 1, 1, 1]>(x, w)",
            "y = Conv<pads = [1, 1, 1, 1]>(a, w)",
        ),
        [X, W],
        contains=["def per_axis(", "stride=(2, 1)"],
        rtol=1e-4,
        atol=1e-4,
    )
    body = function(source, "conv")
    assert "per_axis(stride, n)" in body
    assert "    stride may have one int for each axis.\n" in body
    assert "groups" not in body


def test_what_all_calls_give_has_no_default():
    text = (
        "g (float[2,4] x) => (float[2,4] y)"
        " <float[4] w = {1, 2, 3, 4}, float[4] b = {1, 2, 3, 4}> {"
        " y = LayerNormalization(x, w, b) }"
    )
    source = check_text(text, [X[0, 0, :2, :4]])
    body = function(source, "layer_norm")
    assert body.startswith("def layer_norm(x, weight, bias):\n")
    assert "None" not in body and "jnp.mean(z, -1, keepdims=True)" in body
    assert "    y = z * weight.astype(z.dtype)" in body


def test_what_may_be_none_is_asked_for():
    """An input of the model is no parameter: nobody says that it is an array."""
    source = compile_text(
        "g (float[2,4] x, float[4] w, float[4] b) => (float[2,4] y) {"
        " y = LayerNormalization(x, w, b) }"
    )
    assert "def layer_norm(x, weight, bias):" in source
    assert "if bias is None else" in source


def test_no_bias_is_no_sentence_about_it():
    source = compile_text(
        "g (float[2,4] x, float[4] w) => (float[2,4] y) {"
        " y = LayerNormalization(x, w) }"
    )
    assert '"""Normalizes x over its last dimension, scales it."""' in source


def test_what_helpers_give_to_helpers_counts():
    """pointwise_conv calls conv, without bias and with its own stride."""
    text = "g (float[2,4,8,8] x, float[4,4,1,1] w) => (float[N,C,H,W] y)"
    w = W[:, :, :1, :1]
    source = check_text(text + "{ y = Conv(x, w) }", [X, w])
    assert "default=lambda x, w: conv(x, as_kernel(w))" in source
    assert "stride" not in source and "jax.lax.slice" not in source
    source = check_text(text + "{ y = Conv<strides = [2, 2]>(x, w) }", [X, w])
    assert "default=lambda x, w: conv(x, as_kernel(w), stride)" in source
    assert "def conv(x, w, stride):" in source
