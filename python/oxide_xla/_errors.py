"""The error that every part of the package raises for a model."""

from oxide_xla import _library as c


class OxideError(Exception):
    """A model that cannot be compiled; the text is all that the compiler says.

    `status` is an OxStatus of include/oxide_xla.h: 1 for a model that is malformed or
    needs what cannot be compiled, 2 for operators without an exact translation, 3 for
    wrong use, 4 for a file that cannot be read or written, 5 for want of memory.
    """

    def __init__(self, messages: str, status: int = c.MODEL):
        super().__init__(messages.rstrip() or "out of memory")
        self.status = status

    @property
    def messages(self) -> str:
        """Every message, in the grammar of docs/errors.md."""
        return str(self.args[0])
