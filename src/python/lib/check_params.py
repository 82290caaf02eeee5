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
        lines = [f"{path} does not fit this model:", *sorted(faults)]
        raise ValueError("\n  ".join(lines))
    return {key: arrays[key] for key in expected}


def as_param(key, array, dtype=None, sharding=None):
    """The array in JAX: floats in `dtype`, integers only where none would wrap."""
    if dtype is not None and jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(dtype, copy=False)
    place = sharding(key, array.shape) if callable(sharding) else sharding
    place = place[key] if isinstance(place, dict) else place
    if place is None:
        x = jnp.asarray(array)
    else:  # each device's part alone is read
        x = jax.make_array_from_callback(array.shape, place, array.__getitem__)
    wide = array.dtype.name in ("int64", "uint64")
    if wide and not np.array_equal(x, array):
        raise OverflowError(f"{key} needs 64-bit integers: set jax_enable_x64")
    return x
