"""llama in JAX: forward(params, input_ids, attention_mask)"""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

# Sizes of attention, the same wherever the model attends.
NUM_HEADS, NUM_KV_HEADS, HEAD_DIM = 4, 2, 8


def apply_rotary(x, cos, sin):
    """Rotates each pair of elements d / 2 apart in the last axis of x by its angle."""
    low, high = jnp.split(x, 2, axis=-1)
    cos, sin = cos.astype(x.dtype), sin.astype(x.dtype)
    return x * cos + jnp.concatenate([-high, low], axis=-1) * sin


def inverse_rms(x):
    """1 / root mean square of x over its last dimension."""
    z = x.astype(np.promote_types(x.dtype, np.float32))
    return jax.lax.rsqrt(jnp.mean(z * z, -1, keepdims=True) + 1e-06)


def rms_norm(x, weight):
    """Divides x by its root mean square over the last dimension.

    The result has the type of weight.
    """
    scale = inverse_rms(x)
    y = x.astype(scale.dtype) * scale * weight.astype(scale.dtype)
    return y.astype(weight.dtype)


def scope(params, prefix):
    """The entries of params below prefix, under the rest of their names."""
    start = prefix + "."
    return {k.removeprefix(start): v for k, v in params.items() if k.startswith(start)}


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


def llama_attention(params, x, cos, sin, mask):
    """LlamaAttention, such as model.layers.0.self_attn."""
    batch, seq = x.shape[:2]
    q_proj = jnp.inner(x, params["q_proj.weight"])
    k_proj = jnp.inner(x, params["k_proj.weight"])
    v_proj = jnp.inner(x, params["v_proj.weight"])
    query = apply_rotary(q_proj.reshape(batch, seq, NUM_HEADS, HEAD_DIM), cos, sin)
    key = apply_rotary(k_proj.reshape(batch, seq, NUM_KV_HEADS, HEAD_DIM), cos, sin)
    value = v_proj.reshape(batch, seq, NUM_KV_HEADS, HEAD_DIM)
    attended = jax.nn.dot_product_attention(query, key, value, mask=mask)
    attended = attended.reshape(batch, seq, NUM_HEADS * HEAD_DIM)
    return jnp.inner(attended, params["o_proj.weight"])


def llama_decoder_layer(params, x, cos, sin, mask):
    """LlamaDecoderLayer, such as model.layers.0."""
    input_layernorm = rms_norm(x, params["input_layernorm.weight"])
    attended = llama_attention(
        scope(params, "self_attn"), input_layernorm, cos, sin, mask
    )
    x = x + attended
    post_attention_layernorm = rms_norm(x, params["post_attention_layernorm.weight"])
    gate_proj = jnp.inner(post_attention_layernorm, params["mlp.gate_proj.weight"])
    hidden = jax.nn.silu(gate_proj) * jnp.inner(
        post_attention_layernorm, params["mlp.up_proj.weight"]
    )
    return x + jnp.inner(hidden, params["mlp.down_proj.weight"])


@jax.jit
@on_mesh
def forward(
    params: dict[str, jax.Array], input_ids: jax.Array, attention_mask: jax.Array
) -> jax.Array:
    """Compute the outputs of llama.

    Inputs:
        input_ids: int64[batch,seq]
        attention_mask: int64[batch,seq]

    Outputs:
        float32[batch,seq,99]
    """
    seq = input_ids.shape[1]
    mask = attention_mask.astype(bool)[:, None, None]
    mask = jnp.tril(jnp.ones((seq, seq), bool))[None, None] & mask
    positions = jnp.arange(seq)[None, :, None].astype(jnp.float32)
    rotary_emb = positions * params["model.rotary_emb.inv_freq"]
    rotary_emb = jnp.concatenate([rotary_emb, rotary_emb], axis=-1)
    cos = jnp.cos(rotary_emb)[:, :, None]
    sin = jnp.sin(rotary_emb)[:, :, None]
    x = params["model.embed_tokens.weight"][input_ids]
    for i in range(2):
        x = llama_decoder_layer(scope(params, f"model.layers.{i}"), x, cos, sin, mask)
    norm = rms_norm(x, params["model.norm.weight"])
    return jnp.inner(norm, params["lm_head.weight"])


# Parameters that end like this are not trained.
FROZEN = (".inv_freq",)


def trainable(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The part of params that PyTorch trains: floating-point, and not FROZEN."""
    return {
        key: x
        for key, x in params.items()
        if jnp.issubdtype(x.dtype, jnp.floating) and not f"/.{key}".endswith(FROZEN)
    }


# Axes of a mesh, by axis of the parameters that end like this: see shardings.
PARTITION_RULES = {
    ("tensor", "fsdp"): (
        ".embed_tokens.weight",
        ".q_proj.weight",
        ".k_proj.weight",
        ".v_proj.weight",
        ".gate_proj.weight",
        ".up_proj.weight",
        ".lm_head.weight",
    ),
    ("fsdp", "tensor"): (".o_proj.weight", ".down_proj.weight"),
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
    "model.embed_tokens.weight": "float32[99,32]",
    "model.rotary_emb.inv_freq": "float32[4]",
    "model.norm.weight": "float32[32]",
    "lm_head.weight": "float32[99,32]",
}
PARAMS |= {
    f"model.layers.{i}.{name}": value
    for i in range(2)
    for name, value in {
        "input_layernorm.weight": "float32[32]",
        "self_attn.q_proj.weight": "float32[32,32]",
        "self_attn.k_proj.weight": "float32[16,32]",
        "self_attn.v_proj.weight": "float32[16,32]",
        "self_attn.o_proj.weight": "float32[32,32]",
        "post_attention_layernorm.weight": "float32[32]",
        "mlp.gate_proj.weight": "float32[64,32]",
        "mlp.up_proj.weight": "float32[64,32]",
        "mlp.down_proj.weight": "float32[32,64]",
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


# What else a state_dict may have.
UNUSED = (".original_inv_freq",)


# What no state_dict of PyTorch has.
BUFFERS = ("model.rotary_emb.inv_freq",)


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

    Floating-point ones but BUFFERS are cast to `dtype`. `sharding` is one for all, a
    function of name and shape, or a dict; `rename` gives a name of the file the
    one it has here. A ValueError lists all that do not fit this model.
    BUFFERS that are not at `path` come from beside this module.
    """
    own = __file__.removesuffix(".py") + ".safetensors"
    path = path or own
    arrays = read_checkpoint(path)[0]
    arrays = {rename(key): x for key, x in arrays.items()} if rename else arrays
    if lacking := set(BUFFERS) - arrays.keys():
        found = read_safetensors(own)[0]
        arrays |= {key: found[key] for key in lacking & found.keys()}
    arrays = check_params(arrays, path, PARAMS, UNUSED, strict)
    return {
        key: as_param(key, arrays.pop(key), None if key in BUFFERS else dtype, sharding)
        for key in [*arrays]
    }


def save_params(params: dict[str, jax.Array], path) -> None:
    """Write a safetensors file that PyTorch loads as a state_dict."""
    own = Path(__file__.removesuffix(".py") + ".safetensors")
    if Path(path).resolve() != own.resolve():
        params = {k: x for k, x in params.items() if k not in BUFFERS}
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
