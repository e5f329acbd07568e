"""What every sink promises, and what it is given to keep it.

A lane knows this file and no sink; a sink knows this file and no lane. Each sink
passes ``tests/contracts/test_sinks.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from collector.clock import Clock
from collector.config.settings import SinkSettings
from collector.errors import CollectorError
from collector.model import Records


class SinkUnavailable(CollectorError):
    """Not now: the far end is down, slow or full. Every record is kept and will be offered again.

    *retry_after*: seconds that the far end asked us to wait. *blocked*: waiting does not help, a person
    must act (wrong password, missing right, missing topic); the text says what to do. The lane asks
    seldom then, and raises the alarm.
    """

    def __init__(self, text: str, *, retry_after: float = 0.0, blocked: bool = False) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.blocked = blocked


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row of the written records that the far end will never take, and why."""

    row: int
    reason: str


class Sink(Protocol):
    """Somewhere records go to stay.

    *format* names the spelling it wants (a key of ``formats.FORMATS``).
    """

    format: str

    async def open(self) -> None:
        """Make ready. Raises ``OperatorError`` for what only a person can mend.

        A far end that is merely down is no reason to raise: ``write`` will say so.
        """

    async def write(self, records: Records) -> Sequence[Rejection]:
        """Return when *records* are safe at the far end (synced), never before.

        May be called again while earlier calls are under way; records are then kept in
        the order of the calls. Rejections name the rows that will never be taken; their
        neighbours are safe. Raises ``SinkUnavailable``: not now; every record is kept by
        the lane and will be offered again, so a repetition must do no harm.
        """

    async def close(self) -> None:
        """Finish what was begun and let go. After ``open`` it can be used again."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a sink may use of the house: the state folder and the clock."""

    state: Path
    clock: Clock


@dataclass(frozen=True, slots=True)
class SinkKind:
    """A row of SINKS: the settings class of a sink type, and how to build one (name, settings, surroundings)."""

    settings: type[SinkSettings]
    build: Callable[[str, Any, Surroundings], Sink]
