"""A document above a far end's limit, made to fit: the longest texts are cut, and a tag says so. Pure.

The bytes are edited in place and nothing is spelled anew, so numbers, the order of keys and the run of
bytes at the end of a document stay what they were. What is cut first is what can be had elsewhere: the
event's XML and the message that was rendered from its fields. It knows documents, and no sink.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from collector.normalize.document import MOST_TEXT, TRUNCATED

TAG: Final = f"_{TRUNCATED}"
LEAST_MESSAGE: Final = 1024
"""Bytes that stay of ``message`` and ``event.original`` while other texts are still long: their first lines say what
happened."""
LEAST: Final = 64
"""Bytes below which no text is cut: names, ids and hashes (SHA-256 in hexadecimal has 64)."""

_UNLIMITED: Final = 2**63


class _Fate(Enum):
    KEPT = "kept"  # never touched, nor anything below
    FIRST = "first"
    FREE = "free"


_Rule = _Fate | Mapping[bytes, "_Rule"]


def _kept(*names: bytes) -> dict[bytes, _Rule]:
    return dict.fromkeys(names, _Fate.KEPT)


# Without these nobody could tell which event a record is, or where it belongs.
_RULES: Final[_Rule] = {
    b"message": _Fate.FIRST,
    b"event": {b"original": _Fate.FIRST}
    | _kept(b"code", b"created", b"kind", b"id", b"dataset", b"module", b"provider", b"outcome"),
    b"winlog": _kept(
        b"channel", b"computer_name", b"record_id", b"provider_name", b"provider_guid", b"event_id", b"activity_id",
        b"related_activity_id", b"time_created", b"api",
    ),
    b"host": _kept(b"name"),
    **_kept(b"@timestamp", b"wef", b"tags", b"ecs", b"data_stream"),
}  # fmt: skip

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(rb"(" + _TEXT + rb")(\s*:)?|([{\[])|[}\]]|(\")", re.DOTALL)
_TAGS = re.compile(rb'"tags"\s*:\s*\[\s*((?:' + _TEXT + rb"\s*,?\s*)*+)\]", re.DOTALL)
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")


class _Span(NamedTuple):
    """What stands between two quotes."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class _Edit(NamedTuple):
    """*text* in the place of what stands from *start* to *end*."""

    start: int
    end: int
    text: bytes


@dataclass(frozen=True, slots=True)
class _Layout:
    """The texts that may be cut, and where the keys of the outermost object stand."""

    first: list[_Span] = field(default_factory=list)
    free: list[_Span] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)


def shortened(document: bytes, limit: int) -> bytes | None:
    """*document* (a JSON object in UTF-8 on one line, as ``winlogbeat`` spells it) in at most *limit* bytes.

    As it is when it fits. Else ``event.original`` and ``message`` are cut, to 256 KiB each and then as far as
    needed (1 KiB stays), then whatever texts are the longest, all to one length and never below 64 bytes; ``tags``
    gets ``_truncated``. Same input, same answer. A cut ends between two characters. Keys, numbers, ``wef``,
    ``@timestamp`` and what names the event are never touched. None: it cannot be made to fit, or is no such object.
    """
    if len(document) <= limit:
        return document
    layout = _read(document)
    tag = _tag(document, layout)
    if tag is None:
        return None
    excess = len(document) + len(tag.text) - limit
    found = _levels([span.size for span in layout.first], [span.size for span in layout.free], excess)
    if found is None:
        return None
    first, free = found
    edits = [*_cuts(document, layout.first, first), *_cuts(document, layout.free, free), tag]
    return _edited(document, sorted(edits))


