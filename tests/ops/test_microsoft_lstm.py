"""LSTM with weights of 8 bits against onnxruntime, which finds the same integers: what
is left is the rounding of its sigmoid and tanh."""

import functools

import numpy as np
import ort
import pytest
from harness import compile_fails

DOMAIN = "com.microsoft"
OP = "DynamicQuantizeLSTM"
OUTPUTS = ["Y", "Y_h", "Y_c"]
HIDDEN = 8
check = functools.partial(ort.check, OP, domain=DOMAIN, outputs=OUTPUTS)


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def weights(size, directions, columns, dtype, seed):
    """Integers (D, size, 4H), their scales and zero points."""
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    q = rng.integers(info.min, info.max, (directions, size, 4 * HIDDEN), dtype)
    q = ort.without_overflow(q)
    shape = (directions, 4 * HIDDEN) if columns else (directions,)
    scale = rng.uniform(0.002, 0.004, shape).astype(np.float32)
    middle = 0 if dtype == np.int8 else 128
    return q, scale, np.full(shape, middle, dtype)


def inputs(directions=1, columns=False, dtype=np.int8, batch=3):
    w, w_scale, w_zero = weights(5, directions, columns, dtype, 1)
    r, r_scale, r_zero = weights(HIDDEN, directions, columns, dtype, 2)
    return {
        "X": rand(4, batch, 5),
        "W": w,
        "R": r,
        "B": 0.1 * rand(directions, 8 * HIDDEN, seed=3),
        "sequence_lens": None,
        "initial_h": None,
        "initial_c": None,
        "P": None,
        "W_scale": w_scale,
        "W_zero_point": w_zero,
        "R_scale": r_scale,
        "R_zero_point": r_zero,
    }


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_directions(direction, columns, dtype):
    given = inputs(1 + (direction == "bidirectional"), columns, dtype)
    check(given, {"hidden_size": HIDDEN, "direction": direction})


def test_states():
    given = inputs() | {"B": None}
    given |= {"initial_h": 0.5 * rand(1, 3, HIDDEN, seed=4)}
    given |= {"initial_c": rand(1, 3, HIDDEN, seed=5)}
    given |= {"P": 0.2 * rand(1, 3 * HIDDEN, seed=6)}
    check(given, {"hidden_size": HIDDEN})


def test_attributes():
    attrs = {"clip": 0.3, "activations": ["Sigmoid", "Relu", "Tanh"]}
    check(inputs(), {"hidden_size": HIDDEN, **attrs})
    check(inputs(), {"hidden_size": HIDDEN, "input_forget": 1})


def test_lengths():
    """The range of h is that of all sequences: one that has ended counts with its last
    state, where onnxruntime has zeros, which are within the range, too."""
    given = inputs() | {"sequence_lens": np.array([4, 2, 3], np.int32)}
    check(given, {"hidden_size": HIDDEN})


def test_code():
    given = inputs()
    names = [k for k in given if k not in ("X", "sequence_lens")]
    names = [k for k in names if given[k] is not None]
    text = check(given, {"hidden_size": HIDDEN}, params=names)
    assert 'w_scale=params["W_scale"]' in text
    assert "w_zero=" not in text.split("def forward")[1].split("def ")[0]


def test_errors():
    fails = functools.partial(
        compile_fails, OP, domain=DOMAIN, opset=1, outputs=OUTPUTS
    )
    attrs = {"hidden_size": HIDDEN}
    given = inputs()
    turned = given | {"W": given["W"].transpose(0, 2, 1).copy()}
    fails(turned, attrs, message="input 1 does not fit along axis 2")
    short = given | {"R_scale": given["R_scale"][:0]}
    fails(short, attrs, message="input 10 does not fit along axis 0")
