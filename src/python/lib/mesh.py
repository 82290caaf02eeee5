"""Models on meshes of devices: what is sharded, and how."""

import functools

import jax

from oxide_xla.nest import flatten, nest


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


def nested_shardings(params, mesh):
    """The sharding of each of params, or of what has their shapes, on a mesh."""
    flat = flatten(params)
    return nest({key: sharding_of(key, x.shape, mesh) for key, x in flat.items()})


def described(text):
    """The shape and type of a parameter that PARAMS has as text."""
    dtype, sizes = text.rstrip("]").split("[")
    shape = tuple(int(n) for n in sizes.split(",") if n)
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype))


PARTITION_RULES = {}  # generated modules have their own
