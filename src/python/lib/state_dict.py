"""Between PyTorch's state_dict and the layout that an exporter gave the parameters.

`changed` is a table of the generated module: what the exporter did to each parameter.
Most tables need less than the general functions; the shorter ones go by the same names,
and where all are transposed load_params and save_params do it themselves.
What is missing stays so: check_params lists it.
"""

import numpy as np


def from_state_dict(params, path, changed):
    """Bring a plain state_dict to the layout of this module's own weights file."""
    for key, change in changed.items():
        if change.partition(" ")[0] != "transposed":
            raise ValueError(
                f"{path} is a plain state_dict, but here {key} is {change}: export "
                "with the bridge, which keeps names and values, to load one"
            )
    kept = {key: change.partition(" ")[2] or key for key, change in changed.items()}
    return params | {key: params[kept[key]].T for key in kept if kept[key] in params}


def to_state_dict(params, changed):
    """Undo what `from_state_dict` does."""
    params = dict(params)
    for key, change in changed.items():
        what, _, kept = change.partition(" ")
        if what != "transposed":
            raise ValueError(f"no state_dict can be written: {key} is {change}")
        value = params.pop(key).T
        if not np.array_equal(params.setdefault(kept or key, value), value):
            raise ValueError(f"{key} is no longer the transposed {kept}")
    return params


def from_unshared_state_dict(params, path, changed):
    """Bring a plain state_dict to the layout of this module's own weights file."""
    for key, change in changed.items():
        if change != "transposed":
            raise ValueError(
                f"{path} is a plain state_dict, but here {key} is {change}: export "
                "with the bridge, which keeps names and values, to load one"
            )
    return params | {key: params[key].T for key in changed if key in params}


def to_unshared_state_dict(params, changed):
    """Undo what `from_state_dict` does."""
    for key, change in changed.items():
        if change != "transposed":
            raise ValueError(f"no state_dict can be written: {key} is {change}")
    return params | {key: params[key].T for key in changed}
