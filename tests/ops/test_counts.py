"""Counts and sizes that exporters compute with operators: they are known, so that the
code jits."""

import numpy as np
import pytest
from graphs import check_text


@pytest.mark.parametrize(
    ("index", "attributes", "opset"),
    [(1, "", 21), (-2, "", 21), (-2, "<axis = 0>", 11), (1, "", 9)],
)
def test_one_hot_of_known_indices(index, attributes, opset):
    """repeat_interleave as TorchScript writes it: the size at one place, else 1."""
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    check_text(
        f"""g (float[1,3,4] x, float[n] y) => (float[1,m,4] z) {{
            at = Constant<value = int64[1] {{{index}}}> ()
            depth = Constant<value = int64 {{3}}> ()
            one = Constant<value = int64[1] {{1}}> () n = Shape(y)
            values = Concat<axis = 0>(one, n)
            hot = OneHot{attributes}(at, depth, values)
            flat = Constant<value = int64[1] {{3}}> () counts = Reshape(hot, flat)
            z = Tile(x, counts) }}""",
        [x, np.zeros(2, np.float32)],
        [np.tile(x, (1, 2, 1))],
        opset=opset,
        names={},
        contains=["jnp.tile(x, (1, n, 1))"],
        lacks=["one_hot"],
    )


def test_one_hot_of_a_table():
    """Indices past the end are off; those of two axes go around the new one."""
    check_text(
        """g (float[2,3,2] x) => (float[2,3,2] z) {
            at = Constant<value = int64[2,2] {0, 2, -1, 5}> ()
            depth = Constant<value = int64 {3}> ()
            values = Constant<value = float[2] {0.5, 2.0}> ()
            hot = OneHot<axis = 1>(at, depth, values) z = Add(x, hot) }""",
        [np.zeros((2, 3, 2), np.float32)],
        lacks=["one_hot"],
    )
