"""Functions of repeated modules under jit: once for each set of types, and only where
they are functions of arrays."""

import jax
import jax.numpy as jnp
import pytest

from oxide_xla.stablehlo import blocks

ONE = jnp.ones(3)


class Counted:
    """A function that counts how often it runs, which is how often it is traced."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *args, **numbers):
        self.count += 1
        return self.function(*args, **numbers)


def outlined(function):
    """(outlined, its counter)"""
    counted = Counted(function)

    def block(*args, **numbers):
        return counted(*args, **numbers)

    return blocks.outlined(block), counted


def lowered_calls(function, *args):
    return jax.jit(function).lower(*args).as_text().count("call @block(")


def test_numbers_by_name_are_fixed_for_each_call():
    block, counted = outlined(lambda x, scale=1: x * [0, 2, 3][scale])
    run = jax.jit(lambda x: block(block(x), scale=2) + block(x, scale=2))
    assert run(ONE).tolist() == [2.0 * 3.0 + 3.0] * 3
    assert counted.count == 2


def test_alike_calls_are_traced_once():
    block, counted = outlined(lambda params, x: x * params["w"])

    def forward(a, b, x):
        return block({"w": b}, block({"w": a}, x))

    assert lowered_calls(forward, ONE, ONE, ONE) == 2
    assert counted.count == 1


def test_sizes_are_fixed_for_each_call():
    block, counted = outlined(lambda x, n: x.reshape(n, -1))
    x = jnp.arange(6)
    assert [block(x, n).shape for n in (2, 3, 2)] == [(2, 3), (3, 2), (2, 3)]
    assert counted.count == 2


def test_one_and_true_are_not_the_same():
    block, _ = outlined(lambda x, flag: x + 1 if flag is True else x)
    assert block(ONE, 1)[0] == 1 and block(ONE, True)[0] == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x, x.shape[0]),  # a size
        lambda x: x[: int(x[0])],  # a value as a size
        lambda x: x if x[0] > 0 else -x,  # a value decides
    ],
)
def test_what_is_no_function_of_arrays_stays_as_it_is(function):
    block, counted = outlined(function)
    for _ in range(2):
        result, wanted = block(ONE), function(ONE)
        assert jax.tree.structure(result) == jax.tree.structure(wanted)
        assert isinstance(result, tuple) == isinstance(wanted, tuple)
        if isinstance(result, tuple):
            assert type(result[1]) is int
    assert counted.count == 3  # one trace that gives up, then as it is


def test_values_without_a_hash():
    block, _ = outlined(lambda x, sizes: x.reshape(sorted(sizes)))
    assert block(ONE, {3}).shape == (3,)


def test_only_functions_of_modules():
    def layer(params, x):
        """Layer, such as encoder.0."""

    def helper(x):
        """Adds such as one."""

    namespace = {"layer": layer, "helper": helper, "jnp": jnp}
    blocks.outline(namespace)
    assert namespace["helper"] is helper and namespace["layer"] is not layer
