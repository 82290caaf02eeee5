"""The parameters of one module of a model, for functions that serve several."""


def scope(params, prefix):
    """The entries of params below prefix, under the rest of their names."""
    start = prefix + "."
    return {k.removeprefix(start): v for k, v in params.items() if k.startswith(start)}
