"""The helpers of onnxruntime's operators against numpy."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "python" / "lib"))

import moe as M
import norm as N
import packed_attention as A
import packed_weights as W
import quant as Q
import quant_rnn as R
import rnn

pytestmark = pytest.mark.filterwarnings("error")


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(actual), expected, tolerance, tolerance)


@pytest.mark.parametrize("sizes", [None, (8, 8, 4)])
def test_split_qkv(sizes):
    x = rand(2, 5, sum(sizes or (8, 8, 8)))
    q, k, v = A.split_qkv(x, 2, sizes)
    assert q.shape == k.shape == (2, 2, 5, 4)
    assert v.shape == (2, 2, 5, 2 if sizes else 4)
    close(q[1, 1, 3], x[1, 3, 4:8])
    close(k[0, 1, 2], x[0, 2, 12:16])
    close(v[0, 0, 4], x[0, 4, 16 : 16 + v.shape[3]])


def test_length_bias():
    ends = A.length_bias(jnp.array([2, 4]), 2, 4)
    assert ends.shape == (2, 1, 1, 4)
    close(ends[:, 0, 0], [[0, 0, -10000, -10000], [0, 0, 0, 0]])
    both = A.length_bias(jnp.array([2, 4, 1, 3]), 2, 4, fill=-1.0)
    close(both[:, 0, 0], [[-1, 0, -1, -1], [-1, -1, -1, 0]])


def test_append_to_cache():
    past, new = rand(2, 1, 4, 3), rand(2, 1, 2, 3, seed=1)
    append = jax.jit(A.append_to_cache, static_argnums=3)
    cache = append(past, new, jnp.array([1, 4]), 6)
    expected = np.zeros((2, 1, 6, 3), np.float32)
    expected[0, :, :1], expected[0, :, 1:3] = past[0, :, :1], new[0]
    expected[1, :, :4], expected[1, :, 4:] = past[1], new[1]
    close(cache, expected)


@pytest.mark.parametrize("sink", [0.0, [0.5, -1.0]])
def test_sinks(sink):
    q, k, v = rand(1, 2, 3, 4), rand(1, 2, 5, 4, seed=1), rand(1, 2, 5, 4, seed=2)
    bias = np.where(np.arange(5) < 4, 0, -np.inf).astype(np.float32)
    power = np.exp(q @ k.swapaxes(2, 3) / 2 + bias)
    rest = np.exp(np.broadcast_to(np.asarray(sink), 2))[:, None, None]
    weights = power / (power.sum(-1, keepdims=True) + rest)
    sink = jnp.asarray(sink, jnp.float32)
    close(A.sink_attention(q, k, v, bias, sink), weights @ v)
    hidden = A.sink_weights(jnp.zeros((1, 2, 1, 3)), -jnp.inf, sink)
    close(hidden, np.zeros((1, 2, 1, 3)))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_unpack_bits(bits):
    values = np.random.default_rng(0).integers(0, 2**bits, (3, 16))
    per_byte = 8 // bits
    parts = values.reshape(3, -1, per_byte) << (bits * np.arange(per_byte))
    packed = parts.sum(-1).astype(np.uint8)
    close(W.unpack_bits(packed, bits), values)


@pytest.mark.parametrize("zeros", ["none", "packed", "float"])
def test_unpack_blocks(zeros):
    """Three blocks of 16, of which 40 weights count."""
    values = np.random.default_rng(0).integers(0, 16, (2, 3, 16))
    packed = (values[..., ::2] | values[..., 1::2] << 4).astype(np.uint8)
    scales = np.abs(rand(2, 3)) + 0.1
    points = np.full((2, 3), 8)
    given = None
    if zeros == "packed":
        points = np.array([[1, 2, 3], [4, 5, 15]])
        given = np.array([0x21, 0x03, 0x54, 0x0F], np.uint8)
    elif zeros == "float":
        points = given = rand(2, 3, seed=1)
    expected = ((values - points[..., None]) * scales[..., None]).reshape(2, -1)[:, :40]
    close(W.unpack_blocks(packed, scales, given, size=40), expected)


@pytest.mark.parametrize("gather, axis", [(0, 1), (1, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_gather_blocks(gather, axis, shape):
    """Blocks of 4, the last of which is shorter; index 30 is outside."""
    data = np.random.default_rng(0).integers(0, 9, (10, 6))
    sizes = [10, 6]
    sizes[axis] = -(-sizes[axis] // 4)
    scales, zeros = rand(*sizes), rand(*sizes, seed=1).round().astype(np.int8)
    at = np.resize([1, -1, 30, 0], shape)
    wide = [np.repeat(s, 4, axis)[:10, :6] for s in (scales, zeros)]
    expected = np.take((data - wide[1]) * wide[0], np.where(at == 30, 0, at), gather)
    outside = np.expand_dims(at == 30, tuple(range(at.ndim, at.ndim + 1 - gather)))
    expected = np.where(outside, 0, expected) if at.ndim else expected
    options = {"block": 4, "gather": gather, "axis": axis}
    close(W.gather_blocks(data, at, scales, zeros, **options), expected)


def test_inverse_rms():
    x = rand(3, 4, 5)
    expected = 1 / np.sqrt(np.mean(x * x, (1, 2), keepdims=True) + 1e-5)
    close(N.inverse_rms(x, axis=-2), expected)
    close(N.rms_norm(x, np.float32(2), axis=-2), 2 * x * expected)
    assert N.inverse_rms(x.astype(np.float16)).dtype == jnp.float32


def test_dynamic_matmul():
    """Within the steps that uint8 leaves to the left operand."""
    a, b = rand(3, 8), np.random.default_rng(1).integers(-9, 9, (8, 4)).astype(np.int8)
    scale, zero = np.abs(rand(4, seed=2)), np.array([1, -2, 3, 0], np.int8)
    exact = a @ ((b - zero.astype(int)) * scale)
    step = (a.max() - a.min()) / 255 * np.abs((b - zero.astype(int)) * scale).sum(0)
    y = Q.dynamic_matmul(a, b, scale, zero)
    assert y.dtype == jnp.float32
    assert np.all(np.abs(y - exact) <= step)


@pytest.mark.parametrize("bits", range(1, 9))
def test_unpack_any_bits(bits):
    x = np.random.default_rng(0).integers(0, 256, (3, 5)).astype(np.uint8)
    stream = np.unpackbits(x, axis=-1, bitorder="little")
    stream = stream[:, : 40 // bits * bits].reshape(3, -1, bits)
    expected = stream @ (1 << np.arange(bits))
    actual = W.unpack_bits(jnp.asarray(x), bits)
    assert actual.dtype == jnp.uint8
    np.testing.assert_array_equal(actual, expected)


def layers():
    """Biases and weights of 4 experts."""
    one = rand(4, 6, seed=1), rand(4, 6, 8, seed=2)
    return one, (rand(4, 8, seed=3), rand(4, 8, 6, seed=4))


def mixture(x, logits, *layers):
    return M.moe(x, M.route(logits, 2), *layers, activation=jax.nn.relu)


def test_route():
    logits, weights = rand(5, 4), np.abs(rand(5, 4, seed=1))
    gates = M.route(logits, 2)
    close(jnp.sum(gates > 0, 1), [2] * 5)
    close(jnp.max(gates, 1), jnp.max(jax.nn.softmax(logits), 1))
    close(jnp.sum(M.route(logits, 3, normalize=True), 1), np.ones(5))
    own = M.route(logits, 1, weights)
    close(jnp.max(own, 1), weights[np.arange(5), logits.argmax(1)])


def test_moe_transforms():
    """Under jit, vmap and grad; the type of the tokens stays."""
    x, logits = rand(3, 5, 8), rand(3, 5, 4, seed=5)
    single = [mixture(a, b, *layers()) for a, b in zip(x, logits)]
    close(jax.vmap(lambda a, b: mixture(a, b, *layers()))(x, logits), single)
    loss = jax.jit(lambda layers: jnp.sum(mixture(x[0], logits[0], *layers)))
    grads = jax.grad(loss)(layers())
    assert all(np.any(g) for g in jax.tree.leaves(grads))
    half = jnp.asarray(x[0], jnp.bfloat16)
    assert mixture(half, logits[0], *layers()).dtype == jnp.bfloat16


def test_moe_overflow():
    """What an expert makes of tokens that are not its own does not matter."""
    x, logits = rand(5, 8), rand(5, 4, seed=5)
    (b1, w1), two = layers()
    chosen = np.argsort(-logits, axis=1)[:, :2]
    w1[3] *= 1e38
    y = mixture(x, logits, (b1, w1), two)
    others = (chosen != 3).all(1)
    assert 0 < others.sum() < 5 and np.isfinite(y[others]).all()


def test_moe_packed():
    """Rows with a scale each, and rows in two blocks."""
    q = np.random.default_rng(0).integers(0, 256, (4, 6, 4)).astype(np.uint8)
    scales, zeros = np.abs(rand(4, 6)), q[..., 0, :3]
    wide = np.stack([q & 15, q >> 4], -1).reshape(4, 6, 8).astype(np.float32)
    middle = np.stack([zeros & 15, zeros >> 4], -1).reshape(4, 6, 1)
    expected = (wide - middle) * scales[..., None]
    close(M.unpack_rows(q[0], scales[0], zeros[0], bits=4), expected[0])
    blocks = np.abs(rand(6, 2, seed=1))
    expected = (wide[0] - 8) * np.repeat(blocks, 4, axis=1)
    close(M.unpack_rows(q[0], blocks, bits=4), expected)


def test_quantized_lstm():
    """Close to the LSTM of the same weights."""
    q = np.random.default_rng(0).integers(-127, 128, (2, 5 + 8, 32)).astype(np.int8)
    w, r = q[:, :5], q[:, 5:]
    scale = np.float32([0.003, 0.002])
    x, b = rand(6, 3, 5), 0.1 * rand(2, 64, seed=1)
    options = {"direction": "bidirectional", "lengths": np.int32([6, 3, 5])}
    full = [a.swapaxes(1, 2) * scale[:, None, None] for a in (w, r)]
    expected = rnn.lstm(x, *full, b, **options)
    actual = R.quantized_lstm(x, w, r, b, w_scale=scale, r_scale=scale, **options)
    for a, e in zip(actual, expected):
        close(a, e, 0.02)
    state = jax.eval_shape(
        lambda x: R.quantized_lstm(x, w, r, w_scale=scale, r_scale=scale), x
    )
    assert [s.shape for s in state] == [(6, 2, 3, 8), (2, 3, 8), (2, 3, 8)]


def test_choose_beams():
    cache, beams = rand(4, 1, 3, 2), np.array([[[1, 0, 0], [0, 1, 0]]] * 2)
    chosen = A.choose_beams(cache, jnp.asarray(beams), 2)
    close(chosen[0, 0], [cache[1, 0, 0], cache[0, 0, 1], cache[0, 0, 2]])
    close(chosen[3, 0], [cache[2, 0, 0], cache[3, 0, 1], cache[3, 0, 2]])


def test_sparse_window():
    """Two heads take the two layouts; keys past the layout are not seen."""
    rows, columns = (
        jnp.array([[0, 1, 2], [0, 1, 3]]),
        jnp.array([[0, 1, -1], [0, 0, 1]]),
    )
    bias = A.sparse_window(rows, columns, jnp.array([[1, 2, 3]]), 5, 2, 2)
    assert bias.shape == (1, 2, 3, 5)
    seen = np.asarray(bias) == 0
    assert seen[0, 0].astype(int).tolist() == [
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
    ]
    assert seen[0, 1].astype(int).tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
    ]
