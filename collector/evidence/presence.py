"""Who is there: one entry for each source and subscription, kept in memory and saved now and then.

Presence is evidence for people, not part of the guarantee: losing the last second of it
in a crash loses no event. Only callers whose identity is proven (or, on loopback, claimed)
get here, and the number of entries is bounded all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from collector import telemetry
from collector.model import Caller
from collector.store.base import Presence

MOST = 200_000
"""Entries held: ten thousand sources with twenty subscriptions. More are served but not listed."""
LONGEST_REFUSAL = 300

ACTIVE, ALIVE, SILENT = "active", "alive", "silent"


class Presences:
    """The book of sources. Not thread-safe: it lives on the event loop."""

    def __init__(self, known: Iterable[Presence] = ()) -> None:
        self._entries = {(entry.key, entry.subscription): entry for entry in known}
        self._changed: set[tuple[str, str]] = set()

    def seen(self, caller: Caller, subscription: str, now: datetime, *, version: str = "") -> None:
        """It asked for its subscriptions, or said something about this one."""
        self._update(caller, subscription, now, version)

    def heard(self, caller: Caller, subscription: str, now: datetime, *, version: str = "") -> None:
        """A heartbeat arrived."""
        self._update(caller, subscription, now, version, last_heartbeat=now)

    def delivered(
        self,
        caller: Caller,
        subscription: str,
        now: datetime,
        *,
        events: int,
        newest: datetime | None,
        version: str = "",
    ) -> None:
        """A batch was acknowledged. *newest* is the newest event's own time."""
        before = self._entries.get((caller.key, subscription))
        self._update(
            caller,
            subscription,
            now,
            version,
            last_event=now,
            last_event_time=newest or (before.last_event_time if before else None),
            events=(before.events if before else 0) + events,
        )

    def dropped(self, caller: Caller, subscription: str, now: datetime, total: int) -> int:
        """The source says it has dropped *total* events since it subscribed; how many of them are news."""
        before = self._entries.get((caller.key, subscription))
        known = before.dropped if before else 0
        more = total - known if total >= known else total  # a smaller total: a new count since a new subscription
        self._update(caller, subscription, now, "", dropped=total)
        return more

    def refused(self, caller: Caller, subscription: str, now: datetime, reason: str) -> None:
        """Something of this source was refused; the newest reason is kept."""
        self._update(caller, subscription, now, "", last_refusal=f"{now:%Y-%m-%dT%H:%M:%SZ} {reason}"[:LONGEST_REFUSAL])

    def changed(self) -> Sequence[Presence]:
        """What was not saved yet; the caller saves it, or says ``unsaved``."""
        entries = [self._entries[key] for key in self._changed]
        self._changed.clear()
        return entries

    def unsaved(self, entries: Sequence[Presence]) -> None:
        """These could not be saved: they are among the changed ones again."""
        self._changed.update((entry.key, entry.subscription) for entry in entries)

    def all(self) -> Sequence[Presence]:
        return list(self._entries.values())

    def _update(self, caller: Caller, subscription: str, now: datetime, version: str, **news: object) -> None:
        key = (caller.key, subscription)
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= MOST:
                telemetry.presence_full(MOST)
                return
            entry = Presence(caller.name, caller.key, caller.address, subscription, first_seen=now, last_seen=now)
        self._entries[key] = replace(
            entry,
            source=caller.name,
            address=caller.address,
            last_seen=now,
            version=version or entry.version,
            **news,  # type: ignore[arg-type]
        )
        self._changed.add(key)


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
