"""bert in JAX: forward(params, input_ids, attention_mask, token_type_ids)"""

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


def linear(params, x):
    """Linear, such as bert.encoder.layer.0.attention.self.query."""
    return jnp.inner(x, params["weight"]) + params["bias"]


def bert_self_output(params, x, residual):
    """BertSelfOutput, such as bert.encoder.layer.0.attention.output."""
    hidden = linear(scope(params, "dense"), x) + residual
    return layer_norm(hidden, params["LayerNorm.weight"], params["LayerNorm.bias"])


def bert_attention(params, x, mask):
    """BertAttention, such as bert.encoder.layer.0.attention."""
    batch, seq = x.shape[:2]
    query = linear(scope(params, "self.query"), x)
    key = linear(scope(params, "self.key"), x).reshape(batch, seq, NUM_HEADS, HEAD_DIM)
    value = linear(scope(params, "self.value"), x)
    query = query.reshape(batch, seq, NUM_HEADS, HEAD_DIM)
    value = value.reshape(batch, seq, NUM_HEADS, HEAD_DIM)
    attended = jax.nn.dot_product_attention(query, key, value, mask=mask)
    attended = attended.reshape(batch, seq, NUM_HEADS * HEAD_DIM)
    return bert_self_output(scope(params, "output"), attended, x)


def bert_layer(params, x, mask):
    """BertLayer, such as bert.encoder.layer.0."""
    x = bert_attention(scope(params, "attention"), x, mask)
    hidden = gelu(linear(scope(params, "intermediate.dense"), x))
    return bert_self_output(scope(params, "output"), hidden, x)


@jax.jit
@on_mesh
def forward(
    params: dict[str, jax.Array],
    input_ids: jax.Array,
    attention_mask: jax.Array,
    token_type_ids: jax.Array,
) -> jax.Array:
    """Compute the outputs of bert.

    Inputs:
        input_ids: int64[batch,seq]
        attention_mask: int64[batch,seq]
        token_type_ids: int64[batch,seq]

    Outputs:
        float32[batch,seq,99]
    """
    seq = input_ids.shape[1]
    embeddings = scope(params, "bert.embeddings")
    x = (
        embeddings["word_embeddings.weight"][input_ids]
        + embeddings["token_type_embeddings.weight"][token_type_ids]
    )
    position_embeddings = x + embeddings["position_embeddings.weight"][None, :seq]
    x = layer_norm(
        position_embeddings,
        embeddings["LayerNorm.weight"],
        embeddings["LayerNorm.bias"],
    )
    mask = attention_mask.astype(bool)[:, None, None]
    for i in range(2):
        x = bert_layer(scope(params, f"bert.encoder.layer.{i}"), x, mask)
    transform = scope(params, "cls.predictions.transform")
    hidden = gelu(linear(scope(transform, "dense"), x))
    layernorm = layer_norm(
        hidden, transform["LayerNorm.weight"], transform["LayerNorm.bias"]
    )
    word_embeddings = jnp.inner(layernorm, embeddings["word_embeddings.weight"])
    return word_embeddings + params["cls.predictions.bias"]


def trainable(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The part of params that PyTorch trains: here, all of it."""
    return dict(params)


# Axes of a mesh, by axis of the parameters that end like this: see shardings.
PARTITION_RULES = {
    ("tensor", "fsdp"): (
        ".word_embeddings.weight",
        ".query.weight",
        ".key.weight",
        ".value.weight",
        ".intermediate.dense.weight",
    ),
    (None, "fsdp"): (".token_type_embeddings.weight", ".transform.dense.weight"),
    ("fsdp",): (".position_embeddings.weight",),
    ("tensor",): (
        ".query.bias",
        ".key.bias",
        ".value.bias",
        ".intermediate.dense.bias",
        ".predictions.bias",
    ),
    ("fsdp", "tensor"): (".output.dense.weight",),
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
    "bert.embeddings.word_embeddings.weight": "float32[99,32]",
    "bert.embeddings.token_type_embeddings.weight": "float32[2,32]",
    "bert.embeddings.position_embeddings.weight": "float32[64,32]",
    "bert.embeddings.LayerNorm.weight": "float32[32]",
    "bert.embeddings.LayerNorm.bias": "float32[32]",
    "cls.predictions.transform.dense.weight": "float32[32,32]",
    "cls.predictions.transform.dense.bias": "float32[32]",
    "cls.predictions.transform.LayerNorm.weight": "float32[32]",
    "cls.predictions.transform.LayerNorm.bias": "float32[32]",
    "cls.predictions.bias": "float32[99]",
}
PARAMS |= {
    f"bert.encoder.layer.{i}.{name}": value
    for i in range(2)
    for name, value in {
        "attention.self.query.weight": "float32[32,32]",
        "attention.self.query.bias": "float32[32]",
        "attention.self.key.weight": "float32[32,32]",
        "attention.self.key.bias": "float32[32]",
        "attention.self.value.weight": "float32[32,32]",
        "attention.self.value.bias": "float32[32]",
        "attention.output.dense.weight": "float32[32,32]",
        "attention.output.dense.bias": "float32[32]",
        "attention.output.LayerNorm.weight": "float32[32]",
        "attention.output.LayerNorm.bias": "float32[32]",
        "intermediate.dense.weight": "float32[64,32]",
        "intermediate.dense.bias": "float32[64]",
        "output.dense.weight": "float32[32,64]",
        "output.dense.bias": "float32[32]",
        "output.LayerNorm.weight": "float32[32]",
        "output.LayerNorm.bias": "float32[32]",
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
TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


# What else a state_dict may have.
UNUSED = (".position_ids", ".token_type_ids")


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
    arrays = check_params(arrays, path, PARAMS, UNUSED, strict)
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
