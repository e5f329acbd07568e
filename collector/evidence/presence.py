"""Who is there: one entry for each source and subscription, kept in memory and saved now and then.

Presence is evidence for people, not part of the guarantee: losing the last second of it
in a crash loses no event. Only callers whose identity is proven (or, on loopback, claimed)
get here, and the number of entries is bounded all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from collector import telemetry
from collector.model import Caller
from collector.store.base import Presence

MOST = 200_000
"""Entries held: ten thousand sources with twenty subscriptions. More are served but not listed."""
LONGEST_REFUSAL = 300
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ACTIVE, ALIVE, SILENT = "active", "alive", "silent"


class _Entry:
    """A ``Presence`` that is being changed: by every batch, while somebody looks once a second."""

    __slots__ = (
        "address", "dropped", "events", "first_seen", "key", "last_event", "last_event_time", "last_heartbeat",
        "last_refusal", "last_seen", "newest", "source", "subscription", "version",
    )  # fmt: skip

    def __init__(self, known: Presence) -> None:
        self.source, self.key, self.address, self.subscription = (
            known.source,
            known.key,
            known.address,
            known.subscription,
        )
        self.first_seen, self.last_seen = known.first_seen, known.last_seen
        self.last_heartbeat, self.last_event = known.last_heartbeat, known.last_event
        self.last_event_time = known.last_event_time
        self.newest = 0
        self.events, self.dropped = known.events, known.dropped
        self.version, self.last_refusal = known.version, known.last_refusal

    def presence(self) -> Presence:
        if self.newest:
            self.last_event_time, self.newest = EPOCH + timedelta(microseconds=self.newest // 1000), 0
        return Presence(
            self.source, self.key, self.address, self.subscription, self.first_seen, self.last_seen,
            self.last_heartbeat, self.last_event, self.last_event_time, self.events, self.dropped, self.version,
            self.last_refusal,
        )  # fmt: skip


class Presences:
    """The book of sources. Not thread-safe: it lives on the event loop."""

    def __init__(self, known: Iterable[Presence] = ()) -> None:
        self._entries = {(entry.key, entry.subscription): entry for entry in known}
        self._changed: dict[tuple[str, str], _Entry] = {}  # what the entries do not say yet

    def seen(self, caller: Caller, subscription: str, now: datetime, *, version: str = "") -> None:
        """It asked for its subscriptions, or said something about this one."""
        self._update(caller, subscription, now, version)

    def heard(self, caller: Caller, subscription: str, now: datetime, *, version: str = "") -> None:
        """A heartbeat arrived."""
        entry = self._update(caller, subscription, now, version)
        if entry is not None:
            entry.last_heartbeat = now

    def delivered(
        self,
        caller: Caller,
        subscription: str,
        now: datetime,
        *,
        events: int,
        newest: int,
        version: str = "",
    ) -> None:
        """A batch was acknowledged. *newest* is the newest event's own time in ns since 1970 (UTC), 0: none has one."""
        entry = self._update(caller, subscription, now, version)
        if entry is not None:
            entry.last_event = now
            entry.newest = newest or entry.newest
            entry.events += events

    def dropped(self, caller: Caller, subscription: str, now: datetime, total: int) -> int:
        """The source says it has dropped *total* events since it subscribed; how many of them are news."""
        entry = self._update(caller, subscription, now, "")
        known = entry.dropped if entry is not None else 0
        if entry is not None:
            entry.dropped = total
        return total - known if total >= known else total  # a smaller one: a new count since a new subscription

    def refused(self, caller: Caller, subscription: str, now: datetime, reason: str) -> None:
        """Something of this source was refused; the newest reason is kept."""
        entry = self._update(caller, subscription, now, "")
        if entry is not None:
            entry.last_refusal = f"{now:%Y-%m-%dT%H:%M:%SZ} {reason}"[:LONGEST_REFUSAL]

    def missed(self, caller: Caller, subscription: str, now: datetime, reason: str) -> None:
        """We called and got nothing of use: the newest reason is kept, and it was not seen."""
        key = (caller.key, subscription)
        before = self._changed.get(key) or self._entries.get(key)
        seen = before.last_seen if before is not None else now
        self.refused(caller, subscription, now, reason)
        entry = self._changed.get(key)
        if entry is not None:
            entry.last_seen = seen

    def changed(self) -> Sequence[Presence]:
        """What was not saved yet; the caller saves it, or says ``unsaved``."""
        self._settle()
        entries = [self._entries[key] for key in self._changed]
        self._changed.clear()
        return entries

    def unsaved(self, entries: Sequence[Presence]) -> None:
        """These could not be saved: they are among the changed ones again."""
        for entry in entries:
            self._open((entry.key, entry.subscription))

    def all(self) -> Sequence[Presence]:
        self._settle()
        return list(self._entries.values())

    def _settle(self) -> None:
        self._entries.update((key, entry.presence()) for key, entry in self._changed.items())

    def _open(self, key: tuple[str, str]) -> _Entry:
        """The known entry of *key*, to be written into."""
        entry = self._changed.get(key)
        if entry is None:
            entry = self._changed[key] = _Entry(self._entries[key])
        return entry

    def _update(self, caller: Caller, subscription: str, now: datetime, version: str) -> _Entry | None:
        """The entry to write into, which says already who was there and when; None: there is no room for one."""
        key = (caller.key, subscription)
        if key not in self._entries:
            if len(self._entries) >= MOST:
                telemetry.presence_full(MOST)
                return None
            new = Presence(caller.name, caller.key, caller.address, subscription, first_seen=now, last_seen=now)
            self._entries[key] = new
        entry = self._open(key)
        entry.source, entry.address, entry.last_seen = caller.name, caller.address, now
        entry.version = version or entry.version
        return entry


def state_of(presence: Presence, heartbeat: float, now: datetime) -> str:
    """``active``: events within the heartbeat interval; ``alive``: any sign of the subscription
    within twice that interval; else ``silent``. *heartbeat* in seconds.

    Twice: a source owes a sign of life within each interval ([DSP0226] R10.2.5-2), and one may
    be late. Asking for subscriptions is no sign that this one works, so it does not count.
    """
    interval = timedelta(seconds=heartbeat)
    if presence.last_event is not None and now - presence.last_event <= interval:
        return ACTIVE
    signs = [sign for sign in (presence.last_event, presence.last_heartbeat) if sign is not None]
    return ALIVE if signs and now - max(signs) <= 2 * interval else SILENT


def lag_of(presence: Presence) -> float | None:
    """Seconds between the newest event's own time and its arrival; None before any event."""
    if presence.last_event is None or presence.last_event_time is None:
        return None
    return max(0.0, (presence.last_event - presence.last_event_time).total_seconds())
