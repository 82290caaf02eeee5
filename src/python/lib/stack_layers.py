"""Parameters of equal layers as one array each, for jax.lax.scan."""

import jax.numpy as jnp


def stack_layers(params, pattern, numbers):
    """Stacks the parameters of numbered layers, whose number is the * in pattern."""
    params = dict(params)
    head, tail = pattern.split("*")
    first = f"{head}{numbers[0]}{tail}."
    for rest in [key.removeprefix(first) for key in params if key.startswith(first)]:
        keys = [f"{head}{i}{tail}.{rest}" for i in numbers]
        if all(key in params for key in keys):  # else the first has it for all
            params[f"{pattern}.{rest}"] = jnp.stack([params.pop(key) for key in keys])
    return params
