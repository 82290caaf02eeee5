"""A number that all calls of a helper have in common is in its definition alone."""

import numpy as np
from graphs import check_text

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4)).astype(np.float32)
W = RNG.standard_normal(4).astype(np.float32)


def two_norms(first, second, attributes=""):
    return (
        "g (float[2,4] x, float[4] w) => (float[2,4] y) {"
        f"a = LayerNormalization<epsilon = {first}{attributes}>(x, w)"
        f"b = Tanh(a) y = LayerNormalization<epsilon = {second}>(b, w) }}"
    )


def test_what_all_calls_give_is_in_the_definition():
    check_text(
        two_norms("1e-6", "1e-6"),
        [X, W],
        contains=["keepdims=True) + 1e-06)", "layer_norm(x, w)"],
        lacks=["eps"],
    )


def test_calls_that_differ_say_so():
    check_text(
        two_norms("1e-6", "1e-2"),
        [X, W],
        contains=["(x, weight, eps):", "x, w, eps=1e-06)", ", w, eps=0.01)"],
    )


def test_a_call_that_needs_the_default_keeps_it():
    check_text(
        two_norms("1e-6", "1e-5"),
        [X, W],
        contains=["eps=1e-05):", "x, w, eps=1e-06)"],
    )


def test_what_a_helper_hands_on_is_where_it_is_needed():
    """rms_norm calls inverse_rms."""
    check_text(
        "g (float[2,4] x, float[4] w) => (float[2,4] y) {"
        "y = RMSNormalization<epsilon = 1e-6>(x, w) }",
        [X, W],
        [X / np.sqrt(np.mean(X * X, -1, keepdims=True) + 1e-6) * W],
        opset=23,
        contains=[
            "def inverse_rms(x):",
            "keepdims=True) + 1e-06)",
            "def rms_norm(x, weight):",
            "scale = inverse_rms(x)\n",
        ],
        lacks=["eps"],
    )


def test_an_argument_in_the_middle_goes_too():
    check_text(
        "g (float[1,4,2,3] x) => (float[1,4,2,3] y) {"
        "a = LRN<size = 3, alpha = 0.5, beta = 0.25>(x)"
        "y = LRN<size = 3, alpha = 0.5>(a) }",
        [RNG.standard_normal((1, 4, 2, 3)).astype(np.float32)],
        contains=["(x, size, beta=0.75):", "(1.0 + 0.5 / size", "x, 3, beta=0.25)"],
        lacks=["3, alpha=0.5"],
    )
