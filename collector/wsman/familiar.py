"""Envelopes that differ from one seen before only in names and numbers: read without a parser.

Between two Events messages of Windows only the MessageID, the OperationID, the SessionId, the MachineID and the
bookmark change. So these are cut out, and what is left, the *frame*, is read once by the general way with marks in
their places. Exact without a parser: the caller has seen to it that nothing in the text can hide a tag (``slices``),
what is cut out holds no markup but a bookmark of the strictest form, and only a frame in whose reading each mark came
out where it belongs is used again. It knows no events.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from collector.wsman.messages import Delivery, Message

FRAMES = 256
"""Kept at a time: there is one for each subscription and kind of Windows, not one for each source."""
LONGEST = 8192
"""Characters of a frame; those of Windows have 2,000."""

_ID = "uuid:[0-9A-Fa-f-]{36}"
_SLOT = re.compile(
    rf">(?:({_ID})</a:MessageID>|({_ID})</p:OperationID>|{_ID}</p:SessionId>|([A-Za-z0-9_.-]{{1,255}})</m:MachineID>"
    r"|(<BookmarkList>"
    r'(?:<Bookmark Channel="[A-Za-z0-9 /_.()-]{1,255}" RecordId="[0-9]{1,20}"(?: IsCurrent="true")?/>)++'
    r"</BookmarkList>)</w:Bookmark>)"
)
_MESSAGE, _OPERATION, _SESSION = (f"uuid:FFFFFFFF-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
_MACHINE = "wef-machine-in-the-frame"
_BOOKMARK = '<BookmarkList><Bookmark Channel="wef-channel-in-the-frame" RecordId="1" IsCurrent="true"/></BookmarkList>'
_PLACES = {
    None: f">{_SESSION}</p:SessionId>",
    1: f">{_MESSAGE}</a:MessageID>",
    2: f">{_OPERATION}</p:OperationID>",
    3: f">{_MACHINE}</m:MachineID>",
    4: f">{_BOOKMARK}</w:Bookmark>",
}
"""What stands in a frame, by the group of _SLOT that was found there."""
_OURS = (_SESSION[:-1], "-in-the-frame")
"""In every mark. A message that says so itself is read the general way."""


class Reader:
    """Reads envelopes whose frame it knows. *general* reads any, without this room. Raises only what *general* does."""

    def __init__(self, general: Callable[[str, int], Message]) -> None:
        self._general = general
        self._frame = lru_cache(FRAMES)(self._read)

    def delivery(self, envelope: str, pieces: Sequence[str], depth: int) -> Delivery | None:
        """The Events message of *envelope*, its w:Events emptied as ``slices`` does, and *pieces*.

        None: it has to be read the general way.
        """
        if len(envelope) > LONGEST or any(mark in envelope for mark in _OURS):
            return None
        found: dict[int | None, str] = {}
        parts: list[str] = []
        at = 0
        for slot in _SLOT.finditer(envelope):
            kind = slot.lastindex
            if kind in found:
                return None
            found[kind] = slot[kind or 0]
            parts += (envelope[at : slot.start()], _PLACES[kind])
            at = slot.end()
        parts.append(envelope[at:])
        frame = self._frame("".join(parts), depth)
        if frame is None:
            return None
        header = frame.header
        header = replace(
            header,
            message_id=found.get(1, header.message_id),
            operation_id=found.get(2, header.operation_id),
            machine_id=found.get(3, header.machine_id),
        )
        return Delivery(header, pieces, found.get(4, frame.bookmark), None, True)

    def _read(self, text: str, depth: int) -> Delivery | None:
        """The frame as a message; None unless each of its marks came out just where it is looked for."""
        message = self._general(text, depth)
        if not isinstance(message, Delivery) or not message.sliced or message.pieces:
            return None
        header = message.header
        marks = {1: header.message_id, 2: header.operation_id, 3: header.machine_id, 4: message.bookmark or ""}
        whole = all(_PLACES[kind].startswith(f">{mark}<") for kind, mark in marks.items() if _PLACES[kind] in text)
        # a SessionId is not looked for anywhere; one that stands in a bookmark is a part of it
        return message if whole and _SESSION not in marks[4] else None
