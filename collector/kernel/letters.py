"""The letters of a body: its text in the compiled kernel's own buffer, of which only what is asked for becomes ``str``.

CPython's decoders say what the letters are; they do the work themselves where the pure kernel is at work, and for
every charset but the two below. The room knows no envelope: what is cut out of one is told by whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from collector.kernel import selection

_WIDE = {"utf-16le": True, "utf-8": False}


class Letters(Protocol):
    """A text as UTF-8. Its length is in bytes; ``sys.getsizeof`` says what it holds."""

    def __len__(self) -> int: ...

    def text(self) -> str:
        """All of it."""

    def cut(self, opening: bytes, closing: bytes, head: bytes, tail: bytes) -> tuple[str, Sequence[str]] | None:
        """The text without what stands between *opening* and *closing*, and the pieces found there.

        Each piece stands between *head* and *tail*; it is made when it is asked for. None: the text is not of that
        form, or it has comments, CDATA or processing instructions that could hide one of the tags.
        """

    def cut_elements(
        self, opening: bytes, closing: bytes, head: bytes, tail: bytes, name: bytes, said: bytes
    ) -> tuple[str, Sequence[str]] | None:
        """The same of pieces that are elements, each from *head* to *tail*, with blanks between them.

        *name* is how each of their start tags begins. None: as above; or one stands in another, something has a prefix,
        which it would not know by itself, or *said* stands in the rest outside *opening* and *closing*.
        """


def unfold(body: bytes, start: int, charset: str) -> Letters | None:
    """The letters of *body* from *start* on; with U+FFFD for what is no character, as Python decodes with "replace".

    None: that has to be done by Python.
    """
    kernel = selection.events()
    wide = _WIDE.get(charset)
    return None if kernel is None or wide is None else cast("Letters | None", kernel.unfold(body, start, wide))
