"""From a path template and an event's names to a path that nothing can lead astray. Pure.

Computer and channel come from the network. A name becomes part of one file or folder name,
never more: no separator, no ``..``, no control character, no endless length, no hidden file.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from string import Formatter
from typing import Final

from collector.sinks.placeholders import placeholders

FIELDS: Final = ("subscription", "computer", "source", "channel", "date")
PER_EVENT: Final = frozenset({"computer", "channel"})
"""The fields that differ between the events of one batch."""

_LONGEST: Final = 200
"""Bytes of a file name that names from outside may fill: Linux takes 255, and rotation and compression add theirs."""

_SHORTEST: Final = 24
_MOST: Final = 128
_DIGEST: Final = 9
"""A ``-`` and eight hexadecimal digits: what is put in the place of what was cut off."""

_LONGEST_REMEMBERED: Final = 1024
"""Characters of names worth remembering; real ones are far shorter, hostile ones must not stay in memory."""

_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


class PathTemplate:
    """``archive/{computer}/{date}.jsonl``. Raises ValueError, with a sentence, for what is no such thing."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields = frozenset(placeholders(text, FIELDS))
        folder, _, last = text.rpartition("/")
        if not last.strip() or last in {".", ".."}:
            raise ValueError(f"{text!r} names a folder; end it with a file name such as {{date}}.jsonl")
        if ".." in folder.split("/") and placeholders(text[: text.rindex("..")], FIELDS):
            raise ValueError(f"{text!r} goes up with '..' after a placeholder; name the folder itself")
        self._segments = [(segment, _room(segment)) for segment in text.split("/")]
        self._path = lru_cache(maxsize=4096)(self._fill)

    @property
    def per_event(self) -> bool:
        """Events of one batch may go to different files."""
        return bool(self.fields & PER_EVENT)

    def path(self, *, subscription: str, source: str, received: datetime, computer: str, channel: str) -> str:
        """The file of an event; *received* gives ``{date}``, the UTC day of receipt."""
        if received.tzinfo is not UTC:
            received = received.astimezone(UTC)
        values = (subscription, computer, source, channel, received.date().isoformat())
        remembered = sum(map(len, values)) <= _LONGEST_REMEMBERED
        return self._path(*values) if remembered else self._fill(*values)

    def _fill(self, *values: str) -> str:
        named = dict(zip(FIELDS, values, strict=True))
        return "/".join(
            _segment(segment.format_map({name: safe_name(value, room) for name, value in named.items()}))
            if room
            else segment
            for segment, room in self._segments
        )


def safe_name(text: str, most: int = _MOST) -> str:
    """*text* fit to be a part of a file name of at most *most* bytes; its case is kept, nothing becomes ``_``.

    Different long names stay different: what is cut off is replaced by a digest of the whole.
    """
    clean = "".join(c if c.isprintable() else "_" for c in _UNSAFE.sub("_", text)).strip()
    clean = clean.encode("utf-8", "replace").decode()
    bare = clean.lstrip(".")
    clean = "_" * (len(clean) - len(bare)) + bare or "_"
    raw = clean.encode()
    if len(raw) <= most:
        return clean
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{raw[: most - _DIGEST].decode(errors='ignore')}-{digest}"


def _segment(text: str) -> str:
    return "_" if text in {"", ".", ".."} else text


def _room(segment: str) -> int:
    """Bytes for each name in a segment; 0 when it has none."""
    names = placeholders(segment, FIELDS)
    if not names:
        return 0
    literal = sum(len(part.encode()) for part, *_ in Formatter().parse(segment))
    room = min(_MOST, (_LONGEST - literal) // len(names))
    if room < _SHORTEST:
        raise ValueError(
            f"{segment!r} leaves {max(room, 0)} bytes for each name, {_SHORTEST} are needed; make it shorter"
        )
    return room
