"""``stored``: what the embedded store keeps of an event, its document and its XML as received.

Internal: no setting offers it, and only ``collector.events`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable

from collector.formats.records import to_json
from collector.normalize import Harvest


def combined(documents: Iterable[bytes], harvest: Harvest) -> Iterable[bytes]:
    """``{"document":{...},"xml":"..."}`` from the documents that were spelled already."""
    for document, text in zip(documents, harvest.texts, strict=True):
        yield b'{"document":' + document + b',"xml":' + to_json(text) + b"}"
