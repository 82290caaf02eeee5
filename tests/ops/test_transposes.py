"""Transposes that undo each other meet, over what stands between them: where that
leaves fewer of them, and nowhere else.  Compared with onnxruntime."""

import pytest
from test_fusion import ROTARY, check

X = {"x": "float[2,3,4,8]"}
Y = "float[2,3,4,8] y"
SWAP = "Transpose<perm = [0, 2, 1, 3]>"
ONE = "one = Constant<value = int64[1] {1}> () "
HALF = "h = Constant<value = float {0.5}> () "
# Of x turned to (batch, heads, seq, dim), as exporters write it.
TURNED = (
    ROTARY.replace("{2}", "{3}")
    .replace("(x,", "(q,")
    .replace("cos)", "c4)")
    .replace("sin)", "s4)")
    .replace("c = ", "e = ")
    .replace("(a, c)", "(a, e)")
    .replace("y = ", "r = ")
)
ROTATED = (
    ONE + f"q = {SWAP}(x) c4 = Unsqueeze(cos, one) s4 = Unsqueeze(sin, one)" + TURNED
)

MEET = {
    "elementwise": (HALF + f"a = {SWAP}(x) b = Relu(a) c = Mul(b, h) y = {SWAP}(c)", X),
    "a row that is broadcast": (
        f"a = {SWAP}(x) b = Add(a, w) y = {SWAP}(b)",
        {**X, "w": "float[8]"},
    ),
    "two transposed operands": (
        f"a = {SWAP}(x) b = {SWAP}(w) c = Sub(a, b) y = {SWAP}(c)",
        {**X, "w": "float[2,3,4,8]"},
    ),
    "rotary embedding": (
        ROTATED + f" y = {SWAP}(r)",
        {**X, "cos": "float[2,3,8]", "sin": "float[2,3,8]"},
    ),
    "other axes": (
        "a = Transpose<perm = [3, 0, 1, 2]>(x) b = Sigmoid(a)"
        "y = Transpose<perm = [1, 2, 3, 0]>(b)",
        X,
    ),
}

STAY = {
    "an operand would need a transpose": (
        f"a = {SWAP}(x) b = Add(a, w) y = {SWAP}(b)",
        {**X, "w": "float[2,4,3,8]"},
    ),
    "axes that would overtake each other": (
        ONE + f"a = {SWAP}(x) u = Unsqueeze(w, one) b = Squeeze(u, one) c = Add(a, b)"
        f"y = {SWAP}(c)",
        {**X, "w": "float[4,3,8]"},
    ),
    "another reader": (
        f"a = {SWAP}(x) b = Relu(a) c = {SWAP}(b) s = ReduceSum<keepdims = 0>(b)"
        "y = Add(c, s)",
        X,
    ),
    "another order": (
        f"a = Transpose<perm = [0, 2, 3, 1]>(x) b = Relu(a) c = {SWAP}(b)"
        "y = Transpose<perm = [0, 2, 1, 3]>(c)",
        {"x": "float[2,8,3,4]"},
    ),
    "rows that are turned": (
        ROTATED.replace(SWAP, "Transpose<perm = [0, 2, 3, 1]>")
        + " y = Transpose<perm = [0, 3, 1, 2]>(r)",
        {"x": "float[2,8,3,4]", "cos": "float[2,4,8]", "sin": "float[2,4,8]"},
        "float[2,8,3,4] y",
    ),
}


def turns(code):
    return code.count("transpose(") + code.count("swapaxes(")


@pytest.mark.parametrize("case", MEET)
def test_they_meet(case, tmp_path):
    body, inputs = MEET[case]
    assert turns(check(body, inputs, tmp_path, Y)) == 0


def test_angles_lie_along_other_axes(tmp_path):
    body, inputs = MEET["rotary embedding"]
    code = check(body, inputs, tmp_path, Y)
    assert "apply_rotary(x, cos[:, :, None], sin[:, :, None])" in code


@pytest.mark.parametrize("case", STAY)
def test_they_stay(case, tmp_path):
    body, inputs, *output = STAY[case]
    assert turns(check(body, inputs, tmp_path, *output or [Y])) > 0
