"""Events of a test's own making for a fleet: each source numbers its own from 1, and some are poison.

A file as ``wef simulate --events`` reads it. It must not know which sink chokes on what.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from tests.end_to_end.load import Name

EVERY = 97
"""Of so many events of a source one is poison, which is about one per cent."""
EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Feed'/>"
    "<EventID>1</EventID><Level>4</Level><TimeCreated SystemTime='{time:%Y-%m-%dT%H:%M:%S.%fZ}'/>"
    "<EventRecordID>{record}</EventRecordID><Channel>Security</Channel><Computer>anybody</Computer></System>"
    "<EventData><Data Name='Suspect'>{suspect}</Data><Data Name='Filler'>{filler}</Data></EventData></Event>"
)
FILLER = "as long as events are " * 30


def poisonous(name: Name) -> bool:
    return name.record % EVERY == 0


def write_feed(path: Path, now: datetime, number: int, sources: int, poison: Callable[[int], dict[str, str]]) -> Path:
    """*number* events, dealt to *sources* in turn. *poison*: record number -> what is different in a poisonous one."""
    with path.open("w", encoding="utf-8") as lines:
        for at in range(number):
            record = at // sources + 1
            parts = {"suspect": str(record), "filler": FILLER} | (poison(at) if record % EVERY == 0 else {})
            xml = EVENT.format(time=now + timedelta(milliseconds=at), record=record, **parts)
            lines.write(json.dumps({"xml": xml}) + "\n")
    return path
