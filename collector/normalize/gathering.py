"""Batch -> harvest: one row for every event, its id and its key at once, its document when somebody asks.

Pure and total: a bad event becomes a poorer row, never an error. It knows no format, no sink,
no clock; the time of receipt comes with the batch.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC
from hashlib import blake2b
from typing import Any, cast

import orjson

from collector.kernel.fields import Fields, Unreadable, read_event
from collector.model import Batch, Key
from collector.normalize.document import TIME_INVALID, TRUNCATED, Options, Row, document, too_long
from collector.normalize.head import head
from collector.normalize.moments import moment
from collector.normalize.reaping import Block, Reaped, reap
from collector.normalize.recover import (
    CONTROL_CHARACTERS,
    MOST_PIECES,
    RENDERING_TRUNCATED,
    SEVERAL_EVENTS,
    SURROGATES,
    UNPARSABLE,
    Piece,
    recover,
    visible,
)

FLAWS = frozenset(
    {CONTROL_CHARACTERS, RENDERING_TRUNCATED, SEVERAL_EVENTS, SURROGATES, TIME_INVALID, TRUNCATED, UNPARSABLE}
)
"""Every word that ``Harvest.flaws`` counts."""

MOST_EXTRA = 10_000
"""Rows of a batch beyond one for each text: the limit counts texts, and 16 MiB of ``<Event/>`` are two million rows."""

NO_KEY = Key(0, "", "", "", "", 0)


class Harvest:
    """What was read out of a batch, in columns; rows are events, one or more for each text of the batch.

    *texts* is the XML of each row as received: the batch's own events where each of them is one row. *received* is
    the time of receipt (RFC 3339, UTC). *flaws* counts what needed recovery, by the words of FLAWS; *fallbacks* what
    the compiled kernel left to its twin. *spelled* is where ``formats`` keeps what it made of this harvest, so that a
    format is spelled once.
    """

    __slots__ = (
        "_documents", "_options", "_places", "_reaped", "_rows", "batch", "fallbacks", "flaws", "ids", "keys",
        "received", "spelled", "texts",
    )  # fmt: skip

    def __init__(self, batch: Batch, options: Options) -> None:
        self.batch = batch
        self.received = batch.received.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        self.texts: Sequence[str] = batch.events
        self.ids: list[str] = []
        self.keys: list[Key] = []
        self.flaws: Counter[str] = Counter()
        self.spelled: dict[Any, Any] = {}
        self._options = options
        self._documents: list[dict[str, Any]] | None = None
        self._rows: list[Row | None] = []  # None: the kernel read it, and nobody has asked for more yet
        self._places: list[int] = []  # of the row's document in what the kernel reaped; -1: it is not there
        self._reaped = reap(batch.events) if options == _PLAIN else None
        self.fallbacks = self._reaped.missed if self._reaped else 0
        if self._reaped is not None and not self._reaped.missed:
            self._take_all(self._reaped)
        else:
            self._read(self._reaped)

    def __len__(self) -> int:
        return len(self.ids)

    def fields(self) -> list[dict[str, Any]]:
        """The ``winlogbeat`` document of each row, without what is the same for the whole batch.

        They and their parts are shared with others: read them, never change them.
        """
        if self._documents is None:
            self._documents = [self._document(row, place) for row, place in enumerate(self._places)]
            self._rows = []
        return self._documents

    def block(self, before: bytes, after: bytes, spell: Callable[[dict[str, Any]], bytes]) -> Block | None:
        """Every document as JSON, *before*, its id and *after* in place of its last two bytes (``}}``).

        None when the compiled kernel read none of them; *spell* is for those that it left.
        """
        if self._reaped is None:
            return None
        made = self._documents
        others = {
            row: spell(made[row] if made is not None else self._document(row, place))[:-2]
            for row, place in enumerate(self._places if -1 in self._places else ())
            if place < 0
        }
        return self._reaped.splice(self._places, others, before, self.ids, after)

    def tag(self, rows: Sequence[int], word: str) -> None:
        """Add *word* to the tags of these rows' documents; before anybody asks for one."""
        assert self._documents is None, "documents are shared and never change"
        for row in rows:
            found = self._row(row)
            self._rows[row] = found._replace(tags=(*found.tags, word))
            self._places[row] = -1

    def _take_all(self, reaped: Reaped) -> None:
        """The common case: the kernel read everything, so that its columns are ours."""
        count = len(reaped.ids)
        self.ids, self.keys = cast("list[str]", reaped.ids), cast("list[Key]", reaped.keys)
        self._rows, self._places = [None] * count, list(range(count))

    def _read(self, reaped: Reaped | None) -> None:
        extra = MOST_EXTRA
        events = self.batch.events
        texts: list[str | None] = []  # None: the event as it stands at the row's place
        for place in range(len(events)):
            if reaped is not None and (found := reaped.ids[place]) is not None:
                self._add(found, cast(Key, reaped.keys[place]), None, place)
                texts.append(None)
                continue
            pieces = _pieces(events[place], self._options, min(MOST_PIECES, extra))
            extra -= len(pieces) - 1
            for piece in pieces:
                self._gather(piece)
                texts.append(piece.text)
        self.texts = [events[place] if text is None else text for text, place in zip(texts, self._places, strict=True)]

    def _add(self, event: str, key: Key, row: Row | None, place: int) -> None:
        self.ids.append(event)
        self.keys.append(key)
        self._rows.append(row)
        self._places.append(place)

    def _row(self, number: int) -> Row:
        """The row as the reference reads it."""
        row = self._rows[number]
        if row is not None:
            return row
        text = self.texts[number]
        fields = read_event(text)
        return Row(Piece(text, fields), head(fields, self._options.tables()), moment(fields.time or ""))

    def _document(self, row: int, place: int) -> dict[str, Any]:
        if place >= 0 and self._reaped is not None:
            found: dict[str, Any] = orjson.loads(self._reaped.document(place))
            return found
        return document(self._row(row), self.received, self._options)

    def _gather(self, piece: Piece) -> None:
        """Fill the columns for one row, and add to its flaws what is wrong beyond its XML."""
        fields = piece.fields
        if fields is None:
            self.flaws.update(piece.flaws)
            self._add(_digest(piece.text), NO_KEY, Row(piece, None, None), -1)
            return
        kind = head(fields, self._options.tables())
        when = moment(fields.time) if fields.time else None
        time = when.time if when else 0
        key = Key(time, fields.computer, kind.channel, fields.provider_name, kind.code, kind.level)
        flaws = _flaws(piece, fields, time, self._options)
        if flaws:
            piece = piece._replace(flaws=flaws)
            self.flaws.update(flaws)
        self._add(event_id(fields, piece.text), key, Row(piece, kind, when), -1)


