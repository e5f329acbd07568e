"""What can be read out of a bookmark, which is the source's own business.

A bookmark is kept and given back as it came; this room only compares. It never refuses:
what cannot be read says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from lxml import etree

from collector.wsman.xml import BLANKS, XmlError, parse

_BOOKMARK = r'<Bookmark Channel="[A-Za-z0-9 /_.()-]{1,255}" RecordId="[0-9]{1,20}"(?: IsCurrent="true")?/>'
_PLAIN = re.compile(f"<BookmarkList>(?:{_BOOKMARK})++</BookmarkList>")
_PLACE = re.compile(r'Channel="([^"]+)" RecordId="([0-9]+)"')
_REMEMBERED, _SHORT = 4096, 1024
"""Bookmarks whose positions are kept, and the most characters of one: what a source offers now is what its next batch
is compared with. Windows' own have 90 characters for each channel."""


@dataclass(frozen=True, slots=True)
class Positions:
    """The record id reached in each channel. *backward* is how event 111's bookmark says that it starts from now."""

    backward: bool = False
    records: Mapping[str, int] = field(default_factory=dict)


def positions(xml: str) -> Positions:
    """The positions of a BookmarkList (protocol.md 6.5, 6.5.1); empty for a text or anything unreadable."""
    return _remembered(xml) if len(xml) <= _SHORT else _read(xml)


def _read(xml: str) -> Positions:
    if _PLAIN.fullmatch(xml):  # what Windows writes, in a tenth of the time that a parser takes
        plain: dict[str, int] = {}
        for channel, record in _PLACE.findall(xml):
            plain[channel] = max(int(record), plain.get(channel, 0))
        return Positions(False, plain)
    try:
        root = parse(xml)
    except XmlError:
        return Positions()
    records: dict[str, int] = {}
    for element in root.iter(etree.Element):
        channel, record = element.get("Channel"), (element.get("RecordId") or "").strip(BLANKS)
        # Record ids have 64 bits: 20 digits.
        if channel and record.isascii() and record.isdigit() and len(record) <= 20:
            records[channel] = max(int(record), records.get(channel, 0))
    return Positions((root.get("Direction") or "").strip(BLANKS).lower() == "backward", records)


_remembered = lru_cache(_REMEMBERED)(_read)
