"""Sampling images at computed places, regions of interest, and boxes."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from conv import per_axis


def sample(x, places, mode="linear", padding="zeros", low=0.0, high=1.0):
    """Interpolates x (N, C, ...) at places: (N, ...) in elements, for each axis.

    What lies outside is zero, the nearest element ("border"), or the image mirrored
    ("reflection").  Mirrors are at low and at size - high.
    """
    index, weights, inside = [jnp.arange(x.shape[0])], [], True
    n = len(places)
    reach = {"nearest": 0, "linear": 1, "cubic": 2}[mode]
    for i, at in enumerate(places):
        size = x.shape[2 + i]
        if mode == "nearest":
            at = jnp.round(at)
        # The taps of this axis lie on axis i of the last n.
        taps = (1,) * (at.ndim + i) + (-1,) + (1,) * (n - 1 - i)
        steps = jnp.arange(1 - reach, reach + 1) if reach else jnp.zeros(1)
        steps = steps.astype(at.dtype)
        near = jnp.floor(at).reshape(*at.shape, *[1] * n) + steps.reshape(taps)
        t = jnp.abs(near - at.reshape(*at.shape, *[1] * n))
        if mode == "linear":
            weights.append(1 - t)
        elif mode == "cubic":
            inner = (1.25 * t - 2.25) * t * t + 1
            outer = ((-0.75 * t + 3.75) * t - 6) * t + 3
            weights.append(jnp.where(t <= 1, inner, outer))
        if padding == "zeros":
            inside = inside & (near >= 0) & (near <= size - 1)
        elif padding == "reflection":
            near = reflect(near, low, size - high)
        index.append(jnp.clip(near, 0, size - 1).astype(int))
    index[0] = index[0].reshape(-1, *[1] * (places[0].ndim - 1 + n))
    z = jnp.moveaxis(x, 1, -1)[tuple(index)]
    if padding == "zeros":
        z = jnp.where(inside[..., None], z, jnp.zeros_like(z))
    wide = x.dtype if x.dtype == jnp.float64 else places[0].dtype
    for weight in weights:
        z = z.astype(wide) * weight[..., None].astype(wide)
    z = jnp.sum(z, tuple(range(-1 - n, -1)), z.dtype)
    return jnp.moveaxis(z, -1, 1).astype(x.dtype)


def reflect(at, low, high):
    """Mirrors positions at low and high until they lie between."""
    span = high - low
    if span == 0:
        return jnp.full_like(at, low)
    beyond = jnp.maximum(low - at, at - high)
    turns = jnp.floor(beyond / span)
    rest = beyond - turns * span
    from_low = (at < low) == (turns % 2 == 0)
    mirrored = jnp.where(from_low, low + rest, high - rest)
    return jnp.where(beyond > 0, mirrored, at)


def grid_sample(x, grid, mode="linear", padding="zeros", align_corners=False):
    """Samples x (N, C, ...) at grid (N, ..., n): x, y, ... from -1 to 1.

    With align_corners, -1 and 1 are the centers of the outer elements, otherwise their
    outer edges.
    """
    grid = grid.astype(np.promote_types(grid.dtype, np.float32))
    places = []
    for i, size in enumerate(x.shape[2:]):
        at = grid[..., grid.shape[-1] - 1 - i]
        at = at + 1
        places.append(at / 2 * (size - 1) if align_corners else (at * size - 1) / 2)
    edges = (0.0, 1.0) if align_corners else (-0.5, 0.5)
    return sample(x, places, mode, padding, *edges)


def affine_grid(theta, shape, align_corners=False):
    """Places for grid_sample of a result of this shape (N, C, ...), moved by theta."""
    n = len(shape) - 2
    axes = []
    for size in shape[2:]:
        at = jnp.arange(size, dtype=theta.dtype)
        if align_corners:
            axes.append(2 * at / max(size - 1, 1) - int(size > 1))
        else:
            axes.append((2 * at + 1) / size - 1)
    grid = jnp.stack(jnp.meshgrid(*axes, indexing="ij")[::-1], -1)
    turned = jnp.einsum("...j,nij->n...i", grid, theta[:, :, :n], precision="highest")
    return turned + theta[:, :, n].reshape(-1, *[1] * n, n)


def deform_conv(
    x,
    w,
    offset,
    b=None,
    mask=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    offset_groups=1,
):
    """Convolution of x (N, C, ...) whose window elements are moved by offset.

    offset is (N, offset_groups * window * n, ...) for n spatial axes.  mask is (N,
    offset_groups * window, ...), and scales what is sampled.
    """
    n = x.ndim - 2
    batch, window, out = x.shape[0], w.shape[2:], offset.shape[2:]
    pads = [(padding, padding)] * n if isinstance(padding, int) else padding
    offset = offset.reshape(batch * offset_groups, *window, n, *out)
    offset = offset.astype(np.promote_types(offset.dtype, np.float32))
    places = []
    for i in range(n):
        tap = jnp.arange(window[i]) * per_axis(dilation, n)[i] - pads[i][0]
        start = jnp.arange(out[i]) * per_axis(stride, n)[i]
        tap = tap.reshape([-1 if k == i else 1 for k in range(2 * n)])
        start = start.reshape([-1 if k == n + i else 1 for k in range(2 * n)])
        regular = (tap + start)[None].astype(offset.dtype)
        places.append(jnp.take(offset, i, n + 1) + regular)
    z = sample(x.reshape(batch * offset_groups, -1, *x.shape[2:]), places)
    if mask is not None:
        z = z * mask.reshape(batch * offset_groups, 1, *window, *out)
    z = z.reshape(batch, groups, w[0].size, *out)
    w = w.reshape(groups, -1, w[0].size)
    y = jnp.einsum("gok,ngk...->ngo...", w, z).reshape(batch, -1, *out)
    return y if b is None else y + b.reshape(1, -1, *[1] * n)


def col2im(columns, shape, window, stride=1, padding=0, dilation=1):
    """Adds up windows (N, C * window, count) where they lie in an image of `shape`."""
    n = len(shape)
    pads = [(padding, padding)] * n if isinstance(padding, int) else padding
    stride, dilation = per_axis(stride, n), per_axis(dilation, n)
    padded = [size + low + high for size, (low, high) in zip(shape, pads)]
    places, counts = [], []
    for i, size in enumerate(padded):
        counts.append((size - dilation[i] * (window[i] - 1) - 1) // stride[i] + 1)
        taps = jnp.arange(window[i]).reshape(
            [-1 if k == i else 1 for k in range(2 * n)]
        )
        count = jnp.arange(counts[i])
        count = count.reshape([-1 if k == n + i else 1 for k in range(2 * n)])
        places.append(taps * dilation[i] + count * stride[i])
    channels = columns.shape[1] // math.prod(window)
    columns = columns.reshape(columns.shape[0], channels, *window, *counts)
    image = jnp.zeros((*columns.shape[:2], *padded), columns.dtype)
    image = image.at[(slice(None), slice(None), *places)].add(columns)
    inner = [slice(low, low + size) for size, (low, _) in zip(shape, pads)]
    return image[(slice(None), slice(None), *inner)]


def max_unpool(x, places, window, stride=1, padding=0, shape=None):
    """Puts x (N, C, ...) at its places in a larger array of zeros, in row-major order.

    The places count in what max_pool began with if nothing was cut off; a larger
    `shape` adds zeros behind.
    """
    n = x.ndim - 2
    pads = [(padding, padding)] * n if isinstance(padding, int) else padding
    sizes = zip(x.shape[2:], per_axis(stride, n), pads, per_axis(window, n))
    full = [(d - 1) * step - low - high + k for d, step, (low, high), k in sizes]
    y = jnp.zeros((*x.shape[:2], *full), x.dtype)
    y = y.reshape(-1).at[places.reshape(-1)].set(x.reshape(-1)).reshape(y.shape)
    if shape is None:
        return y
    return jnp.pad(y, [(0, size - d) for size, d in zip(shape, y.shape)])


def roi_align(x, rois, batch, size, samples=0, scale=1.0, mode="avg", half_pixel=True):
    """Averages of samples x samples points in each cell of boxes of x (N, C, H, W).

    rois are (x1, y1, x2, y2) for the images `batch`; size is that of the result.  With
    samples=0 their number follows from the boxes, which must not be traced then.
    """
    shift = 0.5 if half_pixel else 0.0
    rois = rois.astype(np.promote_types(rois.dtype, np.float32)) * scale - shift
    index, weights, counts = [], [], []
    for i, cells in enumerate(size):
        start, end = rois[:, 1 - i], rois[:, 3 - i]
        extent = end - start if half_pixel else jnp.maximum(end - start, 1.0)
        count = jnp.full_like(end, samples) if samples else jnp.ceil(extent / cells)
        most = samples or max(int(jnp.max(count, initial=0)), 1)
        cell = (extent / cells)[:, None, None]
        point = jnp.arange(most, dtype=rois.dtype)[None]
        step = (point[None] + 0.5) / jnp.maximum(count, 1)[:, None, None]
        at = jnp.arange(cells, dtype=rois.dtype)[None, :, None]
        at = start[:, None, None] + (at + step) * cell
        last = x.shape[2 + i] - 1
        real = point < count[:, None]
        used = (at >= -1) & (at <= last + 1) & real[:, None]
        at = jnp.clip(at, 0, last)
        low = jnp.floor(at)
        pair = jnp.stack([low, jnp.minimum(low + 1, last)], -1)
        weight = jnp.stack([1 - (at - low), at - low], -1)
        weight = jnp.where(used[..., None], weight, 0)
        index.append(pair.astype(int))
        weights.append(weight)
        counts.append((count, real))
    # Axes: roi, row, sample, neighbor, column, sample, neighbor, channel.
    rows = index[0][:, :, :, :, None, None, None]
    columns = index[1][:, None, None, None]
    image = jnp.asarray(batch).reshape(-1, *[1] * 6)
    z = jnp.moveaxis(x, 1, -1)[image, rows, columns]
    z = z * weights[0][:, :, :, :, None, None, None, None]
    z = z * weights[1][:, None, None, None, :, :, :, None]
    if mode == "avg":
        count = jnp.maximum(counts[0][0] * counts[1][0], 1)
        y = jnp.sum(z, (2, 3, 5, 6)) / count[:, None, None, None]
    else:
        real = counts[0][1][:, :, None] & counts[1][1][:, None, :]
        real = real[:, None, :, None, None, :, None, None]
        y = jnp.max(jnp.where(real, z, -jnp.inf), (2, 3, 5, 6))
        y = jnp.where(real.any((2, 3, 5, 6)), y, 0)
    return jnp.moveaxis(y, -1, 1).astype(x.dtype)


def max_roi_pool(x, rois, size, scale=1.0):
    """Largest element in each cell of boxes of x (N, C, H, W).

    A row of rois is (image, x1, y1, x2, y2); size is that of the result.
    """
    y, filled = x[rois[:, 0].astype(int)], True
    for i, cells in enumerate(size):
        corners = rois[:, jnp.array([2 - i, 4 - i])] * scale
        corners = jnp.sign(corners) * jnp.floor(jnp.abs(corners) + 0.5)
        start, end = corners.astype(int).T[..., None]
        extent = jnp.maximum(end - start + 1, 1)
        low = start + jnp.arange(cells)[None] * extent // cells
        high = start - jnp.arange(-1, -1 - cells, -1)[None] * extent // cells
        at = jnp.arange(x.shape[2 + i])[None, None]
        inside = (at >= low[..., None]) & (at < high[..., None])
        y = jnp.moveaxis(y, 2 + i, -1)[..., None, :]
        y = jnp.max(jnp.where(inside[:, None, None], y, -jnp.inf), -1)
        y = jnp.moveaxis(y, -1, 2 + i)
        filled = filled & jnp.expand_dims(inside.any(-1), 2 - i)
    return jnp.where(filled[:, None], y, 0).astype(x.dtype)


def box_iou(box, boxes):
    """Intersection over union of a box and others: (y1, x1, y2, x2), ordered."""
    low = jnp.maximum(box[None, :2], boxes[:, :2])
    high = jnp.minimum(box[None, 2:], boxes[:, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0), -1)
    own = jnp.prod(box[2:] - box[:2])
    union = own + jnp.prod(boxes[:, 2:] - boxes[:, :2], -1) - shared
    return jnp.where(shared > 0, shared / jnp.where(union > 0, union, 1), 0)


def select_boxes(boxes, scores, count, iou_threshold):
    """Up to count boxes by falling score that overlap no better one too much; -1 for
    none.  Scores of -inf are not considered."""

    def more(state):
        k, left, _ = state
        return (k < count) & jnp.any(left > -jnp.inf)

    def pick(state):
        k, left, picks = state
        best = jnp.argmax(left)
        overlap = box_iou(boxes[best], boxes) > iou_threshold
        left = jnp.where(overlap, -jnp.inf, left).at[best].set(-jnp.inf)
        return k + 1, left, picks.at[k].set(best)

    state = 0, scores, jnp.full(count, -1)
    return jax.lax.while_loop(more, pick, state)[2]


def non_max_suppression(
    boxes,
    scores,
    count,
    iou_threshold=0.0,
    score_threshold=None,
    centered=False,
    size=None,
):
    """Rows (image, class, box) of the boxes that select_boxes picks.

    boxes (N, B, 4) are two corners, or (x, y, width, height) when centered; scores are
    (N, classes, B).  With a size there are that many rows; those left over are -1.
    """
    if centered:
        center, half = boxes[..., 1::-1], boxes[..., :1:-1] / 2
        corners = center - half, center + half
    else:
        corners = boxes[..., :2], boxes[..., 2:]
    boxes = jnp.concatenate([jnp.minimum(*corners), jnp.maximum(*corners)], -1)
    if score_threshold is not None:
        least = jnp.asarray(score_threshold, scores.dtype).reshape(())
        scores = jnp.where(scores > least, scores, -jnp.inf)
    count = min(count, boxes.shape[1])
    if count <= 0:
        return jnp.full((size or 0, 3), -1, int)

    def per_image(boxes, scores):
        return jax.vmap(lambda s: select_boxes(boxes, s, count, iou_threshold))(scores)

    picks = jax.vmap(per_image)(boxes, scores)
    image, label, rank = jnp.nonzero(picks >= 0, size=size, fill_value=-1)
    rows = jnp.stack([image, label, picks[image, label, rank]], -1)
    return jnp.where(image[:, None] >= 0, rows, -1)
