"""Resizing by interpolation, one axis after the other.

Positions and weights follow from shapes, so NumPy computes them while JAX traces; only
the box of a crop may be an array.  Which neighbor is nearest depends on the rounding of
positions: they are of float32, as in PyTorch and onnxruntime.
"""

import jax
import jax.numpy as jnp
import numpy as np

from conv import per_axis


def upsample_nearest(x, scale):
    """Repeats the elements of the spatial axes of x (N, C, ...)."""
    for axis, times in enumerate(per_axis(scale, x.ndim - 2), 2):
        x = jnp.repeat(x, times, axis)
    return x


def resize(
    x,
    sizes=None,
    scales=None,
    axes=None,
    mode="nearest",
    coordinates="half_pixel",
    rounding="round_prefer_floor",
    cubic=-0.75,
    antialias=False,
    exclude_outside=False,
    keep_aspect="stretch",
    box=None,
    fill=0.0,
):
    """Resizes the last dimensions of x, or these axes.

    sizes are those of the result.  scales say how much larger it is.  coordinates says
    where an element of the result lies in x, as in the ONNX operator Resize.  rounding
    says which neighbor "nearest" takes.  cubic is the coefficient of "cubic"
    interpolation.  box holds the starts and ends of "tf_crop_and_resize".  fill is the
    value outside of x.
    """
    count = len(sizes if scales is None else scales)
    axes = range(x.ndim - count, x.ndim) if axes is None else axes
    lengths = [x.shape[axis] for axis in axes]
    nearest = mode == "nearest"
    number = np.float32 if nearest or scales is not None else float
    if scales is not None:
        sizes = [int(number(s) * number(n)) for s, n in zip(scales, lengths)]
    else:
        scales = [size / n if n else 1 for size, n in zip(sizes, lengths)]
        if keep_aspect != "stretch":
            scale = min(scales) if keep_aspect == "not_larger" else max(scales)
            scales = [scale] * count
            sizes = [int(scale * n + 0.5) for n in lengths]
    if box is None and mode != "cubic" and list(sizes) == lengths:
        return x
    z = x
    if not nearest:
        z = x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)
    for i, axis in enumerate(axes):
        n, scale = lengths[i], float(number(scales[i]))
        if scale == 1 and box is None:
            continue
        ends = None if box is None else (box[i], box[count + i])
        at = np.arange(sizes[i], dtype=np.float32 if nearest else float)
        toward = rounding
        if rounding == "before_11":
            toward = "floor" if scale >= 1 else "ceil"
        if nearest and coordinates == "asymmetric" and toward == "floor":
            # As in PyTorch, which multiplies by a number made of the decimal one.
            at = at * (1 / scales[i])
        else:
            at = resize_positions(at, n, scale, coordinates, ends)
        z = jnp.moveaxis(z, axis, -1)
        if nearest:
            z = z[..., nearest_index(at, n, toward)]
        else:
            a = cubic if mode == "cubic" else None
            shrink = min(scale, 1.0) if antialias else 1.0
            index, weight = interpolation(at, n, a, shrink, exclude_outside)
            near, weight = z[..., index], jnp.asarray(weight, z.dtype)
            z = jnp.sum(near * jnp.broadcast_to(weight, near.shape), -1)
        if ends is not None:
            inside = jnp.broadcast_to((at >= 0) & (at <= n - 1), z.shape)
            z = jnp.where(inside, z, jnp.asarray(fill, z.dtype))
        z = jnp.moveaxis(z, -1, axis)
    if jnp.issubdtype(x.dtype, jnp.integer) and not nearest:
        limits = jnp.iinfo(x.dtype)
        z = jnp.clip(jnp.round(z), limits.min, limits.max)
    return z.astype(x.dtype)


def resize_positions(i, n, scale, coordinates, ends=None):
    """Where the elements i of the resized axis lie on one of n, in its elements.

    "align_unrounded_corners" takes scale * n for the length of the resized axis, whole
    or not.
    """
    size, last = len(i), len(i) - 1
    if coordinates == "align_unrounded_corners":
        coordinates, last = "align_corners", scale * n - 1
    if coordinates == "align_corners":
        return i * (n - 1) / last if last != 0 else 0 * i
    if coordinates == "asymmetric":
        return i / scale
    if coordinates == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if coordinates == "tf_crop_and_resize":
        start, end = ends
        if size == 1:
            return (start + end) * (n - 1) / 2 + 0 * i
        return i * (end - start) * (n - 1) / last + start * (n - 1)
    if coordinates == "pytorch_half_pixel" and size == 1:
        return 0 * i
    if coordinates == "half_pixel_symmetric":
        number = i.dtype.type
        shift = n / 2 * (1 - size / number(scale * n))
        return number(shift + (i.astype(float) + 0.5) / scale - 0.5)
    return (i + 0.5) / scale - 0.5


def nearest_index(at, n, rounding):
    """The element of an axis of n that is nearest to each position."""
    xp = jnp if isinstance(at, jax.Array) else np
    below = xp.floor(at)
    if rounding == "round_prefer_floor":  # a tie, but for rounding, is one
        at = below + (at - below > 0.5 + 1e-6)
    elif rounding == "round_prefer_ceil":
        at = below + (at - below >= 0.5 - 1e-6)
    elif rounding == "floor":
        at = below
    else:
        at = xp.ceil(at)
    return xp.clip(at, 0, n - 1).astype(int)


def interpolation(at, n, cubic=None, shrink=1.0, exclude_outside=False):
    """Neighbors of each position on an axis of n, and their weights.

    Linear, or cubic with this coefficient; shrink below 1 widens the neighborhood.
    """
    xp = jnp if isinstance(at, jax.Array) else np
    reach = int(np.ceil((1 if cubic is None else 2) / shrink))
    steps = np.arange(1 - reach, reach + 1, dtype=at.dtype)
    index = xp.floor(at)[:, None] + steps[None]
    t = abs(index - at[:, None]) * shrink
    if cubic is None:
        weight = xp.maximum(1 - t, 0)
    else:
        near = ((cubic + 2) * t - (cubic + 3)) * t * t + 1
        far = ((cubic * t - 5 * cubic) * t + 8 * cubic) * t - 4 * cubic
        weight = xp.where(t <= 1, near, xp.where(t < 2, far, 0))
    if shrink < 1:
        weight = weight / weight.sum(-1, keepdims=True)
    if exclude_outside:
        weight = xp.where((index >= 0) & (index < n), weight, 0)
        weight = weight / weight.sum(-1, keepdims=True)
    return xp.clip(index, 0, n - 1).astype(int), weight
