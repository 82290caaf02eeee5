"""What is reduced over is the same where a view only turns or adds axes."""

import numpy as np
import pytest
from graphs import check_text, compile_text

X = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
HEAD = "g (float[2,3,4,5] x) => (float[2,A] y) "
FLAT = "s = Constant<value = int64[2] {0, -1}> () y = Reshape(m, s) }"
LAST = "a = Constant<value = int64[2] {2, 3}> ()"
TURNED = "{ t = Transpose<perm = [0, 3, 1, 2]>(x)"


@pytest.mark.parametrize(
    ("op", "code"),
    [
        ("ReduceMean", "jnp.mean(x, axis=(1, 2))"),
        ("ReduceMax", "jnp.max(x, axis=(1, 2))"),
        ("ReduceSum", "jnp.sum(x, axis=(1, 2))"),
    ],
)
@pytest.mark.parametrize("kept", [0, 1])
def test_of_a_transpose(op, code, kept):
    text = f"{HEAD}{TURNED} {LAST} m = {op}<keepdims = {kept}>(t, a) {FLAT}"
    check_text(text, [X], contains=[code], lacks=["transpose"])


def test_global_pool_of_a_transpose():
    text = f"{HEAD}{TURNED} m = GlobalAveragePool(t) y = Flatten(m) }}"
    check_text(text, [X], contains=["jnp.mean(x, axis=(1, 2))"], lacks=["transpose"])


def test_an_axis_of_size_1_does_not_count():
    """PyTorch's one-dimensional pooling is a two-dimensional one."""
    text = (
        "g (float[5,6,4] x) => (float[5,4] y) { t = Transpose<perm = [0, 2, 1]>(x)"
        "i = Constant<value = int64[1] {2}> () u = Unsqueeze(t, i)"
        f"{LAST} m = ReduceMean(u, a) q = Squeeze(m, i) {FLAT}"
    )
    x = X.reshape(5, 6, 4)
    check_text(text, [x], contains=["return jnp.mean(x, axis=1)"])


def test_convolutions_have_space_last():
    """There is no transpose, and so a product with ones on a CPU."""
    source = compile_text(f"{HEAD}{{ {LAST} m = ReduceMean(x, a) {FLAT}")
    assert "return global_mean(x)" in source
    text = f"{HEAD}{{ m = GlobalAveragePool(x) y = Flatten(m) }}"
    assert "global_mean(x, keepdims=True)" in compile_text(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # what stays is not in the order of x
        (
            "g (float[2,3,4,5] x) => (float[5,3] y)"
            f"{{ t = Transpose<perm = [3, 1, 0, 2]>(x) {LAST}"
            "y = ReduceMean<keepdims = 0>(t, a) }",
            "global_mean(x.transpose(3, 1, 0, 2))",
        ),
        # the axes that are kept are at other places
        (
            f"g (float[2,3,4,5] x) => (float[2,5,1,1] y) {TURNED} {LAST}"
            "y = ReduceMean(t, a) }",
            "global_mean(x.transpose(0, 3, 1, 2), keepdims=True)",
        ),
        # somebody else needs the transpose
        (
            f"g (float[2,3,4,5] x) => (float[2,5] y, float[2,5,3,4] t) {TURNED} {LAST}"
            "y = ReduceMean<keepdims = 0>(t, a) }",
            "global_mean(t)",
        ),
    ],
    ids=["order", "kept", "read"],
)
def test_what_needs_the_transpose(text, code):
    check_text(text, [X], contains=["x.transpose(", code])


def test_an_axis_that_stays_was_added():
    check_text(
        "g (float[2,3,4,5] x) => (float[2,1,3] y)"
        "{ i = Constant<value = int64[1] {1}> () u = Unsqueeze(x, i)"
        "a = Constant<value = int64[2] {3, 4}> ()"
        "y = ReduceMean<keepdims = 0>(u, a) }",
        [X],
        contains=["x[:, None]"],
    )


def test_a_mean_over_the_added_axis_alone():
    check_text(
        "g (float[2,3,4,5] x) => (float[2,3,4,5] y)"
        "{ i = Constant<value = int64[1] {1}> () u = Unsqueeze(x, i)"
        "y = ReduceMean<keepdims = 0>(u, i) }",
        [X],
    )
