"""The helpers for resizing and sampling: gradients against torch, and under jit."""

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / "src" / "python" / "lib"))

import resize as R
import vision as V

pytestmark = pytest.mark.filterwarnings("error")


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def same_gradient(ours, theirs, *arrays):
    """Values, and gradients of sum(f * fixed weights) in every argument."""
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    y = theirs(*tensors)
    weights = rand(*y.shape, seed=9)
    (y * torch.from_numpy(weights)).sum().backward()
    np.testing.assert_allclose(ours(*arrays), y.detach().numpy(), 1e-4, 1e-4)
    loss = jax.jit(lambda *args: jnp.sum(ours(*args) * weights))
    gradients = jax.grad(loss, tuple(range(len(arrays))))(*arrays)
    for ours_grad, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours_grad, tensor.grad.numpy(), 1e-3, 1e-3)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize(mode):
    torch_mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, "nearest-exact")
    same_gradient(
        lambda x: R.resize(x, sizes=(7, 3), mode=mode, rounding="round_prefer_ceil"),
        lambda x: F.interpolate(x, (7, 3), mode=torch_mode),
        rand(2, 3, 5, 6),
    )


def test_upsample_nearest():
    same_gradient(
        lambda x: R.upsample_nearest(x, (2, 3)),
        lambda x: F.interpolate(x, scale_factor=(2, 3)),
        rand(2, 3, 4, 5),
    )


def test_box_may_be_traced():
    crop = partial(
        R.resize, sizes=(4, 3), mode="linear", coordinates="tf_crop_and_resize", fill=9
    )
    x, box = rand(1, 2, 6, 7), (0.1, -0.3, 0.9, 0.6)
    traced = jax.jit(lambda x, box: crop(x, box=box))(x, jnp.array(box))
    np.testing.assert_allclose(traced, crop(x, box=box), 1e-5, 1e-5)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(mode, padding):
    same_gradient(
        lambda x, grid: V.grid_sample(x, grid, mode, padding),
        lambda x, grid: F.grid_sample(
            x, grid, "bi" + mode, padding, align_corners=False
        ),
        rand(2, 3, 4, 5),
        rand(2, 3, 2, 2, seed=1),
    )


def test_col2im():
    same_gradient(
        lambda x: V.col2im(x, (6, 5), (2, 3), stride=2, padding=1),
        lambda x: F.fold(x, (6, 5), (2, 3), stride=2, padding=1),
        rand(2, 18, 12),
    )


def test_deform_conv_has_gradients():
    x, w, offset, mask = rand(1, 2, 5, 5), rand(2, 2, 3, 3), rand(1, 18, 3, 3), 1.0
    mask = np.full((1, 9, 3, 3), mask, np.float32)
    loss = jax.jit(lambda *args: jnp.sum(V.deform_conv(*args[:3], mask=args[3]) ** 2))
    gradients = jax.grad(loss, (0, 1, 2, 3))(x, w, offset, mask)
    assert all(np.isfinite(g).all() and np.any(g) for g in gradients)
    step = 1e-2
    moved = offset + step * np.asarray(gradients[2]) / np.linalg.norm(gradients[2])
    rise = (loss(x, w, moved, mask) - loss(x, w, offset, mask)) / step
    np.testing.assert_allclose(rise, np.linalg.norm(gradients[2]), rtol=0.1)


def test_select_boxes_stops_when_none_is_left():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3]], np.float32)
    scores = np.array([0.5, 0.9, 0.1], np.float32)
    picks = jax.jit(V.select_boxes, static_argnums=2)(boxes, scores, 3, 0.5)
    np.testing.assert_array_equal(picks, [1, 2, -1])
