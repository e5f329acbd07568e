"""Letters: what becomes of records that a sink will never take. Decides nothing, writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from collector.model import Key, Records
from collector.sinks.base import Rejection
from collector.store.base import Letter

LONGEST_REASON = 1000
"""Characters. A far end's error may quote the whole record, which the letter holds anyway."""


def letters_of(sink: str, records: Records, rejections: Sequence[Rejection]) -> list[Letter]:
    """One letter for each rejection. The same event rejected again by the same sink has the same letter id."""
    return [
        Letter(
            id=_digest(sink, records.ids[rejection.row]),
            sink=sink,
            reason=rejection.reason[:LONGEST_REASON],
            received=records.received,
            event_id=records.ids[rejection.row],
            record=records.record(rejection.row),
            format=records.format,
            source=records.source,
            subscription=records.subscription,
            key=Key(*records.keys[rejection.row]),
        )
        for rejection in rejections
    ]


def quarantined(sink: str, records: Records, reasons: Sequence[str], source: str, texts: Sequence[str]) -> list[Letter]:
    """One letter for each of *records*, which *sink* was not offered. *source* is its caller's key, *texts* its XML.

    Its id is made of both as well: with the event's id alone, somebody who lies about Computer could put a letter of
    his own in the place of a genuine one, or wash one lie away with the next.
    """
    letters = letters_of(sink, records, [Rejection(row, reason) for row, reason in enumerate(reasons)])
    return [
        replace(letter, id=_digest(sink, letter.event_id, source, text), quarantined=source)
        for letter, text in zip(letters, texts, strict=True)
    ]


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()
