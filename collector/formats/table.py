"""The table of formats, and ``spell``, which makes each of them once for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collector.formats import raw, stored, winlogbeat
from collector.formats.records import Drop, Format, assemble
from collector.model import Records
from collector.normalize import Harvest


def spell(harvest: Harvest, name: str, drop_fields: Sequence[str] = ()) -> Records:
    """*harvest* in the format *name* (a key of FORMATS) without *drop_fields* (dotted names).

    One record for each row, none of them holding a LF. Remembered in ``harvest.spelled``, so that
    several lanes share it. ``wef.event_id`` is never dropped; formats that have no fields drop none.
    """
    entry = FORMATS[name]
    drop = tuple(drop_fields) if entry.structured else ()
    found: Records | None = harvest.spelled.get((name, drop))
    if found is None:
        found = harvest.spelled[name, drop] = assemble(name, harvest, entry.lines(harvest, drop))
    return found


def _stored_lines(harvest: Harvest, drop: Drop) -> Iterable[bytes]:
    documents = spell(harvest, "winlogbeat", drop)
    return stored.combined((documents.record(row) for row in range(len(documents))), harvest)


FORMATS: dict[str, Format] = {
    "winlogbeat": Format(winlogbeat.lines, structured=True),
    "raw": Format(raw.raw_lines, structured=False),
    "raw_json": Format(raw.raw_json_lines, structured=False),
    "stored": Format(_stored_lines, structured=True, public=False),
}
