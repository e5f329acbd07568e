"""The table of formats, and ``spell``, which makes each of them once for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collector.formats import raw, stored, winlogbeat
from collector.formats.records import Drop, Format, assemble, records
from collector.model import Records
from collector.normalize import Block, Harvest


def spell(harvest: Harvest, name: str, drop_fields: Sequence[str] = ()) -> Records:
    """*harvest* in the format *name* (a key of FORMATS) without *drop_fields* (dotted names).

    One record for each row, none of them holding a LF. Remembered in ``harvest.spelled``, so that
    several lanes share it. ``wef.event_id`` is never dropped; formats that have no fields drop none.
    """
    entry = FORMATS[name]
    drop = tuple(drop_fields) if entry.structured else ()
    found: Records | None = harvest.spelled.get((name, drop))
    if found is None:
        block = entry.block(harvest, drop) if entry.block else None
        found = records(name, harvest, block) if block else assemble(name, harvest, entry.lines(harvest, drop))
        harvest.spelled[name, drop] = found
    return found


def _stored_lines(harvest: Harvest, drop: Drop) -> Iterable[bytes]:
    documents = spell(harvest, "winlogbeat", drop).block.split(b"\n")
    return stored.combined(documents[:-1], harvest)


def _stored_block(harvest: Harvest, drop: Drop) -> Block | None:
    return stored.block(spell(harvest, "winlogbeat", drop).block, harvest)


FORMATS: dict[str, Format] = {
    "winlogbeat": Format(winlogbeat.lines, structured=True, block=winlogbeat.block),
    "raw": Format(raw.raw_lines, structured=False, block=raw.raw_block),
    "raw_json": Format(raw.raw_json_lines, structured=False, block=raw.raw_json_block),
    "stored": Format(_stored_lines, structured=True, public=False, block=_stored_block),
}
