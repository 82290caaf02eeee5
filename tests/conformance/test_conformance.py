"""ONNX's backend suite: every case as docs/conformance.md says, and none fails.

`make test` runs these with `--quick-xla`, and those of test_full_xla.py without.
"""

import pytest

from conformance import document, parallel, suite


# Whole networks are in the last group, which takes longest: it had better not be last.
@pytest.mark.parametrize("group", reversed(range(document.GROUPS)))
def test_cases(group):
    cases = [c for c in document.group_cases(group) if not suite.needs_full_xla(*c)]
    outcomes = parallel.run_cases(cases)
    failed = [o for o in outcomes if suite.FAILED in (o.status, o.narrow)]
    assert not failed
    documented = document.read(cases)
    different = [o for o in outcomes if o != documented[o.kind, o.name]]
    assert not different, "the document is not current: make conformance"


def test_the_document_follows_from_its_lists():
    outcomes = list(document.read(document.all_cases()).values())
    assert document.render(outcomes) == document.PATH.read_text()


def test_the_suite_is_whole():
    counts = {kind: len(suite.names(kind)) for kind in suite.KINDS}
    assert counts == {
        "node": 1884,
        "simple": 23,
        "pytorch-operator": 35,
        "pytorch-converted": 82,
        "light": 9,
    }
