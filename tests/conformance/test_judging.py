"""The judge of the suite: what differs fails, and only draws may differ in value."""

import numpy as np
import pytest

from conformance import document, suite
from conformance.suite import DRAW, EXACT, REFUSAL, Outcome

ONE = np.ones(3, np.float32)
TOLERANCE = {"rtol": 1e-3, "atol": 1e-7}


@pytest.mark.parametrize(
    "actual",
    [
        [],
        [ONE, ONE],
        [None],
        [[ONE]],
        [ONE[:2]],
        [ONE[None]],
        [ONE.astype(np.float64)],
        [ONE * 1.01],
        [ONE * np.nan],
    ],
)
def test_what_differs_fails(actual):
    with pytest.raises(AssertionError):
        suite.compare(actual, [ONE], **TOLERANCE)


def test_equal_values_pass():
    expected = [ONE, [ONE, np.float32(2)], None, np.array([np.nan], np.float32)]
    actual = [ONE * 1.0001, [ONE, np.array(2, np.float32)], None, expected[3]]
    suite.compare(actual, expected, **TOLERANCE)


def test_a_list_is_no_array():
    with pytest.raises(AssertionError):
        suite.compare([ONE], [[ONE]], **TOLERANCE)


@pytest.mark.parametrize("wrong", [ONE[:2], ONE.astype(int), ONE * 2, ONE * np.nan])
def test_a_draw_has_shape_dtype_and_range(wrong):
    zeros_and_ones = np.array([0, 1, 0], np.float32)
    suite.check_draw([ONE], [zeros_and_ones])
    with pytest.raises(AssertionError):
        suite.check_draw([wrong], [zeros_and_ones])


def test_only_known_reasons_are_refusals():
    text = "error[OX0302]: StringSplit: this is no operation on numbers, and "
    assert suite._refusal(text + "JAX has no strings")[0] == REFUSAL
    assert suite._refusal(text + "we had no time")[0] == suite.FAILED
    assert suite._refusal("error[OX0301]: Foo: JAX has no strings")[0] == suite.FAILED


def test_the_document_is_read_back(tmp_path, monkeypatch):
    cases = [("simple", name) for name in suite.names("simple")[:4]]
    narrow = [suite.is_narrow(suite.load(*case)) for case in cases]
    given = [
        Outcome(*cases[0], DRAW, "Bernoulli"),
        Outcome(*cases[1], REFUSAL, "Equal: a | b"),
        Outcome(*cases[2], unjitted=("Loop", "Slice")),
        Outcome(*cases[3]),
    ]
    given = [
        Outcome(**{**vars(o), "narrow": EXACT if fits else None})
        for o, fits in zip(given, narrow)
    ]
    monkeypatch.setattr(document, "PATH", tmp_path / "conformance.md")
    document.PATH.write_text(document.render(given))
    assert list(document.read(cases).values()) == given
