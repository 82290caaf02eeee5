"""Checks in this process and in others ask the same build."""

from program import LIBRARY

from oxide_xla import _library


def test_the_library_is_that_of_the_program():
    """It looks for slips where the program does; see harness.compile_here."""
    assert _library.library()._name == LIBRARY
