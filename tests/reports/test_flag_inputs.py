"""A flag among the inputs chooses between branches whose results differ in shape, as in
decoders that were merged with and without a cache."""

import inspect

import jax
import numpy as np
import ort
import pytest
from graphs import parse

import oxide_xla

DECODER = """
decoder (float[b, t, 4] x, float[b, p, 4] past, bool[1] use_cache_branch)
    => (float[b, t, 4] y, float[b, all, 4] present) {
  y, present = If (use_cache_branch) <
    then_branch = with_past () => (float[b, t, 4] y1, float[b, all1, 4] keys1) {
      keys1 = Concat<axis = 1>(past, x)
      turned1 = Transpose<perm = [0, 2, 1]>(keys1)
      scores1 = MatMul(x, turned1)
      weights1 = Softmax<axis = -1>(scores1)
      y1 = MatMul(weights1, keys1)
    },
    else_branch = without_past () => (float[b, t, 4] y2, float[b, t, 4] keys2) {
      keys2 = Identity(x)
      turned2 = Transpose<perm = [0, 2, 1]>(keys2)
      scores2 = MatMul(x, turned2)
      weights2 = Softmax<axis = -1>(scores2)
      y2 = MatMul(weights2, keys2)
    }>
}"""

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4)).astype(np.float32)
PAST = RNG.standard_normal((2, 5, 4)).astype(np.float32)


def expected(flag):
    inputs = {"x": X, "past": PAST, "use_cache_branch": np.array([flag])}
    return ort.run(parse(DECODER), inputs)


def compare(actual, flag):
    for a, e in zip(actual, expected(flag), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)


# huggingface/optimum#647
@pytest.mark.parametrize("flag", [True, False])
def test_flag_fixed_at_compile_time(flag):
    """The hint names the option and the input; with it, forward is jitted."""
    open_flag = oxide_xla.compile(parse(DECODER))
    assert '--input-value "use_cache_branch=VALUE"' in open_flag.messages
    compiled = oxide_xla.compile(
        parse(DECODER), input_values={"use_cache_branch": flag}
    )
    assert not compiled.messages
    assert "@jax.jit\ndef forward(" in compiled.source
    assert [*inspect.signature(compiled.forward).parameters] == ["params", "x", "past"]
    compare(compiled.forward({}, X, PAST), flag)


# A user's report in words: the file without the option was to be jitted by the caller,
# with the flag a constant there, and JAX said that the flag was traced.
@pytest.mark.parametrize("flag", [True, False])
def test_flag_that_is_a_constant_of_the_callers_jit(flag):
    forward = oxide_xla.compile(parse(DECODER)).forward
    constant = np.array([flag])
    compare(jax.jit(lambda x, past: forward({}, x, past, constant))(X, PAST), flag)
