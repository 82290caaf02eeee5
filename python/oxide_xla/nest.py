"""Dicts inside dicts, for models that are compiled with nested parameters.

The functions are helpers of generated modules, too: see CMakeLists.txt.
"""


def nest(flat):
    """Turn keys such as `layer.0.weight` into dicts inside dicts."""
    tree = {}
    for key, value in flat.items():
        *path, name = key.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[name] = value
    return tree


def flatten(tree, prefix=""):
    """The inverse of `nest`: dicts inside dicts as one dict with dots in its keys."""
    flat = {}
    for key, value in tree.items():
        inner = isinstance(value, dict)
        flat |= flatten(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return flat