_PLAIN = Options()
"""What the compiled kernel knows."""


def harvest(batch: Batch, options: Options = _PLAIN) -> Harvest:
    """Read every event of *batch*. Never raises because of what an event says."""
    return Harvest(batch, options)


def _pieces(text: str, options: Options, most: int) -> list[Piece]:
    try:
        # Beats make control characters visible before they parse; we do it only where that is needed.
        return [Piece(text, read_event(visible(text) if options.exact else text))]
    except Unreadable:
        return recover(text, most)


def event_id(fields: Fields, text: str) -> str:
    """Which event this is, whoever delivers it and however often: 22 characters (contract.md 4, sinks.md 1.1).

    A hash over computer, channel, record id, time, provider and event id; without a record id, of *text*.
    """
    if not fields.record_id.isdecimal():
        return _digest(text)
    return _digest(
        f"{fields.computer.lower()}\0{fields.channel.lower()}\0{fields.record_id}\0{fields.time or ''}"
        f"\0{fields.provider_name}\0{fields.event_id}"
    )


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _digest(text: str) -> str:
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
    return b2a_base64(digest, newline=False)[:22].translate(_URL_SAFE).decode()


def _flaws(piece: Piece, fields: Fields, time: int, options: Options) -> tuple[str, ...]:
    flaws = piece.flaws
    if not time:
        flaws = (*flaws, TIME_INVALID)
    if too_long(fields.message) or (options.original and too_long(piece.text)):
        flaws = (*flaws, TRUNCATED)
    return flaws
