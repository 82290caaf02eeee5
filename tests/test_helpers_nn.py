"""The convolution, pooling and normalization helpers against torch.nn.functional."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from jax import export

sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "python" / "lib"))

import activation
import attention as A
import conv as C
import norm as N
import pool as P

pytestmark = pytest.mark.filterwarnings("error")


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def close(actual, expected, rtol=2e-5, atol=2e-5):
    assert actual.shape == tuple(expected.shape)
    assert str(actual.dtype) == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(
        np.asarray(actual, np.float64), expected.double().numpy(), rtol, atol
    )


def same_gradient(ours, theirs, *arrays, rtol=1e-4, atol=1e-4):
    """Gradients of sum(f * fixed weights) in every argument."""
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    y = theirs(*tensors)
    weights = rand(*y.shape, seed=9)
    (y * torch.from_numpy(weights)).sum().backward()

    def loss(*args):
        return jnp.sum(ours(*args) * weights)

    grads = jax.jit(jax.grad(loss, argnums=tuple(range(len(arrays)))))(*arrays)
    for g, t in zip(grads, tensors):
        close(g, t.grad, rtol, atol)


# ---- activation ----------------------------------------------------------------------


def gelu_inputs():
    """Of all sizes and both signs, dense where the function bends."""
    sizes = np.logspace(-37, 2, 2000)
    return np.concatenate([-sizes, np.linspace(-12, 12, 4001), sizes])


def test_gelu_is_as_exact_as_that_of_torch():
    """Within two units in the last place of 1 + erf; torch's own may be just outside.
    Which bits differ depends on whether the CPU fuses multiplications and additions."""
    x = gelu_inputs().astype(np.float32)
    exact = F.gelu(torch.from_numpy(x).double()).numpy()
    limit = 2 * np.finfo(np.float32).eps * np.maximum(np.abs(x), 1)
    assert (np.abs(jax.jit(activation.gelu)(x) - exact) <= limit).all()
    same_gradient(activation.gelu, F.gelu, x, rtol=1e-6, atol=1e-6)
    with jax.enable_x64(True):
        close(activation.gelu(np.float64(x)), torch.from_numpy(exact), 1e-12, 1e-15)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_gelu_rounds_once(dtype):
    """torch computes in float32, too: what differs is its last bit, below -3."""
    x = torch.from_numpy(gelu_inputs()).to(getattr(torch, dtype))
    with jax.numpy_dtype_promotion("strict"):
        y = activation.gelu(jnp.asarray(x.float().numpy()).astype(dtype))
    close(y, F.gelu(x), rtol=0 if dtype == "bfloat16" else 1e-3, atol=2e-5)


# ---- pooling -------------------------------------------------------------------------


def test_global_mean_under_transforms():
    """Gradient, vmap, open sizes, strict promotion."""
    x = rand(2, 3, 5, 4)
    same_gradient(P.global_mean, lambda x: x.mean((2, 3)), x)
    batches = jax.vmap(P.global_mean)(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(batches[1], 2 * batches[0], rtol=1e-6)
    kinds = jax.ShapeDtypeStruct(export.symbolic_shape("n, 3, h, w"), jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        exported = export.export(jax.jit(P.global_mean), platforms=("cpu", "tpu"))(
            kinds
        )
    half = jnp.asarray(x, jnp.bfloat16)
    expected = torch.from_numpy(np.asarray(half, np.float32)).mean((2, 3)).bfloat16()
    close(exported.call(half), expected, rtol=0, atol=0)


def test_only_a_cpu_has_the_product():
    def program(platform):
        lowered = jax.jit(P.global_mean).trace(rand(2, 3, 5, 4))
        return lowered.lower(lowering_platforms=(platform,)).as_text()

    assert "dot_general" in program("cpu")
    assert "reduce" not in program("cpu")
    for platform in ("cuda", "tpu"):
        assert "dot_general" not in program(platform)


# ---- convolution ---------------------------------------------------------------------

TORCH_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TORCH_TRANSPOSE = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def conv(x, w, b=None, helper=C.conv, **options):
    """A helper with weights as torch has them."""
    return helper(x, C.as_kernel(w), b, **options)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"groups": 4, "stride": 2, "padding": 1, "dilation": 2},
    ],
    ids=str,
)
def test_conv(n, options):
    x = rand(2, 4, *[9, 8, 7][:n])
    w = rand(8, 4 // options.get("groups", 1), *[3] * n, seed=1)
    b = rand(8, seed=2)
    tensors = [torch.from_numpy(a) for a in (x, w, b)]
    close(
        jax.jit(conv, static_argnames=options)(x, w, b, **options),
        TORCH_CONV[n](*tensors, **options),
    )
    close(conv(x, w, **options), TORCH_CONV[n](*tensors[:2], **options))
    same_gradient(
        lambda *a: conv(*a, **options),
        lambda *a: TORCH_CONV[n](*a, **options),
        x,
        w,
        b,
    )


def test_conv_sizes_for_each_axis():
    x, w = rand(1, 2, 9, 11), rand(3, 2, 3, 2, seed=1)
    y = conv(x, w, stride=(2, 1), padding=((1, 2), (0, 1)), dilation=(1, 2))
    padded = F.pad(torch.from_numpy(x), (0, 1, 1, 2))
    close(y, F.conv2d(padded, torch.from_numpy(w), stride=(2, 1), dilation=(1, 2)))


@pytest.mark.parametrize("padding, pads", [("SAME", (0, 1)), ("SAME_LOWER", (1, 0))])
def test_conv_same(padding, pads):
    x, w = rand(1, 2, 8), rand(3, 2, 3, seed=1)
    y = conv(x, w, stride=2, padding=padding)
    close(y, F.conv1d(F.pad(torch.from_numpy(x), pads), torch.from_numpy(w), stride=2))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 3}],
    ids=str,
)
def test_depthwise_conv(n, options):
    def ours(*args):
        return conv(*args, helper=C.depthwise_conv, **options)

    def theirs(*args):
        return TORCH_CONV[n](*args, groups=4, **options)

    x, w, b = rand(2, 4, *[9, 8, 7][:n]), rand(4, 1, *[3] * n, seed=1), rand(4, seed=2)
    close(jax.jit(ours)(x, w, b), theirs(*map(torch.from_numpy, (x, w, b))))
    same_gradient(ours, theirs, x, w, b)


@pytest.mark.parametrize("kernel", [(7, 7), (5, 6), (26,), (3, 3, 3)], ids=str)
def test_depthwise_in_rows(kernel):
    """Kernels of more than 25 elements."""

    def ours(*args):
        return conv(*args, helper=C.depthwise_conv, stride=2, padding=3)

    def theirs(*args):
        return TORCH_CONV[len(kernel)](*args, stride=2, padding=3, groups=4)

    shape = [40] if len(kernel) == 1 else [9, 8, 7][: len(kernel)]
    x, w, b = rand(2, 4, *shape), rand(4, 1, *kernel, seed=1), rand(4, seed=2)
    close(jax.jit(ours)(x, w, b), theirs(*map(torch.from_numpy, (x, w, b))))
    same_gradient(ours, theirs, x, w, b)


def test_depthwise_sizes_for_each_axis():
    x, w = rand(1, 3, 9, 11), rand(3, 1, 3, 2, seed=1)
    sizes = {"stride": (2, 3), "dilation": (1, 2)}
    y = conv(x, w, None, C.depthwise_conv, padding=((1, -1), (0, 2)), **sizes)
    padded = F.pad(torch.from_numpy(x), (0, 2, 1, -1))
    close(y, F.conv2d(padded, torch.from_numpy(w), groups=3, **sizes))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(7, 7), (15, 17), (300,), (6, 7, 8)], ids=str)
def test_pointwise_conv(size, stride):
    def theirs(*args):
        return TORCH_CONV[len(size)](*args, stride=stride)

    def ours(*args):
        return C.pointwise_conv(*args, stride=stride)

    x, w = rand(2, 3, *size), rand(5, 3, *[1] * len(size), seed=1)
    b = rand(5, seed=2)
    close(jax.jit(ours)(x, w, b), theirs(*map(torch.from_numpy, (x, w, b))))
    same_gradient(ours, theirs, x, w, b)


def test_pointwise_stride_for_each_axis():
    x, w = rand(1, 3, 9, 11), rand(4, 3, 1, 1, seed=1)
    y = C.pointwise_conv(x, w, stride=(3, 2))
    close(y, F.conv2d(*map(torch.from_numpy, (x, w)), stride=(3, 2)))


def pointwise(x, kernel, b=None, stride=1):
    """The helper, which takes weights as torch has them, of a kernel."""
    return C.pointwise_conv(x, jnp.moveaxis(kernel, (-2, -1), (1, 0)), b, stride)


def strided(x, kernel, b=None):
    """The same in steps of two."""
    return pointwise(x, kernel, b, 2)


# A helper that chooses by platform, an image and weights for it.
CHOOSING = {
    "depthwise": (C.depthwise_conv, (3, 8, 16, 16), (8, 1, 3, 3)),
    "depthwise, 7 x 7": (C.depthwise_conv, (3, 8, 16, 16), (8, 1, 7, 7)),
    "pointwise": (pointwise, (3, 8, 16, 16), (4, 8, 1, 1)),
    "strided": (strided, (3, 8, 16, 16), (4, 8, 1, 1)),
}
choosing = pytest.mark.parametrize("name", CHOOSING)


@choosing
def test_only_a_cpu_has_another_convolution(name):
    """Lowered for one platform there is its code alone."""
    helper, *shapes = CHOOSING[name]
    arrays = [rand(*shape) for shape in shapes]
    traced = jax.jit(lambda x, w: conv(x, w, helper=helper)).trace(*arrays)
    for platform in "cpu", "cuda", "tpu":
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.convolution") == (platform != "cpu")


@choosing
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_small_floats_are_rounded_once(name, dtype):
    helper, *shapes = CHOOSING[name]
    x, w = (jnp.asarray(rand(*shape), dtype) for shape in shapes)
    y = conv(x, w, helper=helper)
    exact = conv(x.astype(np.float32), w.astype(np.float32), helper=helper)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, exact.astype(dtype))


@choosing
def test_choices_under_vmap_and_strict_promotion(name):
    helper, *shapes = CHOOSING[name]
    x, w = (rand(*shape) for shape in shapes)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        y = conv(x, w, helper=helper)
    each = jax.vmap(lambda x: conv(x[None], w, helper=helper)[0])(x)
    np.testing.assert_allclose(each, y, 2e-5, 2e-5)


@choosing
def test_choices_with_open_sizes(name):
    """One exported module for all batches, image sizes and platforms."""
    helper, (_, c, *_), shape = CHOOSING[name]
    w, padding = rand(*shape), {"padding": 3} if "depthwise" in name else {}
    open_x = jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"n, {c}, h, w"), "float32")
    function = jax.jit(lambda x: conv(x, w, helper=helper, **padding))
    exported = jax.export.export(function, platforms=["cpu", "cuda"])(open_x)
    for size in (1, c, 5, 6), (2, c, 20, 16):
        x = rand(*size)
        np.testing.assert_allclose(exported.call(x), function(x), 2e-5, 2e-5)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": 3, "padding": 1, "output_padding": 2},
        {"groups": 2, "stride": 2, "output_padding": 1},
        {"groups": 4, "dilation": 2, "stride": 2, "padding": 3},
    ],
    ids=str,
)
def test_conv_transpose(n, options):
    x = rand(2, 4, *[5, 4, 3][:n])
    w = rand(4, 8 // options.get("groups", 1), *[3] * n, seed=1)
    b = rand(8, seed=2)
    ours = dict(options)
    if extra := ours.pop("output_padding", 0):
        low = ours.pop("padding", 0)
        ours["padding"] = ((low, low - extra),) * n
    y = C.conv_transpose(x, w, b, **ours)
    close(y, TORCH_TRANSPOSE[n](*[torch.from_numpy(a) for a in (x, w, b)], **options))
    same_gradient(
        lambda *a: C.conv_transpose(*a, **ours),
        lambda *a: TORCH_TRANSPOSE[n](*a, **options),
        x,
        w,
        b,
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_conv_keeps_small_floats(dtype):
    x, w = jnp.asarray(rand(1, 3, 5, 5), dtype), jnp.asarray(rand(2, 3, 3, 3), dtype)
    b = jnp.ones(2, dtype)
    assert conv(x, w, b).dtype == dtype
    assert C.conv_transpose(x, w.swapaxes(0, 1), b).dtype == dtype


# ---- pooling -------------------------------------------------------------------------

TORCH_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
TORCH_AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("window, stride, padding", [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_pools(n, window, stride, padding):
    x = rand(2, 3, *[9, 8, 7][:n])
    t = torch.from_numpy(x)
    args = window, stride, padding
    close(P.max_pool(x, *args), TORCH_MAX[n](t, *args))
    close(P.avg_pool(x, *args), TORCH_AVG[n](t, *args))
    inside = TORCH_AVG[n](t, *args, count_include_pad=False)
    close(P.avg_pool_inside(x, *args), inside)
    same_gradient(lambda x: P.max_pool(x, *args), lambda x: TORCH_MAX[n](x, *args), x)
    same_gradient(lambda x: P.avg_pool(x, *args), lambda x: TORCH_AVG[n](x, *args), x)
    same_gradient(
        lambda x: P.avg_pool_inside(x, *args),
        lambda x: TORCH_AVG[n](x, *args, count_include_pad=False),
        x,
    )


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool(n, p):
    x = rand(2, 3, *[9, 8][:n])
    torch_pool = {1: F.lp_pool1d, 2: F.lp_pool2d}[n]
    y = torch_pool(torch.from_numpy(np.abs(x)), p, 3, 2)
    close(P.lp_pool(x, p, window=3, stride=2), y)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "window, stride, padding, dilation", [(2, 2, 0, 1), (3, 2, 1, 1), (2, 1, 1, 3)]
)
def test_max_pool_indices(n, window, stride, padding, dilation):
    x = rand(2, 3, *[9, 8, 7][:n])
    args = window, stride, padding, dilation
    y, index = TORCH_MAX[n](torch.from_numpy(x), *args, return_indices=True)
    ours, places = jax.jit(P.max_pool_indices, static_argnums=(1, 2, 3, 4))(x, *args)
    close(ours, y)
    plane = np.prod(x.shape[2:])
    starts = np.arange(6).reshape(2, 3, *[1] * n) * plane
    np.testing.assert_array_equal(places, index.numpy() + starts)
    same_gradient(
        lambda x: P.max_pool_indices(x, *args)[0], lambda x: TORCH_MAX[n](x, *args), x
    )


def test_max_pool_indices_column_major():
    x = rand(2, 3, 5, 4)
    y, places = P.max_pool_indices(x, window=2, column_major=True)
    flat = x.transpose(0, 1, 3, 2).ravel()
    np.testing.assert_array_equal(flat[places], y)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float16", "bfloat16"])
def test_pools_keep_type(dtype):
    x = jnp.asarray(np.arange(-20, 44).reshape(1, 1, 8, 8) % 97, dtype)
    y = P.max_pool(x, window=3, stride=2, padding=1)
    assert y.dtype == dtype
    padded = np.pad(
        np.asarray(x, np.float64),
        ((0, 0), (0, 0), (1, 1), (1, 1)),
        constant_values=-np.inf,
    )
    expected = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    np.testing.assert_array_equal(
        np.asarray(y, np.float64), expected[:, :, ::2, ::2].max((-1, -2))
    )
    if jnp.issubdtype(x.dtype, jnp.floating):
        assert P.avg_pool(x, 2).dtype == P.avg_pool_inside(x, 2).dtype == dtype


def test_max_pool_propagates_nan():
    x = np.array([[[1, np.nan, 3, 4, 5]]], np.float32)
    y = P.max_pool(x, 2)
    np.testing.assert_array_equal(y, [[[np.nan, np.nan, 4, 5]]])


def test_avg_pool_of_bfloat16_adds_in_float32():
    x = jnp.asarray(rand(1, 2, 14, 14) + 3, jnp.bfloat16)
    exact = TORCH_AVG[2](torch.from_numpy(np.asarray(x, np.float32)), 7)
    close(P.avg_pool(x, 7, 7).astype(jnp.float32), exact, rtol=2**-8)


# ---- normalization -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 5, 6), (2, 3, 4, 5, 6)])
def test_batch_norm(shape):
    x = rand(*shape) * 3 + 5
    scale, bias, mean, var = (rand(3, seed=i) for i in range(1, 5))
    var = np.abs(var) + 0.1

    def theirs(x, scale, bias, mean=mean, var=var, training=False):
        stats = [torch.as_tensor(v.copy()) for v in (mean, var)]
        return F.batch_norm(x, *stats, scale, bias, training, 0.1, 1e-3)

    tensors = [torch.from_numpy(a) for a in (x, scale, bias)]
    close(N.batch_norm(x, scale, bias, mean, var, eps=1e-3), theirs(*tensors))
    same_gradient(
        lambda x, s, b: N.batch_norm(x, s, b, mean, var, eps=1e-3),
        theirs,
        x,
        scale,
        bias,
    )
    y, *_ = N.batch_norm_train(x, scale, bias, mean, var, eps=1e-3)
    close(y, theirs(*tensors, training=True))


def test_batch_norm_running_statistics():
    x = rand(8, 3, 5)
    mean, var = rand(3, seed=1), np.abs(rand(3, seed=2))
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    stats = N.batch_norm_train(x, ones, zeros, mean, var, momentum=0.8)
    close(stats[1], torch.from_numpy(0.8 * mean + 0.2 * x.mean((0, 2))))
    close(stats[2], torch.from_numpy(0.8 * var + 0.2 * x.var((0, 2))))
    close(stats[3], torch.from_numpy(x.mean((0, 2))))
    close(stats[4], torch.from_numpy(x.var((0, 2))))


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_layer_norm(axis):
    x = rand(2, 5, 6) * 3 + 5
    w, b = rand(*x.shape[axis:], seed=1), rand(*x.shape[axis:], seed=2)
    options = {"axis": axis, "eps": 1e-12}

    def theirs(x, w, b=None):
        return F.layer_norm(x, x.shape[axis:], w, b, 1e-12)

    tensors = [torch.from_numpy(a) for a in (x, w, b)]
    close(N.layer_norm(x, w, b, **options), theirs(*tensors))
    close(N.layer_norm(x, w, **options), theirs(*tensors[:2]))
    same_gradient(lambda *a: N.layer_norm(*a, **options), theirs, x, w, b)


def test_layer_norm_stats():
    x = rand(2, 5, 6) * 3 + 5
    _, mean, inv = torch.native_layer_norm(torch.from_numpy(x), (6,), None, None, 1e-5)
    ours = N.layer_norm_stats(x)
    close(ours[0], mean)
    close(ours[1], inv)


def test_rms_norm():
    x, w = rand(2, 5, 6), rand(6, seed=1)
    close(
        N.rms_norm(x, w, eps=1e-6),
        F.rms_norm(torch.from_numpy(x), (6,), torch.from_numpy(w), 1e-6),
    )
    same_gradient(
        lambda x, w: N.rms_norm(x, w, eps=1e-6),
        lambda x, w: F.rms_norm(x, (6,), w, 1e-6),
        x,
        w,
    )


@pytest.mark.parametrize("shape", [(2, 6, 5), (2, 6, 5, 4), (2, 6, 3, 4, 2)])
def test_group_and_instance_norm(shape):
    x, w, b = rand(*shape) * 3 + 5, rand(6, seed=1), rand(6, seed=2)
    tensors = [torch.from_numpy(a) for a in (x, w, b)]
    close(N.group_norm(x, 3, w, b), F.group_norm(tensors[0], 3, *tensors[1:]))
    close(
        N.instance_norm(x, w, b), F.instance_norm(tensors[0], None, None, *tensors[1:])
    )
    same_gradient(
        lambda *a: N.group_norm(a[0], 3, *a[1:]),
        lambda *a: F.group_norm(a[0], 3, *a[1:]),
        x,
        w,
        b,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size):
    x = rand(2, 7, 4, 5)
    y = N.local_response_norm(x, size, alpha=0.01, beta=0.6, bias=1.5)
    low = (size - 1) // 2
    squares = np.zeros_like(x)
    for c in range(7):
        squares[:, c] = (x[:, max(0, c - low) : c + size // 2 + 1] ** 2).sum(1)
    close(y, torch.from_numpy(x / (1.5 + 0.01 / size * squares) ** 0.6))


@pytest.mark.parametrize("p", [1, 2])
def test_lp_normalize(p):
    x = rand(3, 4, 5)
    close(N.lp_normalize(x, p, 1), F.normalize(torch.from_numpy(x), p, 1))
    np.testing.assert_array_equal(N.lp_normalize(np.zeros((2, 3), np.float32), p), 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_norms_of_small_floats(dtype):
    """As accurate as the type allows, also far from zero."""
    x = jnp.asarray(rand(2, 8, 64) + 30, dtype)
    ones, zeros = jnp.ones(64, dtype), jnp.zeros(64, dtype)
    wide = torch.from_numpy(np.asarray(x, np.float32))
    tolerance = 2**-8 if dtype == "bfloat16" else 2**-10
    y = N.layer_norm(x, ones, zeros)
    assert y.dtype == dtype
    expected = F.layer_norm(wide, (64,))
    close(y.astype(jnp.float32), expected, tolerance, tolerance)
    y = N.group_norm(x, 4, ones[:8], zeros[:8])
    assert y.dtype == dtype
    close(y.astype(jnp.float32), F.group_norm(wide, 4), tolerance, tolerance)
    assert N.rms_norm(x, ones).dtype == dtype
    stats = [jnp.ones(8, dtype)] * 4
    assert N.batch_norm(x, *stats).dtype == dtype
    assert N.batch_norm_train(x, *stats)[0].dtype == dtype


def test_apply_rotary():
    """As transformers writes it for Llama: x * cos + rotate_half(x) * sin."""
    x, cos, sin = rand(2, 3, 5, 8), rand(5, 8, seed=1), rand(5, 8, seed=2)
    t = torch.from_numpy(x)
    half = torch.cat((-t[..., 4:], t[..., :4]), dim=-1)
    expected = t * torch.from_numpy(cos) + half * torch.from_numpy(sin)
    np.testing.assert_allclose(A.apply_rotary(x, cos, sin), expected, 1e-6, 1e-6)


# ---- attention -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 1, 5, 6), (1, 1, 1, 6), (2, 4, 1, 6)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_query_that_sees_no_key_attends_to_nothing(shape, dtype):
    rng = np.random.default_rng(0)
    query, key, value = (
        jnp.asarray(rng.standard_normal((2, n, heads, 8)), dtype)
        for n, heads in ((5, 4), (6, 2), (6, 2))
    )
    mask = rng.random(shape) > 0.5
    mask[0] = False
    y = A.masked_attention(query, key, value, jnp.asarray(mask))
    plain = jax.nn.dot_product_attention(query, key, value, mask=jnp.asarray(mask))
    seen = np.broadcast_to(mask, (2, 4, 5, 6)).any(-1).swapaxes(1, 2)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.where(seen[..., None], plain, 0))
    grads = jax.grad(lambda v: A.masked_attention(query, key, v, mask).sum())(value)
    assert not grads[0].any()
