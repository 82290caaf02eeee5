"""Whether parameters that were read are those of the model."""

import jax
import numpy as np


def untie(params, path, tied):
    """Take a tied parameter by either of its names, to the one that forward reads."""
    for name in params.keys() & tied.keys():
        value = params.pop(name)
        if not np.array_equal(params.setdefault(tied[name], value), value):
            raise ValueError(
                f"{name} and {tied[name]} differ in {path}, but are one parameter here"
            )
    return params


def check_params(params, path, expected, unused=(), strict=True):
    """The parameters of this model, or a ValueError that lists all that do not fit."""
    faults = [f"{key} is missing" for key in expected if key not in params]
    for key in expected.keys() & params.keys():
        x, (dtype, shape) = params[key], expected[key].rstrip("]").split("[")
        floats = "float" in dtype and "float" in x.dtype.name
        alike = floats or x.dtype == jax.dtypes.canonicalize_dtype(dtype)
        if not alike or shape != ",".join(map(str, x.shape)):
            faults.append(f"{key} is {x.dtype}{list(x.shape)}, not {expected[key]}")
    others = params.keys() - expected.keys() if strict or faults else ()
    others = [key for key in others if not f"/{key}".endswith(unused)]
    faults += [f"{key} is unexpected (strict=False leaves it out)" for key in others]
    if faults:
        lines = [f"{path} does not fit this model:", *sorted(faults)]
        raise ValueError("\n  ".join(lines))
    return {key: params[key] for key in expected}
