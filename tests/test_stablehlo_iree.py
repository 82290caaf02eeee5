"""The fixtures in IREE, a compiler that shares StableHLO with XLA and nothing else."""

from pathlib import Path

import numpy as np
import pytest

import oxide_xla
from hlo import cases, consumers

iree = pytest.importorskip("iree.compiler")

FIXTURES = Path(__file__).resolve().parent / "fixtures"
PATHS = sorted(FIXTURES.glob("*.onnx"))
RNG = np.random.default_rng(0)
FAST = {"attention", "multi_output"}

# What IREE takes with its open dimensions; of others it says that it cannot legalize
# stablehlo.dynamic_reshape, dynamic_gather or dynamic_broadcast_in_dim.
OPEN = {"dtype_mix", "gelu_mlp", "hostile_names"}

# Where the exponent of negative numbers is a parameter, which IREE takes as a constant
# only: else it computes exp(y * log(x)), which is not a number.
INLINE = {"layer_norm"}


def inputs_of(model):
    found = []
    for entry in model.input_types:
        shape = [d if isinstance(d, int) else 4 for d in entry["shape"]]
        dtype = np.dtype(entry["dtype"])
        if dtype.kind in "iu":
            found.append(RNG.integers(0, 3, shape).astype(dtype))
        else:
            found.append(RNG.standard_normal(shape).astype(dtype))
    return found


def params(paths, fast):
    return [
        pytest.param(
            p, id=p.stem, marks=() if p.stem in fast else pytest.mark.stablehlo
        )
        for p in paths
    ]


@pytest.mark.parametrize("path", params(PATHS, FAST))
def test_fixtures_of_fixed_sizes(path):
    model = oxide_xla.compile(path)
    inputs = inputs_of(model)
    weights = "inline" if path.stem in INLINE else "safetensors"
    lowered = model.lower(*inputs, weights=weights)
    distance = cases.run_and_compare(model, lowered, inputs, consumers.run_iree)
    assert distance <= cases.ULPS


POWER = """
func.func @main(%x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> {
  %z = stablehlo.power %x, %y : tensor<2xf32>
  return %z : tensor<2xf32>
}
"""


@pytest.mark.stablehlo
def test_powers_of_negative_numbers():
    """What docs/stablehlo.md says of IREE: without the defect, INLINE can go."""
    given = [np.float32([-3, 3]), np.float32([2, 2])]
    (here,) = consumers.run_jaxlib(POWER, given)
    (there,) = consumers.run_iree(POWER, given)
    assert np.array_equal(here, [9, 9])
    assert np.isnan(there[0]) and np.allclose(there[1], 9)


@pytest.mark.parametrize("path", params([p for p in PATHS if p.stem in OPEN], set()))
def test_fixtures_of_open_sizes(path):
    model = oxide_xla.compile(path)
    cases.check(model, inputs_of(model), run=consumers.run_iree)


@pytest.mark.stablehlo
def test_layers_as_a_loop():
    model = oxide_xla.compile(FIXTURES / "repeated_layers.onnx", layers="scan")
    inputs = inputs_of(model)
    lowered = model.lower(*inputs)
    distance = cases.run_and_compare(model, lowered, inputs, consumers.run_iree)
    assert distance <= cases.ULPS
