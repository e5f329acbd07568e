"""The compiled kernel asked for a batch: what it answers, and how it is told the shipped rules.

The kernel is a fast twin and decides nothing: what it does not read, and every other set of
options, takes the reference path in ``gathering``.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Protocol, cast

from collector.kernel import selection
from collector.model import Key
from collector.normalize.spelling import Spelling
from collector.normalize.tables import default_rules

Block = tuple[bytes, "array[int]"]
"""Records, each followed by LF, and for each the offset after that LF."""


class Reaped(Protocol):
    """What the kernel read of a batch, a place for each text; None in a column: that event is not its own.

    *missed* is the number of those.
    """

    ids: list[str | None]
    keys: list[Key | None]
    missed: int

    def document(self, place: int) -> bytes:
        """The document of one event as JSON."""

    def splice(
        self, places: Sequence[int], others: Mapping[int, bytes], before: bytes, ids: list[str], after: bytes
    ) -> Block:
        """Documents, whose last two bytes are still missing, each with *before*, its id and *after* behind it.

        *places*: for each row the place of its text, or -1 when its document is in *others*, by row.
        """


class _Reaper(Protocol):
    def reap(self, events: Sequence[str]) -> Reaped: ...


def reap(events: Sequence[str]) -> Reaped | None:
    """Read *events* by the shipped rules; None: the pure kernel is to do the work."""
    kernel = selection.events()
    return None if kernel is None else _reaper(kernel).reap(events)


def wrap(texts: Sequence[str], before: bytes, after: bytes, block: bytes = b"", between: bytes = b"") -> Block | None:
    """Records *before*, text as JSON, *after*; with *block* each of its records and *between* stand before the text.

    None: the pure kernel is to do the work, or a text cannot be written in UTF-8.
    """
    kernel = selection.events()
    return None if kernel is None else cast("Block | None", kernel.wrap(texts, before, after, block, between))


def lines(texts: Sequence[str]) -> Block | None:
    """Each text on a line, the line ends inside as references; None as above."""
    kernel = selection.events()
    return None if kernel is None else cast("Block | None", kernel.lines(texts))


@cache  # one for each kernel, and there is one; it remembers what is spelled, in bounds
def _reaper(kernel: ModuleType) -> _Reaper:
    return cast(_Reaper, kernel.Reaper(Spelling(default_rules())))
