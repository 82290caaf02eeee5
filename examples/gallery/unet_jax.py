"""unet in JAX: forward(params, x)"""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


def conv(x, w, padding=0):
    """Convolution of x (N, C, ...) with kernel w (..., C, M)."""
    n = x.ndim - 2
    axes = "XYZUVW"[:n]
    return jax.lax.conv_general_dilated(
        x,
        w,
        (1,) * n,
        [(padding, padding)] * n,
        dimension_numbers=(f"NC{axes}", f"{axes}IO", f"NC{axes}"),
    )


def prepared_key(key, form):
    """conv1.weight -> conv1.kernel, onnx::Conv_7 -> onnx::Conv_7_kernel."""
    is_weight = f".{key}".endswith(".weight")
    return key.removesuffix("weight") + form if is_weight else f"{key}_{form}"


def in_form(params, key, form, convert):
    """What prepare has made of params[key] by convert, or that made of it now."""
    prepared = prepared_key(key, form)
    if prepared in params and key in params:
        raise ValueError(f"{key} and {prepared} are both in params: prepare takes one")
    return params[prepared] if prepared in params else convert(params[key])


def as_kernel(w):
    """Weights (M, C, ...) of a convolution as kernel (..., C, M)."""
    return jnp.moveaxis(w, (1, 0), (-2, -1))


def kernel(params, key):
    """The kernel of a convolution, whether or not prepare has made it."""
    return in_form(params, key, "kernel", as_kernel)


def group_norm(x, groups, scale, bias):
    """Normalizes groups of channels of x (N, C, ...), then scales channels."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    z = z.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    axes = tuple(range(2, z.ndim))
    z = z - jnp.mean(z, axes, keepdims=True)
    z = z * jax.lax.rsqrt(jnp.mean(z * z, axes, keepdims=True) + 1e-05)
    shape = (1, -1, *[1] * (x.ndim - 2))
    scale, bias = (s.astype(z.dtype).reshape(shape) for s in (scale, bias))
    return (z.reshape(x.shape) * scale + bias).astype(x.dtype)


def reduce_windows(x, start, reduce, window, stride):
    """Reduces windows of the spatial axes of x (N, C, ...), beginning with start."""
    n = x.ndim - 2
    pads = [(0, 0)] * n
    # XLA has channels last around convolutions on a CPU, and cancels the transposes.
    y = jax.lax.reduce_window(
        jnp.moveaxis(x, 1, -1),
        start,
        reduce,
        (1, *(window,) * n, 1),
        (1, *(stride,) * n, 1),
        ((0, 0), *pads, (0, 0)),
    )
    return jnp.moveaxis(y, -1, 1)


def max_pool(x, window, stride):
    """Largest element of each window of x (N, C, ...)."""
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    least = x.dtype.type(-jnp.inf if floating else jnp.iinfo(x.dtype).min)
    return reduce_windows(x, least, jax.lax.max, window, stride)


def avg_pool(x, window, stride):
    """Mean of each window of x (N, C, ...)."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    total = reduce_windows(z, 0.0, jax.lax.add, window, stride)
    return (total / math.prod((window,) * (x.ndim - 2))).astype(x.dtype)


def conv_transpose(x, w, b, stride):
    """Transposed convolution of x (N, C, ...) with w (C, M, ...)."""
    n = x.ndim - 2
    reach = [k - 1 for k in w.shape[2:]]
    pads = [(r, r) for r in reach]
    w = w.swapaxes(0, 1)
    y = jax.lax.conv_general_dilated(
        x,
        jnp.flip(w, tuple(range(2, n + 2))),
        [1] * n,
        pads,
        lhs_dilation=(stride,) * n,
    )
    return y + b.reshape(1, -1, *[1] * n)


def pointwise_conv(x, w, b):
    """Convolution of x (N, C, ...) with weights w (M, C, 1, ...), plus bias b (M,)."""
    n = x.ndim - 2

    def product(x, w):
        y = jnp.inner(jnp.moveaxis(x, 1, -1), w.reshape(w.shape[:2]))
        return jnp.moveaxis(y, -1, 1)

    # XLA has channels last around convolutions on a CPU, and cancels the transposes.
    y = jax.lax.platform_dependent(
        x, w, cpu=product, default=lambda x, w: conv(x, as_kernel(w))
    )
    return y + b.reshape(1, -1, *[1] * n)


