"""The helpers of onnxruntime's operators against numpy."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "codegen" / "py"))

import norm as N
import packed_attention as A
import packed_weights as W
import quant as Q

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
    close(N.rms_norm(x, 2.0, axis=-2), 2 * x * expected)
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
