"""``stored``: what the embedded store keeps of an event, its document and its XML as received.

Internal: no setting offers it, and only ``collector.events`` reads it. JSON holds no TAB, so one TAB between the
two lets the store cut a whole batch without looking into a record.
"""

from __future__ import annotations

from collections.abc import Iterable

from collector.formats.records import to_json
from collector.normalize import Block, Harvest, wrap


def combined(documents: Iterable[bytes], harvest: Harvest) -> Iterable[bytes]:
    """``{...}`` TAB ``"<Event ..."`` from the documents that were spelled already."""
    for document, text in zip(documents, harvest.texts, strict=True):
        yield document + b"\t" + to_json(text)


def block(documents: bytes, harvest: Harvest) -> Block | None:
    """The same at once; *documents* are records, each followed by LF."""
    return wrap(harvest.texts, b"", b"", documents, b"\t")
