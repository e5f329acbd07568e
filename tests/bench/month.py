"""Thirty days of made-up events as Records of the format ``stored``, cheaper to make than to store.

A few hundred batches are made up and spelled as the collector does it; every further batch is one of them with
another machine, another hour and other ids stamped in. Texts keep their lengths, so nothing is spelled again.
"""

from __future__ import annotations

import re
from array import array
from binascii import b2a_base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random

from collector.formats import spell
from collector.model import Batch, Caller, Key, Records, SubscriptionRef
from collector.normalize import Harvest, harvest
from collector.simulate.generator import Machine

BATCH = 100
"""Events of one message, as Windows sends them under load."""

DAYS = 30
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
"""What one batch spans: the patience of a subscription in its Normal mode."""

ROLES = (("workstation", "ws", 80), ("server", "srv", 15), ("controller", "dc", 5))
"""Role, the start of its machines' names, how many there are of them."""

_BLANK = 9999
_HOUR = 3600 * 10**9
_SUBSCRIPTION = SubscriptionRef("8f4cf5b0-4b3a-5c0e-9a58-0d1ce5a5f7a1", "everything", "A" * 36, "1")


def machine(short: str, number: int) -> str:
    return f"{short}-{number:04}.corp.example"


@dataclass(frozen=True, slots=True)
class Stencil:
    """A batch to be stamped: its records cut at every id, so ``parts`` is text, id, text, id, ..., text."""

    short: str
    machines: int
    parts: list[bytes]
    ends: array[int]
    keys: list[Key]
    received: datetime

    def stamp(self, hour: int, random: Random) -> Records:
        """The batch as it would come from any machine of its role in the *hour* (counted from FIRST_DAY)."""
        name = machine(self.short, random.randrange(self.machines))
        ids = [
            b2a_base64(random.randbytes(16), newline=False)[:22].translate(bytes.maketrans(b"+/", b"-_"))
            for _ in self.keys
        ]
        parts = list(self.parts)
        parts[1::2] = ids
        moment = FIRST_DAY + timedelta(hours=hour)
        block = b"".join(parts).replace(b"2026-01-01T00:", f"{moment:%Y-%m-%dT%H:}".encode())
        block = block.replace(machine(self.short, _BLANK).encode(), name.encode())
        keys = [Key(key[0] + hour * _HOUR, name, *key[2:]) for key in self.keys]
        received = self.received + timedelta(hours=hour)
        return Records("stored", block, self.ends, [i.decode() for i in ids], keys, name, "everything", received)


def harvests(count: int, seed: int = 1) -> list[tuple[Harvest, int]]:
    """*count* batches of the first hour, not spelled, and the row of ROLES each is of."""
    random = Random(seed)
    weights = [share for _, _, share in ROLES]
    return [
        (harvest(_batch(number, kind, random)), kind)
        for number, kind in enumerate(random.choices(range(len(ROLES)), weights, k=count))
    ]


def _batch(number: int, kind: int, random: Random) -> Batch:
    role, short, _ = ROLES[kind]
    name = machine(short, _BLANK)
    start = FIRST_DAY + number % 4 * QUARTER
    moments = sorted(start + random.random() * QUARTER * 0.999 for _ in range(BATCH))
    made = Machine(name, role, seed=number)
    events = [made.happening(moment).write(row + 1) for row, moment in enumerate(moments)]
    caller = Caller(name, name, f"{name}$@CORP.EXAMPLE", "kerberos", "10.0.0.1")
    return Batch(caller, _SUBSCRIPTION, start + QUARTER * 0.9999, events, "bench")


class Month:
    """*events* over DAYS days in the order in which they come: by quarters of an hour, machine after machine.

    Only the first *days* of them are made.
    """

    def __init__(self, events: int, *, days: int = DAYS, stencils: int = 200) -> None:
        self._events, self._days = events, days
        self._quarters: list[list[Stencil]] = [[], [], [], []]
        for number, (one, kind) in enumerate(harvests(stencils)):
            self._quarters[number % 4].append(_stencil(one, kind))

    def batches(self) -> Iterator[Records]:
        """All of it, the same for the same number of events."""
        random = Random(self._events)
        quarters, made = DAYS * 24 * 4, 0
        for quarter in range(self._days * 24 * 4):
            due = self._events * (quarter + 1) // quarters
            while made + BATCH <= due:
                made += BATCH
                yield random.choice(self._quarters[quarter % 4]).stamp(quarter // 4, random)


def _stencil(one: Harvest, kind: int) -> Stencil:
    _, short, machines = ROLES[kind]
    records = spell(one, "stored")
    ids = [identifier.encode() for identifier in records.ids]
    texts = re.split(b"|".join(map(re.escape, ids)), records.block)
    assert len(texts) == len(ids) + 1, "an id stands in its record once"
    parts = [*chain.from_iterable(zip(texts, ids, strict=False)), texts[-1]]
    return Stencil(short, machines, parts, records.ends, list(records.keys), records.received)
