"""The sink that writes into the embedded event store: the store's promise in a sink's words.

The store collapses repetitions by (time, id), so whatever a lane offers twice is kept once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from collector import telemetry
from collector.clock import Clock
from collector.config.settings import SinkSettings
from collector.config.units import Duration, Size
from collector.errors import OperatorError
from collector.events.store import EventStore, StoreUnavailable
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable, Surroundings

FOLDER = "events"
"""Where the store lies in the state folder."""

_RETAIN_EVERY = 300.0
"""Seconds between two looks at the store's age and size: a file is a day, so minutes are exact enough."""

_CANNOT_CREATE = 73


class EventsSettings(SinkSettings):
    """``type = "events"``: how long and how much the embedded store keeps."""

    type: Literal["events"] = "events"
    retention_age: Duration = 30 * 86_400.0
    retention_size: Size = 50 * 2**30


class EventsSink:
    """Records of the format ``stored`` into ``state/events``."""

    format = "stored"

    def __init__(self, folder: Path, clock: Clock, *, age: float, size: int) -> None:
        self._folder, self._clock = folder, clock
        self._age, self._size = age, size
        self._store: EventStore | None = None
        self._retained = 0.0

    @classmethod
    def build(cls, _name: str, settings: EventsSettings, surroundings: Surroundings) -> EventsSink:
        folder = surroundings.state / FOLDER
        return cls(folder, surroundings.clock, age=settings.retention_age, size=settings.retention_size)

    async def open(self) -> None:
        if self._store is None:
            try:
                self._store = await asyncio.to_thread(EventStore, self._folder)
            except OSError as error:
                raise OperatorError(
                    f"{self._folder}: {error.strerror}; the embedded store needs a folder it can write to.",
                    exit_code=_CANNOT_CREATE,
                ) from error
            await self._retain()

    async def write(self, records: Records) -> Sequence[Rejection]:
        if self._store is None:
            raise SinkUnavailable(f"{self._folder}: the store is closed")
        try:
            written = await self._store.write(records)
        except StoreUnavailable as error:
            raise SinkUnavailable(str(error)) from error
        if self._clock.monotonic() - self._retained >= _RETAIN_EVERY:
            await self._retain()
        return [Rejection(entry.row, entry.reason) for entry in written.unstorable]

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def _retain(self) -> None:
        """Let go of what is too old or too much. That it fails is no reason to refuse new events."""
        self._retained = self._clock.monotonic()
        store = self._store
        if store is not None:
            try:
                await store.retain(self._clock.now(), self._age, self._size)
            except StoreUnavailable as error:
                telemetry.retention_failed(str(error))
