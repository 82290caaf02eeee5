"""vit in JAX: forward(params, pixel_values)"""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

# Sizes of attention, the same wherever the model attends.
NUM_HEADS, HEAD_DIM = 4, 8


def scope(params, prefix):
    """The entries of params below prefix, under the rest of their names."""
    start = prefix + "."
    return {k.removeprefix(start): v for k, v in params.items() if k.startswith(start)}


def layer_norm(x, weight, bias):
    """Normalizes x over its last dimension, scales it, adds bias."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    z = z - jnp.mean(z, -1, keepdims=True)
    z = z * jax.lax.rsqrt(jnp.mean(z * z, -1, keepdims=True) + 1e-12)
    y = z * weight.astype(z.dtype)
    y = y + bias.astype(z.dtype)
    return y.astype(x.dtype)


def gelu(x):
    """x times the normal distribution function of x, by erf, as PyTorch computes it."""
    # jax.nn.gelu takes erfc, which is twice as slow on a CPU
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return (0.5 * z * (1 + jax.lax.erf(0.5**0.5 * z))).astype(x.dtype)


def on_mesh(function):
    """Let XLA shard what lies inside, also where the axes of the mesh are explicit.

    Results are sharded along their first axis, as the first input of that length is.
    """

    def call(params, *inputs, **named):
        mesh, kinds = jax.sharding.get_abstract_mesh(), jax.sharding.AxisType
        if kinds.Explicit not in mesh.axis_types:
            return function(params, *inputs, **named)
        given = [jax.typeof(x) for x in jax.tree.leaves((inputs, named))]
        first = {x.shape[0]: x.sharding.spec[0] for x in given[::-1] if x.ndim}

        def freed(x):
            return jax.sharding.reshard(x, jax.sharding.PartitionSpec())

        def placed(y):
            axes = [first.get(n) for n in y.shape[:1]]
            return jax.sharding.reshard(y, jax.sharding.PartitionSpec(*axes))

        types = [kinds.Auto if t == kinds.Explicit else t for t in mesh.axis_types]
        inside = mesh.update(axis_types=tuple(types))
        with jax.sharding.use_abstract_mesh(inside):
            params, inputs, named = jax.tree.map(freed, (params, inputs, named))
            result = function(params, *inputs, **named)
        return jax.tree.map(placed, result)

    return functools.wraps(function)(call)


def conv(x, w, b, stride):
    """Convolution of x (N, C, ...) with kernel w (..., C, M), plus b (M,)."""
    n = x.ndim - 2
    axes = "XYZUVW"[:n]
    y = jax.lax.conv_general_dilated(
        x,
        w,
        (stride,) * n,
        [(0, 0)] * n,
        dimension_numbers=(f"NC{axes}", f"{axes}IO", f"NC{axes}"),
    )
    return y + b.reshape(1, -1, *[1] * n)


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


def linear(params, x):
    """Linear, such as vit.layers.0.attention.q_proj."""
    return jnp.inner(x, params["weight"]) + params["bias"]


def vit_attention(params, x):
    """ViTAttention, such as vit.layers.0.attention."""
    batch = x.shape[0]
    query = linear(scope(params, "q_proj"), x).reshape(batch, 17, NUM_HEADS, HEAD_DIM)
    key = linear(scope(params, "k_proj"), x).reshape(batch, 17, NUM_HEADS, HEAD_DIM)
    value = linear(scope(params, "v_proj"), x).reshape(batch, 17, NUM_HEADS, HEAD_DIM)
    attended = jax.nn.dot_product_attention(query, key, value)
    attended = attended.reshape(batch, 17, NUM_HEADS * HEAD_DIM)
    return linear(scope(params, "o_proj"), attended)


def vit_layer(params, x):
    """ViTLayer, such as vit.layers.0."""
    layernorm_before = layer_norm(
        x, params["layernorm_before.weight"], params["layernorm_before.bias"]
    )
    x = vit_attention(scope(params, "attention"), layernorm_before) + x
    layernorm_after = layer_norm(
        x, params["layernorm_after.weight"], params["layernorm_after.bias"]
    )
    hidden = gelu(linear(scope(params, "mlp.fc1"), layernorm_after))
    return linear(scope(params, "mlp.fc2"), hidden) + x


@jax.jit
@on_mesh
def forward(params: dict[str, jax.Array], pixel_values: jax.Array) -> jax.Array:
    """Compute the outputs of vit.

    Inputs:
        pixel_values: float32[batch,3,32,32]

    Outputs:
        float32[batch,2]
    """
    batch = pixel_values.shape[0]
    projection = conv(
        pixel_values,
        kernel(params, "vit.embeddings.patch_embeddings.projection.weight"),
        params["vit.embeddings.patch_embeddings.projection.bias"],
        stride=8,
    )
    embeddings = jnp.broadcast_to(params["vit.embeddings.cls_token"], (batch, 1, 32))
    projection = projection.reshape(batch, 32, 16).swapaxes(-1, -2)
    embeddings = jnp.concatenate([embeddings, projection], axis=1)
    x = embeddings + params["vit.embeddings.position_embeddings"]
    for i in range(2):
        x = vit_layer(scope(params, f"vit.layers.{i}"), x)
    layernorm = layer_norm(
        x, params["vit.layernorm.weight"], params["vit.layernorm.bias"]
    )
    return (
        jnp.inner(layernorm[:, 0], params["classifier.weight"])
        + params["classifier.bias"]
    )


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
KERNELS = (".projection.weight",)


def prepare(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Give parameters the form that inference wants, under keys of their own.

    forward takes what this returns, as it takes params themselves.
    """
    return replaced(params, KERNELS, "kernel", as_kernel)


