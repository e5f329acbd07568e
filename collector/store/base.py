"""What every store of state promises.

SQLite keeps it by default; another store is another file with the same promise and
the same contract tests (``tests/contracts/test_stores.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from collector.model import Bookmark, Key

UNKNOWN = Key(0, "", "", "", "", 0)
"""The key of a letter that was kept before keys were; every sink copes with an event that says nothing."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What is known of one source on one subscription. Times are aware UTC, None: never.

    *source* is its name for people, *key* what identifies it. *version* is the version
    GUID the source last echoed, *last_refusal* the newest refusal with its reason.
    *last_event_time* is the newest event's own time: with *last_event* it gives the lag.
    """

    source: str
    key: str
    address: str
    subscription: str
    first_seen: datetime
    last_seen: datetime
    last_heartbeat: datetime | None = None
    last_event: datetime | None = None
    last_event_time: datetime | None = None
    events: int = 0
    dropped: int = 0
    version: str = ""
    last_refusal: str = ""


@dataclass(frozen=True, slots=True)
class LaneState:
    """How a lane stood when it was last asked. *spool_oldest*: when the oldest waiting share came."""

    sink: str
    type: str
    state: str  # "delivering" | "spooling" | "draining" | "full" | "blocked" | "stopped"
    queued: int
    spool_bytes: int
    spool_oldest: datetime | None
    delivered: int
    rejected: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that a sink will never take, kept for people, with all that it takes to offer it again.

    *record* is spelled in *format* (``""``: in the sink's, whatever that was), without its LF. *wanted*:
    somebody asked for it to be offered again and nobody has done so yet. *trouble*: why that came to nothing.
    *quarantined*: the key of the source that it is held back from, ``""``: it was rejected.
    """

    id: str
    sink: str
    reason: str
    received: datetime
    event_id: str
    record: bytes
    format: str = ""
    source: str = ""
    subscription: str = ""
    key: Key = UNKNOWN
    wanted: bool = False
    trouble: str = ""
    quarantined: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """So many letters, and the bytes of their records together."""

    letters: int = 0
    bytes: int = 0

    def grown(self, letters: Sequence[Letter]) -> Amount:
        return Amount(self.letters + len(letters), self.bytes + sum(len(letter.record) for letter in letters))

    def within(self, most: Amount) -> bool:
        return self.letters <= most.letters and self.bytes <= most.bytes


class Store(Protocol):
    """Durable where it says so, quick where it does not."""

    def bookmark(self, source: str, subscription: str) -> Bookmark | None:
        """The saved bookmark of a (source key, subscription id); a point read, no waiting."""

    async def save_bookmark(self, source: str, subscription: str, bookmark: Bookmark) -> None:
        """Return when the bookmark is on disk (synced). Raises ``Backpressure`` when it cannot be."""

    def bookmarks(self) -> Iterable[tuple[str, str, Bookmark]]: ...

    def presences(self) -> Iterable[Presence]: ...

    async def save_presences(self, presences: Sequence[Presence]) -> None: ...

    def lanes(self) -> Iterable[LaneState]: ...

    async def save_lanes(self, lanes: Sequence[LaneState]) -> None: ...

    async def save_letters(self, letters: Sequence[Letter]) -> None:
        """Return when the letters are on disk (synced). One that was there has the new reason, and nobody wants it."""

    async def quarantine(self, letters: Sequence[Letter], most: Amount) -> Amount | None:
        """``save_letters`` for letters that are *quarantined* from one source: all of them or none.

        None: they are on disk. Else more than *most* of their source would wait, so nothing was written, and the
        answer is what waits. Letters that are there already, from an earlier attempt, are counted once.
        """

    def letters(self) -> Iterable[Letter]:
        """All of them, the oldest first, read one by one."""

    async def want_letters(self, ids: Sequence[str]) -> None:
        """Return when it is on disk that these shall be offered to their sinks again; those that are gone stay gone."""

    def wanted_letters(self, most: int, most_bytes: int) -> Sequence[Letter]:
        """The oldest that are wanted: at most *most*, and no more than *most_bytes* of records (but always one)."""

    async def remove_letters(self, ids: Sequence[str]) -> None:
        """Return when these are gone for good: their sinks have the records."""

    async def postpone_letters(self, sink: str, trouble: str) -> None:
        """Nobody wants the letters of *sink* any more, because of *trouble*; they stay letters."""

    async def close(self) -> None: ...
