"""tv_resnet in JAX: forward(params, x)"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


def batch_norm(x, scale, bias, mean, var):
    """Normalizes channels of x (N, C, ...) by their running mean and variance (C,)."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    shape = (1, -1, *[1] * (x.ndim - 2))
    stats = [s.astype(z.dtype).reshape(shape) for s in (scale, bias, mean, var)]
    scale, bias, mean, var = stats
    y = (z - mean) * (scale * jax.lax.rsqrt(var + 1e-05)) + bias
    return y.astype(x.dtype)


def conv(x, w, stride=1, padding=0):
    """Convolution of x (N, C, ...) with kernel w (..., C, M)."""
    n = x.ndim - 2
    axes = "XYZUVW"[:n]
    return jax.lax.conv_general_dilated(
        x,
        w,
        (stride,) * n,
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


def scope(params, prefix):
    """The entries of params below prefix, under the rest of their names."""
    start = prefix + "."
    return {k.removeprefix(start): v for k, v in params.items() if k.startswith(start)}


def pointwise_conv(x, w, stride):
    """Convolution of x (N, C, ...) with weights w (M, C, 1, ...)."""
    n = x.ndim - 2

    def product(x, w):
        if stride != 1:
            steps = (1, 1, *(stride,) * n)
            x = jax.lax.slice(x, (0,) * x.ndim, x.shape, steps)
        y = jnp.inner(jnp.moveaxis(x, 1, -1), w.reshape(w.shape[:2]))
        return jnp.moveaxis(y, -1, 1)

    # XLA has channels last around convolutions on a CPU, and cancels the transposes.
    return jax.lax.platform_dependent(
        x, w, cpu=product, default=lambda x, w: conv(x, as_kernel(w), stride)
    )


def reduce_windows(x, start, reduce, window, stride, padding):
    """Reduces windows of the spatial axes of x (N, C, ...), beginning with start."""
    n = x.ndim - 2
    pads = [(padding, padding)] * n
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


def max_pool(x, window, stride, padding):
    """Largest element of each window of x (N, C, ...)."""
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    least = x.dtype.type(-jnp.inf if floating else jnp.iinfo(x.dtype).min)
    return reduce_windows(x, least, jax.lax.max, window, stride, padding)


def global_mean(x):
    """The mean of each channel of x (N, C, ...), at least in float32, rounded once.

    On a CPU it is a product with ones: XLA would fuse a sum with the layers before it,
    and compute them slowly (jax#37465).
    """
    axes = tuple(range(2, x.ndim))

    def product(x):
        z = x.astype(np.promote_types(x.dtype, np.float32))
        ones = jnp.ones(x.shape[2:], z.dtype)
        mean = jnp.tensordot(z, ones, ones.ndim, precision="highest") / ones.size
        return mean.astype(x.dtype)

    def mean(x):
        return jnp.mean(x, axes)

    return jax.lax.platform_dependent(x, cpu=product, default=mean)


def batch_norm2d(params, x):
    """BatchNorm2d, such as bn1."""
    return batch_norm(
        x,
        params["weight"],
        params["bias"],
        params["running_mean"],
        params["running_var"],
    )


def basic_block(params, x):
    """BasicBlock, such as layer2.0."""
    conv1 = conv(x, kernel(params, "conv1.weight"), stride=2, padding=1)
    hidden = jax.nn.relu(batch_norm2d(scope(params, "bn1"), conv1))
    conv2 = conv(hidden, kernel(params, "conv2.weight"), padding=1)
    hidden = pointwise_conv(x, params["downsample.0.weight"], stride=2)
    hidden = batch_norm2d(scope(params, "bn2"), conv2) + batch_norm2d(
        scope(params, "downsample.1"), hidden
    )
    return jax.nn.relu(hidden)


@jax.jit
def forward(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Compute the outputs of tv_resnet.

    Inputs:
        x: float32[batch,3,64,64]

    Outputs:
        float32[batch,10]
    """
    conv1 = conv(x, kernel(params, "conv1.weight"), stride=2, padding=3)
    hidden = jax.nn.relu(batch_norm2d(scope(params, "bn1"), conv1))
    hidden = max_pool(hidden, window=3, stride=2, padding=1)
    conv1 = conv(hidden, kernel(params, "layer1.0.conv1.weight"), padding=1)
    hidden_1 = jax.nn.relu(batch_norm2d(scope(params, "layer1.0.bn1"), conv1))
    conv2 = conv(hidden_1, kernel(params, "layer1.0.conv2.weight"), padding=1)
    hidden = batch_norm2d(scope(params, "layer1.0.bn2"), conv2) + hidden
    x = jax.nn.relu(hidden)
    for i in range(2, 5):
        x = basic_block(scope(params, f"layer{i}.0"), x)
    return jnp.inner(global_mean(x), params["fc.weight"]) + params["fc.bias"]


# Parameters that end like this are not trained.
FROZEN = (".running_mean", ".running_var")


def trainable(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The part of params that PyTorch trains: floating-point, and not FROZEN."""
    return {
        key: x
        for key, x in params.items()
        if jnp.issubdtype(x.dtype, jnp.floating) and not f"/.{key}".endswith(FROZEN)
    }


def replaced(params, endings, form, convert):
    """Params with arrays replaced by what convert makes of them, under other keys."""
    params = dict(params)
    for key in [key for key in params if f"/.{key}".endswith(endings)]:
        params[prepared_key(key, form)] = convert(params.pop(key))
    return params


# Weights of convolutions, of which prepare makes kernels.
KERNELS = (".conv1.weight", ".conv2.weight")


def prepare(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Give parameters the form that inference wants, under keys of their own.

    forward takes what this returns, as it takes params themselves.
    """
    return replaced(params, KERNELS, "kernel", as_kernel)


# The parameters that forward reads.
PARAMS = {
    "conv1.weight": "float32[64,3,7,7]",
    "bn1.weight": "float32[64]",
    "bn1.bias": "float32[64]",
    "bn1.running_mean": "float32[64]",
    "bn1.running_var": "float32[64]",
    "layer1.0.conv1.weight": "float32[64,64,3,3]",
    "layer1.0.bn1.weight": "float32[64]",
    "layer1.0.bn1.bias": "float32[64]",
    "layer1.0.bn1.running_mean": "float32[64]",
    "layer1.0.bn1.running_var": "float32[64]",
    "layer1.0.conv2.weight": "float32[64,64,3,3]",
    "layer1.0.bn2.weight": "float32[64]",
    "layer1.0.bn2.bias": "float32[64]",
    "layer1.0.bn2.running_mean": "float32[64]",
    "layer1.0.bn2.running_var": "float32[64]",
    "layer2.0.conv1.weight": "float32[128,64,3,3]",
    "layer2.0.bn1.weight": "float32[128]",
    "layer2.0.bn1.bias": "float32[128]",
    "layer2.0.bn1.running_mean": "float32[128]",
    "layer2.0.bn1.running_var": "float32[128]",
    "layer2.0.conv2.weight": "float32[128,128,3,3]",
    "layer2.0.bn2.weight": "float32[128]",
    "layer2.0.bn2.bias": "float32[128]",
    "layer2.0.bn2.running_mean": "float32[128]",
    "layer2.0.bn2.running_var": "float32[128]",
    "layer2.0.downsample.0.weight": "float32[128,64,1,1]",
    "layer2.0.downsample.1.weight": "float32[128]",
    "layer2.0.downsample.1.bias": "float32[128]",
    "layer2.0.downsample.1.running_mean": "float32[128]",
    "layer2.0.downsample.1.running_var": "float32[128]",
    "layer3.0.conv1.weight": "float32[256,128,3,3]",
    "layer3.0.bn1.weight": "float32[256]",
    "layer3.0.bn1.bias": "float32[256]",
    "layer3.0.bn1.running_mean": "float32[256]",
    "layer3.0.bn1.running_var": "float32[256]",
    "layer3.0.conv2.weight": "float32[256,256,3,3]",
    "layer3.0.bn2.weight": "float32[256]",
    "layer3.0.bn2.bias": "float32[256]",
    "layer3.0.bn2.running_mean": "float32[256]",
    "layer3.0.bn2.running_var": "float32[256]",
    "layer3.0.downsample.0.weight": "float32[256,128,1,1]",
    "layer3.0.downsample.1.weight": "float32[256]",
    "layer3.0.downsample.1.bias": "float32[256]",
    "layer3.0.downsample.1.running_mean": "float32[256]",
    "layer3.0.downsample.1.running_var": "float32[256]",
    "layer4.0.conv1.weight": "float32[512,256,3,3]",
    "layer4.0.bn1.weight": "float32[512]",
    "layer4.0.bn1.bias": "float32[512]",
    "layer4.0.bn1.running_mean": "float32[512]",
    "layer4.0.bn1.running_var": "float32[512]",
    "layer4.0.conv2.weight": "float32[512,512,3,3]",
    "layer4.0.bn2.weight": "float32[512]",
    "layer4.0.bn2.bias": "float32[512]",
    "layer4.0.bn2.running_mean": "float32[512]",
    "layer4.0.bn2.running_var": "float32[512]",
    "layer4.0.downsample.0.weight": "float32[512,256,1,1]",
    "layer4.0.downsample.1.weight": "float32[512]",
    "layer4.0.downsample.1.bias": "float32[512]",
    "layer4.0.downsample.1.running_mean": "float32[512]",
    "layer4.0.downsample.1.running_var": "float32[512]",
    "fc.weight": "float32[10,512]",
    "fc.bias": "float32[10]",
}


# What else a state_dict may have.
UNUSED = (".num_batches_tracked",)


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
    arrays = check_params(arrays, path, PARAMS, UNUSED, strict)
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
