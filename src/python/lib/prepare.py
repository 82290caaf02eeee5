"""Parameters in the form that inference wants: see prepare in a generated module."""

import jax


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


def replaced(params, endings, form, convert):
    """Params with arrays replaced by what convert makes of them, under other keys."""
    params = dict(params)
    for key in [key for key in params if f"/.{key}".endswith(endings)]:
        params[prepared_key(key, form)] = convert(params.pop(key))
    return params


def replaced_in_stacks(params, endings, form, convert):
    """As replaced; where the number in a key is a *, arrays are stacks of layers."""
    params = dict(params)
    for key in [key for key in params if f"/.{key}".endswith(endings)]:
        each = jax.vmap(convert) if "*" in key else convert
        params[prepared_key(key, form)] = each(params.pop(key))
    return params


def refuse_prepared(params, expected, endings, form):
    """PyTorch has no parameters under the keys that prepare gives."""
    endings = tuple(prepared_key(key, form) for key in endings)
    for key in params.keys() - expected.keys():
        if f"/.{key}".endswith(endings):
            raise ValueError(f"{key} is prepared: save what load_params gives instead")
