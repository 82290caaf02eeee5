"""lstm_seq2seq in JAX: forward(params, source, target)"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


def of_state(r, rows):
    """What a step multiplies states (rows, H) by, of weights r (..., H)."""
    # an array of its own, which a CPU need not reorder in each step, but for one row
    return r.T if rows == 1 else jax.lax.optimization_barrier(r.T)


def first_state(state, x, w_hh):
    """The first state (B, H), or zeros, for x (T, B, I)."""
    return jnp.zeros((x.shape[1], w_hh.shape[1]), x.dtype) if state is None else state


def lstm_layer(x, w_ih, w_hh, b, h=None, c=None, reverse=False):
    """LSTM over x (T, B, I): y (T, B, H) and the last states (B, H).

    Gates are input, forget, cell, output: w_ih (4H, I), w_hh (4H, H), b (4H,).
    h and c may be the first states (B, H).
    """
    r = of_state(w_hh, x.shape[1])
    x = jnp.inner(x, w_ih)
    x = x + b[None, None]

    def step(state, x_t):
        h, c = state
        gates = x_t + h @ r
        cell = jnp.tanh(jnp.split(gates, 4, axis=-1)[2])
        i, forget, _, o = jnp.split(jax.nn.sigmoid(gates), 4, axis=-1)
        c = forget * c + i * cell
        h = o * jnp.tanh(c)
        return (h, c), h

    state = first_state(h, x, w_hh), first_state(c, x, w_hh)
    (h, c), y = jax.lax.scan(step, state, x, reverse=reverse)
    return y, h, c


@jax.jit
def forward(
    params: dict[str, jax.Array], source: jax.Array, target: jax.Array
) -> jax.Array:
    """Compute the outputs of lstm_seq2seq.

    Inputs:
        source: int64[batch,seq]
        target: int64[batch,target]

    Outputs:
        output: float32[batch,target,40]
    """
    embed = params["embed.weight"][source].transpose(1, 0, 2)
    encoder = lstm_layer(
        embed,
        params["encoder.weight_ih_l0"],
        params["encoder.weight_hh_l0"],
        params["encoder.bias_ih_l0"] + params["encoder.bias_hh_l0"],
    )[0]
    encoder_1 = lstm_layer(
        embed,
        params["encoder.weight_ih_l0_reverse"],
        params["encoder.weight_hh_l0_reverse"],
        params["encoder.bias_ih_l0_reverse"] + params["encoder.bias_hh_l0_reverse"],
        reverse=True,
    )[0]
    encoder = jnp.concatenate([encoder, encoder_1], axis=2)
    _, h, c = lstm_layer(
        encoder,
        params["encoder.weight_ih_l1"],
        params["encoder.weight_hh_l1"],
        params["encoder.bias_ih_l1"] + params["encoder.bias_hh_l1"],
    )
    _, h_1, c_1 = lstm_layer(
        encoder,
        params["encoder.weight_ih_l1_reverse"],
        params["encoder.weight_hh_l1_reverse"],
        params["encoder.bias_ih_l1_reverse"] + params["encoder.bias_hh_l1_reverse"],
        reverse=True,
    )
    embed = params["embed.weight"][target].transpose(1, 0, 2)
    h = jnp.concatenate([h, h_1], axis=-1)
    c = jnp.concatenate([c, c_1], axis=-1)
    decoder = lstm_layer(
        embed,
        params["decoder.weight_ih_l0"],
        params["decoder.weight_hh_l0"],
        params["decoder.bias_ih_l0"] + params["decoder.bias_hh_l0"],
        h=h,
        c=c,
    )[0]
    head = jnp.inner(decoder.transpose(1, 0, 2), params["head.weight"])
    return params["head.bias"] + head


def trainable(params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The part of params that PyTorch trains: here, all of it."""
    return dict(params)


# The parameters that forward reads.
PARAMS = {
    "embed.weight": "float32[40,16]",
    "encoder.weight_ih_l0": "float32[96,16]",
    "encoder.weight_hh_l0": "float32[96,24]",
    "encoder.bias_ih_l0": "float32[96]",
    "encoder.bias_hh_l0": "float32[96]",
    "encoder.weight_ih_l0_reverse": "float32[96,16]",
    "encoder.weight_hh_l0_reverse": "float32[96,24]",
    "encoder.bias_ih_l0_reverse": "float32[96]",
    "encoder.bias_hh_l0_reverse": "float32[96]",
    "encoder.weight_ih_l1": "float32[96,48]",
    "encoder.weight_hh_l1": "float32[96,24]",
    "encoder.bias_ih_l1": "float32[96]",
    "encoder.bias_hh_l1": "float32[96]",
    "encoder.weight_ih_l1_reverse": "float32[96,48]",
    "encoder.weight_hh_l1_reverse": "float32[96,24]",
    "encoder.bias_ih_l1_reverse": "float32[96]",
    "encoder.bias_hh_l1_reverse": "float32[96]",
    "decoder.weight_ih_l0": "float32[192,16]",
    "decoder.weight_hh_l0": "float32[192,48]",
    "decoder.bias_ih_l0": "float32[192]",
    "decoder.bias_hh_l0": "float32[192]",
    "head.weight": "float32[40,48]",
    "head.bias": "float32[40]",
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


def save_params(params: dict[str, jax.Array], path) -> None:
    """Write a safetensors file that PyTorch loads as a state_dict."""
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
