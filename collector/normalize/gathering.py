"""Batch -> harvest: one row for every event, its id and its key at once, its document when somebody asks.

Pure and total: a bad event becomes a poorer row, never an error. It knows no format, no sink,
no clock; the time of receipt comes with the batch.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from hashlib import blake2b
from typing import Any

from collector.kernel.fields import Fields, Unreadable, read_event
from collector.model import Batch, Key
from collector.normalize.document import TIME_INVALID, TRUNCATED, Options, Row, document, too_long
from collector.normalize.head import head
from collector.normalize.moments import moment
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

    *texts* is the XML of each row as received, *received* the time of receipt (RFC 3339, UTC). *flaws*
    counts what needed recovery, by the words of FLAWS. *spelled* is where ``formats`` keeps what it made
    of this harvest, so that a format is spelled once.
    """

    __slots__ = ("_documents", "_options", "_rows", "batch", "flaws", "ids", "keys", "received", "spelled", "texts")

    def __init__(self, batch: Batch, pieces: Sequence[Piece], options: Options) -> None:
        self.batch = batch
        self.received = batch.received.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        self.texts: list[str] = [piece.text for piece in pieces]
        self.ids: list[str] = []
        self.keys: list[Key] = []
        self.flaws: Counter[str] = Counter()
        self.spelled: dict[Any, Any] = {}
        self._options = options
        self._rows = [self._gather(piece) for piece in pieces]
        self._documents: list[dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def fields(self) -> list[dict[str, Any]]:
        """The ``winlogbeat`` document of each row, without what is the same for the whole batch.

        They and their parts are shared with others: read them, never change them.
        """
        if self._documents is None:
            self._documents = [document(row, self.received, self._options) for row in self._rows]
            self._rows = []
        return self._documents

    def tag(self, rows: Sequence[int], word: str) -> None:
        """Add *word* to the tags of these rows' documents; before anybody asks for one."""
        assert self._documents is None, "documents are shared and never change"
        for row in rows:
            self._rows[row] = self._rows[row]._replace(tags=(*self._rows[row].tags, word))

    def _gather(self, piece: Piece) -> Row:
        """Fill the columns for one row, and add to its flaws what is wrong beyond its XML."""
        fields = piece.fields
        if fields is None:
            self.ids.append(_digest(piece.text))
            self.keys.append(NO_KEY)
            self.flaws.update(piece.flaws)
            return Row(piece, None, None)
        kind = head(fields, self._options.tables())
        when = moment(fields.time) if fields.time else None
        self.ids.append(event_id(fields, piece.text))
        time = when.time if when else 0
        self.keys.append(Key(time, fields.computer, kind.channel, fields.provider_name, kind.code, kind.level))
        flaws = _flaws(piece, fields, time, self._options)
        if flaws:
            piece = piece._replace(flaws=flaws)
            self.flaws.update(flaws)
        return Row(piece, kind, when)


def harvest(batch: Batch, options: Options = Options()) -> Harvest:
    """Read every event of *batch*. Never raises because of what an event says."""
    pieces: list[Piece] = []
    extra = MOST_EXTRA
    for text in batch.events:
        try:
            # Beats make control characters visible before they parse; we do it only where that is needed.
            fields = read_event(visible(text) if options.exact else text)
        except Unreadable:
            found = recover(text, min(MOST_PIECES, extra))
            extra -= len(found) - 1
            pieces += found
        else:
            pieces.append(Piece(text, fields))
    return Harvest(batch, pieces, options)


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
