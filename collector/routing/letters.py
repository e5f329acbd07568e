"""Letters: what becomes of records that a sink will never take. Decides nothing, writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from collector.model import Key, Records
from collector.sinks.base import Rejection
from collector.store.base import Letter

LONGEST_REASON = 1000
"""Characters. A far end's error may quote the whole record, which the letter holds anyway."""


def letters_of(sink: str, records: Records, rejections: Sequence[Rejection]) -> list[Letter]:
    """One letter for each rejection. The same event rejected again by the same sink has the same letter id."""
    return [
        Letter(
            id=_letter_id(sink, records.ids[rejection.row]),
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


def _letter_id(sink: str, event_id: str) -> str:
    text = f"{sink}\0{event_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()
