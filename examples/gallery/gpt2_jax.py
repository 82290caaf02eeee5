"""gpt2 in JAX: forward(params, input_ids, attention_mask)"""

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
    z = z * jax.lax.rsqrt(jnp.mean(z * z, -1, keepdims=True) + 1e-05)
    y = z * weight.astype(z.dtype)
    y = y + bias.astype(z.dtype)
    return y.astype(x.dtype)


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


def conv1d(params, x, size=32):
    """Conv1D, such as transformer.h.0.attn.c_attn."""
    batch, seq, width = x.shape
    hidden = x.reshape(-1, width) @ params["weight"] + params["bias"]
    return hidden.reshape(batch, seq, size)


def gpt2_attention(params, x, mask):
    """GPT2Attention, such as transformer.h.0.attn."""
    batch, seq = x.shape[:2]
    hidden = jnp.split(conv1d(scope(params, "c_attn"), x, size=96), 3, axis=2)
    query = hidden[0].reshape(batch, seq, NUM_HEADS, HEAD_DIM)
    key = hidden[1].reshape(batch, seq, NUM_HEADS, HEAD_DIM)
    value = hidden[2].reshape(batch, seq, NUM_HEADS, HEAD_DIM)
    attended = jax.nn.dot_product_attention(query, key, value, mask=mask)
    attended = attended.reshape(batch, seq, NUM_HEADS * HEAD_DIM)
    return conv1d(scope(params, "c_proj"), attended)


def gpt2_block(params, x, mask):
    """GPT2Block, such as transformer.h.0."""
    ln_1 = layer_norm(x, params["ln_1.weight"], params["ln_1.bias"])
    x = gpt2_attention(scope(params, "attn"), ln_1, mask) + x
    ln_1 = layer_norm(x, params["ln_2.weight"], params["ln_2.bias"])
    hidden = jax.nn.gelu(conv1d(scope(params, "mlp.c_fc"), ln_1, size=128))
    return x + conv1d(scope(params, "mlp.c_proj"), hidden)


@jax.jit
@on_mesh
def forward(
    params: dict[str, jax.Array], input_ids: jax.Array, attention_mask: jax.Array
) -> jax.Array:
    """Compute the outputs of gpt2.

    Inputs:
        input_ids: int64[batch,seq]
        attention_mask: int64[batch,seq]

    Outputs:
        float32[batch,seq,99]
    """
    seq = input_ids.shape[1]
    x = (
        params["transformer.wte.weight"][input_ids]
        + params["transformer.wpe.weight"][None, :seq]
    )
    mask = attention_mask.astype(bool)[:, None, None]
    mask = jnp.tril(jnp.ones((seq, seq), bool))[None, None] & mask
    for i in range(2):
        x = gpt2_block(scope(params, f"transformer.h.{i}"), x, mask)
    ln_f = layer_norm(
        x, params["transformer.ln_f.weight"], params["transformer.ln_f.bias"]
    )
    return jnp.inner(ln_f, params["transformer.wte.weight"])


def trainable(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The part of params that PyTorch trains: here, all of it."""
    return dict(params)


# Axes of a mesh, by axis of the parameters that end like this: see shardings.
PARTITION_RULES = {
    ("tensor", "fsdp"): (".wte.weight", ".mlp.c_proj.weight"),
    ("fsdp",): (".wpe.weight",),
    (None, "fsdp"): (".c_attn.weight", ".attn.c_proj.weight"),
    ("fsdp", "tensor"): (".c_fc.weight",),
    ("tensor",): (".c_fc.bias",),
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
    "transformer.wte.weight": "float32[99,32]",
    "transformer.wpe.weight": "float32[64,32]",
    "transformer.ln_f.weight": "float32[32]",
    "transformer.ln_f.bias": "float32[32]",
}
PARAMS |= {
    f"transformer.h.{i}.{name}": value
    for i in range(2)
    for name, value in {
        "ln_1.weight": "float32[32]",
        "ln_1.bias": "float32[32]",
        "attn.c_attn.weight": "float32[32,96]",
        "attn.c_attn.bias": "float32[96]",
        "attn.c_proj.weight": "float32[32,32]",
        "attn.c_proj.bias": "float32[32]",
        "ln_2.weight": "float32[32]",
        "ln_2.bias": "float32[32]",
        "mlp.c_fc.weight": "float32[32,128]",
        "mlp.c_fc.bias": "float32[128]",
        "mlp.c_proj.weight": "float32[128,32]",
        "mlp.c_proj.bias": "float32[32]",
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


# Other names of parameters in PyTorch's state_dict.
TIED = {"lm_head.weight": "transformer.wte.weight"}


def untie(arrays, path, tied):
    """Take a tied parameter by either of its names, to the one that forward reads."""
    for name in arrays.keys() & tied.keys():
        value = arrays.pop(name)
        kept = arrays.setdefault(tied[name], value)
        if kept is not value and not np.array_equal(kept, value, equal_nan=True):
            raise ValueError(
                f"{name} and {tied[name]} differ in {path}, but are one parameter "
                "here: where the module does not tie them, export with the bridge"
            )
    return arrays


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
    arrays = untie(arrays, path, TIED)
    arrays = check_params(arrays, path, PARAMS, strict=strict)
    return {key: as_param(key, arrays.pop(key), dtype, sharding) for key in [*arrays]}


def save_params(params: dict[str, jax.Array], path) -> None:
    """Write a safetensors file that PyTorch loads as a state_dict."""
    params = params | {name: params[kept] for name, kept in TIED.items()}
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