def _levels(first: Sequence[int], free: Sequence[int], excess: int) -> tuple[int, int] | None:
    """The bytes that stay at most of each text (those that are cut first, the others) so that *excess* is saved."""
    total = sum(first)
    if total - sum(min(size, MOST_TEXT) for size in first) >= excess:
        return MOST_TEXT, _UNLIMITED
    level = _level(first, total - excess)
    if level >= LEAST_MESSAGE:
        return level, _UNLIMITED
    excess -= total - sum(min(size, LEAST_MESSAGE) for size in first)
    level = _level(free, sum(free) - excess)
    return (LEAST_MESSAGE, level) if level >= LEAST else None


def _level(sizes: Sequence[int], room: int) -> int:
    """The length to which all *sizes* must be cut so that *room* holds them; below 0: impossible."""
    for position, size in enumerate(sorted(sizes)):
        left = len(sizes) - position
        if size * left > room:
            return room // left
        room -= size
    return _UNLIMITED if room >= 0 else -1


def _read(document: bytes) -> _Layout:
    """One walk over the tokens, without recursion: how deep it goes was somebody else's choice."""
    layout = _Layout()
    spans = {_Fate.FIRST: layout.first, _Fate.FREE: layout.free}
    above: list[_Rule] = []
    here: _Rule = _Fate.FREE
    rule: _Rule = _RULES
    for token in _TOKEN.finditer(document):
        kind = token.lastindex
        if kind == 1:
            span = _Span(token.start() + 1, token.end() - 1)
            if rule is not _Fate.KEPT and span.size > LEAST:
                spans[rule if isinstance(rule, _Fate) else _Fate.FREE].append(span)
        elif kind == 2:
            name = token[1][1:-1]
            rule = here if isinstance(here, _Fate) else here.get(name, _Fate.FREE)
            if len(above) == 1:
                layout.keys.setdefault(name, token.start())
        elif kind == 3:
            above.append(here)
            here = rule
        elif kind == 4:  # a text without an end: no JSON, and every quote in it would be looked at anew
            return _Layout()
        elif above:
            rule = here = above.pop()
    return layout


def _tag(document: bytes, layout: _Layout) -> _Edit | None:
    """How the tag gets in: into the list, or as a new one before ``event`` and ``wef``, which come last."""
    at = layout.keys.get(b"tags")
    if at is not None:
        found = _TAGS.match(document, at)
        if found is None:
            return None
        if f'"{TAG}"'.encode() in found[1]:
            return _Edit(at, at, b"")
        return _Edit(found.end(1), found.end(1), (b"," if found[1] else b"") + f'"{TAG}"'.encode())
    before = layout.keys.get(b"event", layout.keys.get(b"wef"))
    if before is None:
        return None
    return _Edit(before, before, f'"tags":["{TAG}"],'.encode())


def _cuts(document: bytes, spans: Sequence[_Span], level: int) -> list[_Edit]:
    return [_Edit(_boundary(document, span, span.start + level), span.end, b"") for span in spans if span.size > level]


def _boundary(document: bytes, span: _Span, at: int) -> int:
    """The last place up to *at* that lies between two characters: no half UTF-8, escape or surrogate pair."""
    while at > span.start and document[at] & 0xC0 == 0x80:  # RFC 3629: a byte that continues a character
        at -= 1
    escape = document.rfind(b"\\", max(span.start, at - 5), at)  # the longest escape, \u0000, has six bytes
    if escape >= 0 and _opens(document, span.start, escape):
        length = 6 if document[escape + 1] in b"u" else 2
        if escape + length > at:
            at = escape
    start = max(span.start, at - 6)
    if _HIGH_SURROGATE.match(document, start, at) and _opens(document, span.start, start):
        at = start  # RFC 8259 7: its other half would have followed
    return at


def _opens(document: bytes, start: int, at: int) -> bool:
    """Whether the backslash at *at* begins an escape; after an odd number of others it is one that was escaped."""
    before = document[start:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 0


def _edited(document: bytes, edits: Sequence[_Edit]) -> bytes:
    parts, at = [], 0
    for edit in edits:
        parts += [document[at : edit.start], edit.text]
        at = edit.end
    return b"".join([*parts, document[at:]])