@jax.jit
def forward(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Compute the outputs of unet.

    Inputs:
        x: float32[batch,3,32,32]

    Outputs:
        float32[batch,2,32,32]
    """
    hidden = conv(x, kernel(params, "down1.0.weight"), padding=1)
    hidden = group_norm(hidden, 4, params["down1.1.weight"], params["down1.1.bias"])
    hidden = jax.nn.silu(hidden)
    hidden_1 = max_pool(hidden, window=2, stride=2)
    hidden_1 = conv(hidden_1, kernel(params, "down2.0.weight"), padding=1)
    hidden_1 = group_norm(hidden_1, 4, params["down2.1.weight"], params["down2.1.bias"])
    hidden_1 = jax.nn.silu(hidden_1)
    hidden_2 = avg_pool(hidden_1, window=2, stride=2)
    hidden_2 = conv(hidden_2, kernel(params, "middle.0.weight"), padding=1)
    hidden_2 = jax.nn.silu(
        group_norm(hidden_2, 4, params["middle.1.weight"], params["middle.1.bias"])
    )
    up2 = conv_transpose(hidden_2, params["up2.weight"], params["up2.bias"], stride=2)
    up2 = jnp.concatenate([up2, hidden_1], axis=1)
    hidden_1 = conv(up2, kernel(params, "join2.0.weight"), padding=1)
    hidden_1 = jax.nn.silu(
        group_norm(hidden_1, 4, params["join2.1.weight"], params["join2.1.bias"])
    )
    up1 = conv_transpose(hidden_1, params["up1.weight"], params["up1.bias"], stride=2)
    up1 = jnp.concatenate([up1, hidden], axis=1)
    hidden = conv(up1, kernel(params, "join1.0.weight"), padding=1)
    hidden = jax.nn.silu(
        group_norm(hidden, 4, params["join1.1.weight"], params["join1.1.bias"])
    )
    return pointwise_conv(hidden, params["head.weight"], params["head.bias"])


def trainable(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The part of params that PyTorch trains: here, all of it."""
    return dict(params)


def replaced(params, endings, form, convert):
    """Params with arrays replaced by what convert makes of them, under other keys."""
    params = dict(params)
    for key in [key for key in params if f"/.{key}".endswith(endings)]:
        params[prepared_key(key, form)] = convert(params.pop(key))
    return params


# Weights of convolutions, of which prepare makes kernels.
KERNELS = (".0.weight",)


def prepare(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Give parameters the form that inference wants, under keys of their own.

    forward takes what this returns, as it takes params themselves.
    """
    return replaced(params, KERNELS, "kernel", as_kernel)


# The parameters that forward reads.
PARAMS = {
    "down1.0.weight": "float32[8,3,3,3]",
    "down1.1.weight": "float32[8]",
    "down1.1.bias": "float32[8]",
    "down2.0.weight": "float32[16,8,3,3]",
    "down2.1.weight": "float32[16]",
    "down2.1.bias": "float32[16]",
    "middle.0.weight": "float32[32,16,3,3]",
    "middle.1.weight": "float32[32]",
    "middle.1.bias": "float32[32]",
    "up2.weight": "float32[32,16,2,2]",
    "up2.bias": "float32[16]",
    "join2.0.weight": "float32[16,32,3,3]",
    "join2.1.weight": "float32[16]",
    "join2.1.bias": "float32[16]",
    "up1.weight": "float32[16,8,2,2]",
    "up1.bias": "float32[8]",
    "join1.0.weight": "float32[8,16,3,3]",
    "join1.1.weight": "float32[8]",
    "join1.1.bias": "float32[8]",
    "head.weight": "float32[2,8,1,1]",
    "head.bias": "float32[2]",
}


def read_safetensors(path):
    """Map the arrays of a safetensors file, and read its metadata."""
    words = str.maketrans({"F": "float", "I": "int", "U": "uint", "C": "complex"})
    longer = {"float8_e4m3": "float8_e4m3fn", "float8_e8m0": "float8_e8m0fnu"}
    arrays, end = {}, 0
    try:
        data = np.memmap(path, mode="r")
        size = 8 + int.from_bytes(data[:8], "little")
        if size > data.size:
            raise ValueError("the header is cut off")
        header = json.loads(bytes(data[8:size]))
        metadata = dict(header.pop("__metadata__", {}))
        for key in sorted(header, key=lambda key: header[key]["data_offsets"]):
            name = header[key]["dtype"].translate(words).lower()  # BF16 -> bfloat16
            start, stop = header[key]["data_offsets"]
            if not end == start <= stop <= data.size:
                raise ValueError(f"{key} is at {start}:{stop}, not from {end} on")
            x = np.memmap(path, mode="r", offset=size + start, shape=stop - start)
            arrays[key] = x.view(longer.get(name, name)).reshape(header[key]["shape"])
            end = stop
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no sound safetensors file: {error!r}") from error
    return arrays, metadata


def read_checkpoint(path):
    """Map a safetensors file, that in a folder, or all shards; and the metadata."""
    path = Path(path)
    if path.is_dir():
        names = ("model.safetensors", "pytorch_model.bin")
        paths = [path / (name + end) for end in ("", ".index.json") for name in names]
        path = next((place for place in paths if place.exists()), paths[0])
    if any(end in path.suffixes for end in (".bin", ".pt", ".pth")):
        hint = f"oxide_xla checkpoint {path} -o model.safetensors"
        raise ValueError(f"{path} is no safetensors file: run `{hint}`")
    if path.suffix != ".json":
        return read_safetensors(path)
    shards = sorted(set(json.loads(path.read_text())["weight_map"].values()))
    parts = [read_safetensors(path.parent / shard)[0] for shard in shards]
    return {key: x for part in parts for key, x in part.items()}, {}


def check_params(arrays, path, expected, unused=(), strict=True):
    """The parameters of this model, or a ValueError that lists all that do not fit."""
    faults = [f"{key} is missing" for key in expected if key not in arrays]
    for key in expected.keys() & arrays.keys():
        x, shape = arrays[key], ",".join(map(str, arrays[key].shape))
        if "float" not in x.dtype.name or not expected[key].endswith(f"[{shape}]"):
            faults.append(f"{key} is {x.dtype}{list(x.shape)}, not {expected[key]}")
    others = arrays.keys() - expected.keys() if strict or faults else ()
    others = [key for key in others if not f"/.{key}".endswith(unused)]
    faults += [f"{key} is unexpected (strict=False leaves it out)" for key in others]
    if faults:
        faults = [f"{path} does not fit this model:", *sorted(faults)]
        raise ValueError("\n  ".join(faults))
    return {key: arrays[key] for key in expected}


def as_param(key, x, dtype=None, sharding=None):
    """x in JAX, in `dtype`; where it is sharded, each device reads its part."""
    x = x if dtype is None else x.astype(dtype, copy=False)
    place = sharding(key, x.shape) if callable(sharding) else sharding
    place = place[key] if isinstance(place, dict) else place
    if place is None:
        return jax.block_until_ready(jnp.asarray(x))  # one copy waits, not many
    return jax.make_array_from_callback(x.shape, place, x.__getitem__)


def load_params(
    path=None, dtype=None, sharding=None, *, rename=None, strict=True
) -> dict[str, jax.Array]:
    """Read the parameters from the safetensors file beside this module, or at `path`:
    a file, an index of shards, or the folder of either.

    Floating-point ones are cast to `dtype`. `sharding` is one for all, a
    function of name and shape, or a dict; `rename` gives a name of the file the
    one it has here. A ValueError lists all that do not fit this model.
    """
    path = path or __file__.removesuffix(".py") + ".safetensors"
    arrays = read_checkpoint(path)[0]
    arrays = {rename(key): x for key, x in arrays.items()} if rename else arrays
    arrays = check_params(arrays, path, PARAMS, strict=strict)
    return {key: as_param(key, arrays.pop(key), dtype, sharding) for key in [*arrays]}


def refuse_prepared(params, expected, endings, form):
    """PyTorch has no parameters under the keys that prepare gives."""
    endings = tuple(prepared_key(key, form) for key in endings)
    for key in params.keys() - expected.keys():
        if f"/.{key}".endswith(endings):
            raise ValueError(f"{key} is prepared: save what load_params gives instead")


def save_params(params: dict[str, jax.Array], path) -> None:
    """Write a safetensors file that PyTorch loads as a state_dict."""
    refuse_prepared(params, PARAMS, KERNELS, "kernel")
    arrays = [(key, np.asarray(x)) for key, x in params.items()]
    arrays.sort(key=lambda item: -item[1].itemsize)  # which aligns all of them
    kinds = {"bool": "BOOL", "bfloat": "BF", "float": "F", "int": "I", "uint": "U"}
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for key, x in arrays:
        start, end, kind = end, end + x.nbytes, x.dtype.name.rstrip("0123456789")
        name = kinds[kind] + x.dtype.name.removeprefix(kind)
        header[key] = {"dtype": name, "shape": x.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draft = Path(f"{path}.draft")  # the arrays may lie in the file that is replaced
    with open(draft, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(x.tobytes() for _, x in arrays)
    draft.replace(path)
