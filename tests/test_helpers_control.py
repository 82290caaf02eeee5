"""The helpers for loops and sequences, src/python/lib/control.py and sequence.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import control
import sequence


def double(i, keep, x, n):
    """Until x is no longer below 20."""
    return 2 * x < 20, 2 * x, n + i


def test_refuse():
    with pytest.raises(ValueError, match="/If_3: the branch .* cannot run"):
        control.refuse("/If_3")


@pytest.mark.parametrize(
    ("limit", "x", "n"),
    [(None, 32, 0 + 1 + 2 + 3 + 4), (3, 8, 0 + 1 + 2), (0, 1, 0), (100, 32, 10)],
)
@pytest.mark.parametrize("keep", [True, np.array([True])])
def test_while_loop(limit, x, n, keep):
    @jax.jit
    def run(x, limit):
        return control.while_loop(double, keep, (x, jnp.array(0)), limit)

    assert [int(v) for v in run(jnp.array(1), limit)] == [x, n]


def test_while_loop_that_does_not_begin():
    x, n = control.while_loop(double, False, (jnp.array(1), jnp.array(0)))
    assert (x, n) == (1, 0)


def grow(i, x):
    """The state grows, and its sum is a row."""
    x = jnp.concatenate([x, jnp.full((1,), i)])
    return x, x.sum()


EMPTY = (jnp.zeros((0,), int),)


def test_unroll():
    @jax.jit
    def run(x):
        return control.unroll(grow, 3, (x,), EMPTY)

    x, rows = run(jnp.array([5]))
    np.testing.assert_array_equal(x, [5, 0, 1, 2])
    np.testing.assert_array_equal(rows, [5, 6, 8])


def test_unroll_of_nothing():
    x, rows = control.unroll(grow, 0, (jnp.array([5]),), EMPTY)
    np.testing.assert_array_equal(x, [5])
    assert rows.shape == (0,)


@pytest.mark.parametrize(("limit", "length"), [(None, 5), (2, 2), (0, 0)])
def test_python_loop(limit, length):
    def body(i, keep, x):
        x, total = grow(i, x)
        return i < 4, x, total

    x, rows = control.python_loop(body, True, (jnp.array([5]),), limit, EMPTY)
    np.testing.assert_array_equal(x, [5, 0, 1, 2, 3, 4][: length + 1])
    np.testing.assert_array_equal(rows, np.cumsum([5, 0, 1, 2, 3, 4])[1 : length + 1])


def test_python_loop_stops_before_it_begins():
    (x,) = control.python_loop(None, np.array(False), (1,))
    assert x == 1


@pytest.mark.parametrize("lengths", [None, [3, 1]])
@pytest.mark.parametrize("reverse", [None, (True,)])
def test_scan_batch(lengths, reverse):
    xs = np.arange(6.0).reshape(2, 3)

    def body(total, x):
        return total + x, total + x

    state, rows = control.scan_batch(
        body, np.zeros(2), xs, None if lengths is None else np.array(lengths), reverse
    )
    for i, n in enumerate(lengths or [3, 3]):
        taken = xs[i, :n][::-1] if reverse else xs[i, :n]
        assert state[i] == taken.sum()
        np.testing.assert_array_equal(rows[i], [*np.cumsum(taken), *[0] * (3 - n)])


@pytest.mark.parametrize("position", [0, 2, 3, -1, -3])
def test_insert_at(position):
    expected = [1, 2, 3]
    expected.insert(position, 9)
    assert sequence.insert_at([1, 2, 3], 9, position) == expected


@pytest.mark.parametrize("position", [0, 1, 2, -1, -3])
def test_erase_at(position):
    expected = [1, 2, 3]
    expected.pop(position)
    assert sequence.erase_at([1, 2, 3], position) == expected


@pytest.mark.parametrize(("size", "sizes"), [(2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_split_every(size, sizes):
    pieces = sequence.split_every(np.zeros((3, 5)), size, axis=1)
    assert [p.shape for p in pieces] == [(3, n) for n in sizes]


def test_column():
    assert sequence.column([(1, 2), (3, 4)], 1) == [2, 4]
    assert sequence.column([], 1) == []
