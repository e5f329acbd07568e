"""Envelopes that differ from one seen before only in names and numbers: read without a parser.

Between two Events messages of Windows only the MessageID, the OperationID, the SessionId, the MachineID and the
bookmark change. So these are cut out, and what is left, the *frame*, is read once by the general way with marks in
their places. Exact without a parser: the caller has seen to it that nothing in the text can hide a tag (``slices``),
what is cut out holds no markup but a bookmark of the strictest form, and only a frame in whose reading each mark came
out where it belongs is used again. It knows no events.

A frame that was used is kept as a *layout* as well, the texts between its places: an envelope that has just these
is one of that frame, which is seen without looking for places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from collector.wsman.messages import Delivery, Message

FRAMES = 256
"""Kept at a time: there is one for each subscription and kind of Windows, not one for each source."""
LONGEST = 8192
"""Characters of a frame; those of Windows have 2,000, all of them ASCII. One with any other would take four times the
memory, and a stranger may fill it."""
ALIKE = 4
"""Layouts that begin alike, the newest kept: languages and versions of Windows at one subscription."""

_ID = "uuid:[0-9A-Fa-f-]{36}"
_NAME = "[A-Za-z0-9_.-]{1,255}"
_LIST = (
    r'<BookmarkList>(?:<Bookmark Channel="[A-Za-z0-9 /_.()-]{1,255}" RecordId="[0-9]{1,20}"(?: IsCurrent="true")?/>)++'
    r"</BookmarkList>"
)
_SLOT = re.compile(
    rf">(?:({_ID})</a:MessageID>|({_ID})</p:OperationID>|({_ID})</p:SessionId>|({_NAME})</m:MachineID>"
    rf"|({_LIST})</w:Bookmark>)"
)
_VALUES = {1: re.compile(_ID), 2: re.compile(_ID), 3: re.compile(_ID), 4: re.compile(_NAME), 5: re.compile(_LIST)}
"""What may stand in a place, by the group of _SLOT."""
_BEGIN = "<m:MachineID"
"""Up to here envelopes of one subscription are alike, and those of two are not: its URL stands before it."""
_MESSAGE, _OPERATION, _SESSION = (f"uuid:FFFFFFFF-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
_MACHINE = "wef-machine-in-the-frame"
_BOOKMARK = '<BookmarkList><Bookmark Channel="wef-channel-in-the-frame" RecordId="1" IsCurrent="true"/></BookmarkList>'
_PLACES = {
    1: f">{_MESSAGE}</a:MessageID>",
    2: f">{_OPERATION}</p:OperationID>",
    3: f">{_SESSION}</p:SessionId>",
    4: f">{_MACHINE}</m:MachineID>",
    5: f">{_BOOKMARK}</w:Bookmark>",
}
"""What stands in a frame, by the group of _SLOT that was found there."""
_OURS = (_SESSION[:-1], "-in-the-frame")
"""In every mark. A message that says so itself is read the general way."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A frame's texts, each with the kind of value that follows it, its last text, and what it says.

    *depth* is what it was read with.
    """

    steps: Sequence[tuple[str, int]]
    tail: str
    frame: Delivery
    depth: int

    def values(self, envelope: str) -> dict[int, str] | None:
        """What stands in its places in *envelope*; None: that is none of its kind."""
        found: dict[int, str] = {}
        at = 0
        for text, kind in self.steps:
            if not envelope.startswith(text, at):
                return None
            value = _VALUES[kind].match(envelope, at + len(text))
            if value is None:
                return None
            found[kind] = value[0]
            at = value.end()
        return found if len(envelope) == at + len(self.tail) and envelope.endswith(self.tail) else None


class Reader:
    """Reads envelopes whose frame it knows. *general* reads any, without this room. Raises only what *general* does."""

    def __init__(self, general: Callable[[str, int], Message]) -> None:
        self._general = general
        self._frame = lru_cache(FRAMES)(self._read)
        self._layouts: dict[str, list[Layout]] = {}

    def delivery(self, envelope: str, pieces: Sequence[str], depth: int) -> Delivery | None:
        """The Events message of *envelope*, its w:Events emptied as ``slices`` does, and *pieces*.

        None: it has to be read the general way.
        """
        if len(envelope) > LONGEST or not envelope.isascii():
            return None
        begin = envelope[: envelope.find(_BEGIN)]
        for layout in self._layouts.get(begin, ()):
            found = layout.values(envelope) if layout.depth == depth else None
            if found is not None:
                return _delivery(layout.frame, found, pieces)
        return self._cut(envelope, begin, pieces, depth)

    def _cut(self, envelope: str, begin: str, pieces: Sequence[str], depth: int) -> Delivery | None:
        """What ``delivery`` answers for an envelope of no known layout, which it then has."""
        if any(mark in envelope for mark in _OURS):
            return None
        found: dict[int, str] = {}
        steps: list[tuple[str, int]] = []
        parts: list[str] = []
        at = ended = 0  # the end of a place with its end tag, and without
        for slot in _SLOT.finditer(envelope):
            kind = slot.lastindex or 0  # each place is a group
            if kind in found:
                return None
            start, end = slot.span(kind)
            found[kind] = slot[kind]
            steps.append((envelope[ended:start], kind))
            ended = end
            parts += (envelope[at : slot.start()], _PLACES[kind])
            at = slot.end()
        parts.append(envelope[at:])
        frame = self._frame("".join(parts), depth)
        if frame is None:
            return None
        self._remember(begin, Layout(tuple(steps), envelope[ended:], frame, depth))
        return _delivery(frame, found, pieces)

    def _remember(self, begin: str, layout: Layout) -> None:
        if begin not in self._layouts and len(self._layouts) >= FRAMES:
            self._layouts.clear()  # it fills again with what is in use
        self._layouts[begin] = [layout, *self._layouts.get(begin, ())][:ALIKE]

    def _read(self, text: str, depth: int) -> Delivery | None:
        """The frame as a message; None unless each of its marks came out just where it is looked for."""
        message = self._general(text, depth)
        if not isinstance(message, Delivery) or not message.sliced or message.pieces:
            return None
        header = message.header
        marks = {1: header.message_id, 2: header.operation_id, 4: header.machine_id, 5: message.bookmark or ""}
        whole = all(_PLACES[kind].startswith(f">{mark}<") for kind, mark in marks.items() if _PLACES[kind] in text)
        # a SessionId is not looked for anywhere; one that stands in a bookmark is a part of it
        return message if whole and _SESSION not in marks[5] else None


def _delivery(frame: Delivery, found: dict[int, str], pieces: Sequence[str]) -> Delivery:
    """What *frame* says with the values that were *found* in its places."""
    header = frame.header
    header = header._replace(
        message_id=found.get(1, header.message_id),
        operation_id=found.get(2, header.operation_id),
        machine_id=found.get(4, header.machine_id),
    )
    return Delivery(header, pieces, found.get(5, frame.bookmark), None, True)