# Axes of a mesh, by axis of the parameters that end like this: see shardings.
PARTITION_RULES = {
    ("fsdp",): (".projection.weight",),
    (None, None, "fsdp"): (".cls_token", ".position_embeddings"),
    ("tensor", "fsdp"): (
        ".q_proj.weight",
        ".k_proj.weight",
        ".v_proj.weight",
        ".fc1.weight",
        ".classifier.weight",
    ),
    ("tensor",): (
        ".q_proj.bias",
        ".k_proj.bias",
        ".v_proj.bias",
        ".fc1.bias",
        ".classifier.bias",
    ),
    ("fsdp", "tensor"): (".o_proj.weight", ".fc2.weight"),
}


def sharding_of(key, shape, mesh):
    """The sharding of a parameter by PARTITION_RULES.

    Axes that the mesh lacks, or that do not divide a size, are left out.
    """
    axes = (a for a, ends in PARTITION_RULES.items() if f"/.{key}".endswith(ends))
    axes = (None,) * key.count("*") + next(axes, ())  # a stack of layers
    fits = (a in mesh.shape and n % mesh.shape[a] == 0 for a, n in zip(axes, shape))
    axes = (a if fit else None for a, fit in zip(axes, fits))
    spec = jax.sharding.PartitionSpec(*axes)
    return jax.sharding.NamedSharding(mesh, spec)


def shardings(params, mesh):
    """The sharding of each of params, or of what has their shapes, on a mesh."""
    return {key: sharding_of(key, x.shape, mesh) for key, x in params.items()}


# The parameters that forward reads.
PARAMS = {
    "vit.embeddings.patch_embeddings.projection.weight": "float32[32,3,8,8]",
    "vit.embeddings.patch_embeddings.projection.bias": "float32[32]",
    "vit.embeddings.cls_token": "float32[1,1,32]",
    "vit.embeddings.position_embeddings": "float32[1,17,32]",
    "vit.layernorm.weight": "float32[32]",
    "vit.layernorm.bias": "float32[32]",
    "classifier.weight": "float32[2,32]",
    "classifier.bias": "float32[2]",
}
PARAMS |= {
    f"vit.layers.{i}.{name}": value
    for i in range(2)
    for name, value in {
        "layernorm_before.weight": "float32[32]",
        "layernorm_before.bias": "float32[32]",
        "attention.q_proj.weight": "float32[32,32]",
        "attention.q_proj.bias": "float32[32]",
        "attention.k_proj.weight": "float32[32,32]",
        "attention.k_proj.bias": "float32[32]",
        "attention.v_proj.weight": "float32[32,32]",
        "attention.v_proj.bias": "float32[32]",
        "attention.o_proj.weight": "float32[32,32]",
        "attention.o_proj.bias": "float32[32]",
        "layernorm_after.weight": "float32[32]",
        "layernorm_after.bias": "float32[32]",
        "mlp.fc1.weight": "float32[64,32]",
        "mlp.fc1.bias": "float32[64]",
        "mlp.fc2.weight": "float32[32,64]",
        "mlp.fc2.bias": "float32[32]",
    }.items()
}


def described(text):
    """The shape and type of a parameter that PARAMS has as text."""
    dtype, sizes = text.rstrip("]").split("[")
    shape = tuple(int(n) for n in sizes.split(",") if n)
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype))


def abstract_params() -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of params, for shardings, before anything is loaded."""
    return {key: described(text) for key, text in PARAMS.items()}


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
