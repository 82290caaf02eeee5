"""Cases of ONNX's backend suite with XLA as users have it: all but those of single
nodes and of whole networks, of the nodes a few, and those whose values depend on it.

`make conformance` runs every case like this.
"""

import pytest

from conformance import document, parallel, suite

EACH = 30  # of the nodes: every so many
KINDS = ("simple", "pytorch-operator", "pytorch-converted")


def check(cases):
    assert cases
    documented = document.read(cases)
    for outcome in parallel.run_cases(cases):
        assert suite.FAILED not in (outcome.status, outcome.narrow), outcome
        assert outcome == documented[outcome.kind, outcome.name]


@pytest.mark.parametrize("kind", KINDS)
def test_small_graphs(kind):
    check([(kind, name) for name in suite.names(kind)])


def test_a_sample_of_nodes():
    check([("node", name) for name in suite.names("node")[::EACH]])


def test_nodes_that_a_lesser_xla_computes_otherwise():
    cases = [case for case in document.all_cases() if suite.needs_full_xla(*case)]
    check(cases)
