"""ONNX's backend suite through StableHLO, in jaxlib's own client: every twentieth case.
`make test-stablehlo` runs all of them, and writes docs/stablehlo.md."""

import numpy as np
import pytest

from conformance import document
from hlo import cases, consumers, report, suite

GROUPS = 6


@pytest.mark.parametrize("group", range(GROUPS))
def test_cases(group):
    results = [suite.run(*case) for case in suite.sample()[group::GROUPS]]
    assert not report.unexpected(results)
    assert suite.totals(results)[suite.EQUAL] >= len(results) // 2


def test_the_document_tells_of_a_whole_run():
    """`make test-stablehlo` writes its numbers between the marks, if it has run."""
    found = report.PATH.read_text().partition(report.BEGIN)[2]
    numbers, mark, _ = found.partition(report.END)
    assert mark
    assert not numbers or f"| of {len(document.all_cases())} cases | |" in numbers


def test_the_sample_is_large():
    assert len(suite.sample()) > 100


def test_a_difference_is_seen():
    """Or all cases would be equal."""
    a = np.ones(3, np.float32)
    assert cases.distance(a, a) == 0
    assert cases.distance(a + np.float32(1e-4), a) > cases.ULPS
    assert cases.distance(np.array([1, 2]), np.array([1, 3])) == np.inf
    assert cases.distance(np.array([np.nan, 1.0]), np.array([1.0, 1.0])) == np.inf
    assert cases.distance(np.array([np.inf]), np.array([1.0])) == np.inf
    with pytest.raises(AssertionError):
        cases.distance(a, a.astype(np.float64))


def test_text_that_is_wrong_is_refused():
    head = "func.func @main(%x: tensor<2xf32>) -> tensor<3xf32>"
    text = head + " { return %x : tensor<2xf32> }"
    with pytest.raises(consumers.ir.MLIRError):
        consumers.parse(text)
