"""A sink that does what its script says, and makers of records for it.

A word of the script is used for each write: ``ok``, ``down`` (SinkUnavailable), ``blocked``
(the same, and a person must act), ``hang`` (until ``let_go``; then ok), ``hang down`` (the same,
then SinkUnavailable), ``bug`` (an exception that nobody foresaw), ``reject`` (all but the first
row are taken). After the script's end everything is ok.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from collector.model import Key, Records
from collector.sinks.base import Rejection, SinkUnavailable

RECEIVED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class ScriptedSink:
    """Remembers every id: *called* in the order of the calls, *taken* in the order of what it has."""

    format = "raw"

    def __init__(self, *script: str) -> None:
        self.script = deque(script)
        self.called: list[str] = []
        self.taken: list[str] = []
        self.opened = self.closed = 0
        self._free = asyncio.Event()

    async def open(self) -> None:
        self.opened += 1

    async def write(self, records: Records) -> Sequence[Rejection]:
        self.called.extend(records.ids)
        word = self.script.popleft() if self.script else "ok"
        if word.startswith("hang"):
            await self._free.wait()
        if word == "blocked":
            raise SinkUnavailable("the script says that a person must act", blocked=True)
        if word.endswith("down"):
            raise SinkUnavailable("the script says that it is down")
        if word == "bug":
            raise ZeroDivisionError("the script says that there is a bug")
        rejected = [Rejection(0, "the script rejects it")] if word == "reject" else []
        self.taken.extend(records.ids[len(rejected) :])
        return rejected

    def let_go(self) -> None:
        """Whatever hangs goes on, and nothing hangs any more."""
        self._free.set()

    async def close(self) -> None:
        self.closed += 1


def records(*ids: str, source: str = "pc01", size: int = 20) -> Records:
    """Records with these ids, of about *size* bytes each."""
    block, ends = b"", array("Q")
    for identifier in ids:
        block += identifier.encode().ljust(size, b".") + b"\n"
        ends.append(len(block))
    keys = [Key(1_700_000_000_000_000_000, source, "Security", "Provider", "4624", 0) for _ in ids]
    return Records("raw", block, ends, list(ids), keys, source, "sub", RECEIVED)


async def eventually(condition: Callable[[], bool]) -> None:
    """Let the loop turn until *condition* holds; a hang is a failure."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is inside a lane, which has no event for it
            await asyncio.sleep(0.001)  # not 0: a loop that spins keeps the threads that write from the interpreter
