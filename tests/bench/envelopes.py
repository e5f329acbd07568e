"""Messages that are built once and sent a million times, each time as other events of another machine.

A template has places: the number of the machine in its MachineID, and the number of the batch in the bookmark, in
every EventRecordID and in the fraction of every time. Nothing is so stable as a load that repeats itself, and nothing
so misleading: a store that knows the ids already writes nothing, and one whose new events all fall between old ones
writes everything again. It must not know how messages travel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from collector.simulate.generator import Draft, Machine, fleet_names
from collector.wsman.requests import Speaker, Target, write_events
from tests.bench import compressed

MACHINE, BATCH = "7700", "4444444"
"""What stands in the text where the two numbers go: as many digits as they may have."""
MOST_EVENTS = 100
"""Of one message: its place in the batch is two digits of the record number."""
_BOM: Final = b"\xff\xfe"
_BOOKMARK = f'<BookmarkList><Bookmark Channel="Security" RecordId="1{BATCH}99" IsCurrent="true"/></BookmarkList>'


def machine_name(number: str | int) -> str:
    return f"bench-{number:0>4}.corp.example"


class Template:
    """One message in UTF-16 with its BOM, perhaps compressed. *events*: how many it holds."""

    def __init__(self, text: str, events: int, *, sldc: bool) -> None:
        self.events = events
        self.plain_size = len(text) * 2 + len(_BOM)
        plain, machines, batches = _BOM + text.encode("utf-16-le"), _found(text, MACHINE), _found(text, BATCH)
        self._sldc = sldc
        if sldc:
            self._body, bits = compressed.stream(plain, [*_digits(machines, MACHINE), *_digits(batches, BATCH)])
            split = len(machines) * len(MACHINE)
            self._machines, self._batches = bits[:split], bits[split:]
        else:
            self._body, self._machines, self._batches = bytearray(plain), machines, batches
        self._machine, self._batch = MACHINE, BATCH

    def body(self, machine: int, batch: int) -> bytes:
        """The message as batch number *batch* of *machine*."""
        self._machine = self._numbered(self._machines, self._machine, f"{machine:04}")
        self._batch = self._numbered(self._batches, self._batch, f"{batch % 10_000_000:07}")
        return bytes(self._body)

    def _numbered(self, places: Sequence[int], old: str, new: str) -> str:
        if not self._sldc:
            digits = new.encode("utf-16-le")
            for place in places:
                self._body[place : place + len(digits)] = digits
            return new
        width = len(new)
        for index, digit in enumerate(new):
            if digit != old[index]:
                for bit in places[index::width]:
                    compressed.write_over(self._body, bit, ord(digit))
        return new


def templates(count: int, events: int, target: Target, *, rendered: bool, sldc: bool) -> list[Template]:
    """*count* different messages of *events* each; the same ones every time, but for the time they happened."""
    speaker = Speaker(machine_name(MACHINE), "uuid:5C3F1B0E-0000-4000-8000-000000000001")
    made = []
    for number in range(count):
        texts = event_texts(number, events, rendered=rendered)
        identity = f"uuid:5C3F1B0E-0000-4000-8000-00000000A{number:03}"
        text = write_events(speaker, target, texts, _BOOKMARK, message_id=identity, operation_id=identity)
        made.append(Template(text, events, sldc=sldc))
    return made


def event_texts(number: int, count: int, *, rendered: bool) -> list[str]:
    """*count* events' XML, those of message *number*, with BATCH in record numbers and times."""
    assert count <= MOST_EVENTS, f"at most {MOST_EVENTS} events go into one message here"
    name, role = fleet_names(number + 1)[number]
    machine, now = Machine(name, role, 7), datetime.now(UTC)  # noqa: TID251 - day files are those of the events' own day
    drafts = [machine.happening(now + timedelta(milliseconds=index)) for index in range(count)]
    return [_spelled(draft, int(f"1{BATCH}{index:02}"), rendered) for index, draft in enumerate(drafts)]


def _spelled(draft: Draft, record: int, rendered: bool) -> str:
    xml = re.sub(r"(SystemTime='[^.']+\.)\d+Z", rf"\g<1>{BATCH}Z", draft.write(record), count=1)
    return xml.removesuffix("</Event>") + draft.rendering + "</Event>" if rendered else xml


def _found(text: str, mark: str) -> list[int]:
    """Where *mark* is, in bytes of the UTF-16 with its BOM."""
    places, at = [], text.find(mark)
    while at >= 0:
        places.append(len(_BOM) + at * 2)
        at = text.find(mark, at + len(mark))
    return places


def _digits(places: Sequence[int], mark: str) -> list[int]:
    return [place + index * 2 for place in places for index in range(len(mark))]
