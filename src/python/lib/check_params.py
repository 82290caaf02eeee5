"""Whether arrays from a file are the parameters of the model, and how JAX gets them."""

import jax
import jax.numpy as jnp
import numpy as np


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


def name_here(key, names):
    """What a parameter of a checkpoint is called here; # stands for any number."""
    if key in names:
        return names[key]
    parts = key.split(".")
    form = ["#" if part.isdecimal() else part for part in parts]
    numbers = [part for part in parts if part.isdecimal()]
    ends = [end for end in range(len(form) + 1) if ".".join(form[:end]) in names]
    if ends:
        start, rest = form[: ends[-1]], form[ends[-1] :]
        form = names[".".join(start)].split(".") + rest
    return ".".join(numbers.pop(0) if part == "#" else part for part in form if part)


def check_literals(arrays, path, literals):
    """Refuse a file whose buffers differ from what forward has as numbers."""
    for key in literals.keys() & arrays.keys():
        if not np.array_equal(arrays[key], literals[key]):
            raise ValueError(f"{key} differs in {path}: forward has it as numbers")


def check_params(arrays, path, expected, unused=(), strict=True):
    """The parameters of this model, or a ValueError that lists all that do not fit."""
    plain = jax.dtypes.canonicalize_dtype
    faults = [f"{key} is missing" for key in expected if key not in arrays]
    for key in expected.keys() & arrays.keys():
        x, (dtype, shape) = arrays[key], expected[key].rstrip("]").split("[")
        floats = "float" in dtype and "float" in x.dtype.name
        alike = floats or plain(x.dtype) == plain(dtype)
        if not alike or shape != ",".join(map(str, x.shape)):
            faults.append(f"{key} is {x.dtype}{list(x.shape)}, not {expected[key]}")
    others = arrays.keys() - expected.keys() if strict or faults else ()
    others = [key for key in others if not f"/.{key}".endswith(unused)]
    faults += [f"{key} is unexpected (strict=False leaves it out)" for key in others]
    if faults:
        faults = [f"{path} does not fit this model:", *sorted(faults)]
        raise ValueError("\n  ".join(faults))
    return {key: arrays[key] for key in expected}


def check_float_params(arrays, path, expected, unused=(), strict=True):
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
    """x in JAX, floats in `dtype`; where it is sharded, each device reads its part."""
    if dtype is not None and jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(dtype, copy=False)
    place = sharding(key, x.shape) if callable(sharding) else sharding
    place = place[key] if isinstance(place, dict) else place
    if place is None:
        y = jax.block_until_ready(jnp.asarray(x))  # one copy waits, not many
    else:
        y = jax.make_array_from_callback(x.shape, place, x.__getitem__)
    if x.dtype.name in ("int64", "uint64") and not np.array_equal(x, y):
        raise OverflowError(f"{key} needs 64-bit integers: set jax_enable_x64")
    return y


def as_params(arrays, dtype=None, sharding=None, buffers=()):
    """All of them in JAX; buffers keep their type.  Arrays are let go one by one."""
    return {
        key: as_param(key, arrays.pop(key), None if key in buffers else dtype, sharding)
        for key in [*arrays]
    }


def as_float_param(key, x, dtype=None, sharding=None):
    """x in JAX, in `dtype`; where it is sharded, each device reads its part."""
    x = x if dtype is None else x.astype(dtype, copy=False)
    place = sharding(key, x.shape) if callable(sharding) else sharding
    place = place[key] if isinstance(place, dict) else place
    if place is None:
        return jax.block_until_ready(jnp.asarray(x))  # one copy waits, not many
    return jax.make_array_from_callback(x.shape, place, x.__getitem__)
