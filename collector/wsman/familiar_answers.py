"""Answers to a Pull that differ from one seen before only in ids, context and bookmark: read without a parser.

What ``familiar`` is for Events messages, and exact for the same reasons: nothing in the text can hide a tag (the
caller cut it), what changes holds no markup but a bookmark of the strictest form, and an answer is only read by a
*layout*, the texts between its places, whose own reading by the general way gave each mark where it belongs. It knows
no events, and not whose answer it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LAYOUTS = 64
"""Kept at a time: one for each kind of Windows, with a bookmark and without."""
LONGEST = 8192
"""Characters of an answer without its events; those of Windows have 1,200, and 90 more for each channel."""

_ID = "uuid:[0-9A-Fa-f-]{36}"
_LIST = (
    r'<BookmarkList>(?:<Bookmark Channel="[A-Za-z0-9 /_.()-]{1,255}" RecordId="[0-9]{1,20}"(?: IsCurrent="true")?/>)++'
    r"</BookmarkList>"
)
MESSAGE, RELATES, CONTEXT, BOOKMARK = range(1, 5)
"""What changes, by its group in _SLOT."""
_SLOT = re.compile(
    rf">(?:({_ID})</a:MessageID>|({_ID})</a:RelatesTo>|({_ID})</n:EnumerationContext>|({_LIST})</w:Bookmark>)"
)
_VALUES = {kind: re.compile(_LIST if kind == BOOKMARK else _ID) for kind in (MESSAGE, RELATES, CONTEXT, BOOKMARK)}
_MARKS = {
    MESSAGE: "uuid:FFFFFFFF-0000-4000-8000-00000000000A",
    RELATES: "uuid:FFFFFFFF-0000-4000-8000-00000000000B",
    CONTEXT: "uuid:FFFFFFFF-0000-4000-8000-00000000000C",
    BOOKMARK: '<BookmarkList><Bookmark Channel="wef-channel-in-the-frame" RecordId="1"/></BookmarkList>',
}
"""What stands in its place while a layout is read the general way."""
_OURS = ("uuid:FFFFFFFF-0000-4000-8000-00000000000", "wef-channel-in-the-frame")
"""In every mark. An answer that says so itself is read the general way."""


class Said(NamedTuple):
    """What an answer says besides its events, as in ``answers.Pulled``."""

    context: str | None
    bookmark: str | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Texts, each with the kind of value that follows it, the last text, and what was read with marks between them."""

    steps: Sequence[tuple[str, int]]
    tail: str
    said: Said
    depth: int

    def values(self, text: str) -> dict[int, str] | None:
        """What stands in its places in *text*; None: that is none of its kind."""
        found: dict[int, str] = {}
        at = 0
        for part, kind in self.steps:
            if not text.startswith(part, at):
                return None
            value = _VALUES[kind].match(text, at + len(part))
            if value is None:
                return None
            found[kind] = value[0]
            at = value.end()
        return found if len(text) == at + len(self.tail) and text.endswith(self.tail) else None


class Reader:
    """Reads answers whose layout it knows, and learns those of others.

    *general* reads any by the general way, as an answer to the given MessageID; None: it is none with events that were
    cut out, or none that can be believed.
    """

    def __init__(self, general: Callable[[str, str, int], Said | None]) -> None:
        self._general = general
        self._layouts: list[Layout] = []

    @property
    def known(self) -> int:
        """How many layouts."""
        return len(self._layouts)

    def said(self, text: str, relates_to: str, depth: int) -> Said | None:
        """What *text*, an answer to *relates_to* without its events, says. None: read it the general way."""
        if len(text) > LONGEST:
            return None
        for place, layout in enumerate(self._layouts):
            found = layout.values(text) if layout.depth == depth else None
            if found is not None:
                if place:  # what is in use stays in front
                    self._layouts.insert(0, self._layouts.pop(place))
                return _told(layout, found, relates_to)
        learned, found = self._learned(text, depth)
        return _told(learned, found, relates_to) if learned is not None else None

    def _learned(self, text: str, depth: int) -> tuple[Layout | None, dict[int, str]]:
        found: dict[int, str] = {}
        if any(mark in text for mark in _OURS):
            return None, found
        steps: list[tuple[str, int]] = []
        parts: list[str] = []
        at = 0
        for slot in _SLOT.finditer(text):
            kind = slot.lastindex or 0  # each place is a group
            if kind in found:
                return None, found
            start, end = slot.span(kind)
            found[kind] = slot[kind]
            steps.append((text[at:start], kind))
            parts += (text[at:start], _MARKS[kind])
            at = end
        if RELATES not in found:
            return None, found
        said = self._general("".join([*parts, text[at:]]), _MARKS[RELATES], depth)
        if said is None or not (
            _comes_out(said.context, CONTEXT, found) and _comes_out(said.bookmark, BOOKMARK, found)
        ):
            return None, found
        layout = Layout(tuple(steps), text[at:], said, depth)
        self._layouts = [layout, *self._layouts[: LAYOUTS - 1]]
        return layout, found


def _comes_out(value: str | None, kind: int, found: dict[int, str]) -> bool:
    """Whether the mark in that place, and no other, is what was read; without such a place, whether there is none."""
    if kind in found:
        return value == _MARKS[kind]
    return not any(mark in (value or "") for mark in _OURS)


def _told(layout: Layout, found: dict[int, str], relates_to: str) -> Said | None:
    """None: it relates to something else, and what is wrong is told by the general way."""
    if found[RELATES] != relates_to:
        return None
    said = layout.said
    return Said(found.get(CONTEXT, said.context), found.get(BOOKMARK, said.bookmark), said.ended)
