"""A source that talks: Enumerate every Refresh, and a delivery for each subscription that is offered.

What follows from the offers is decided by ``source``; here are only the order of things and the waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.simulate.delivery import Delivery, Manner
from collector.simulate.reading import Reading
from collector.simulate.replies import Judgement, Offered, TryAgain, judge_enumerate
from collector.simulate.source import Source
from collector.simulate.wire import Unreachable, Wire
from collector.wsman.requests import Speaker, write_end, write_enumerate

FIRST_ATTEMPTS = 1.0
"""Seconds between Enumerates while none was answered yet; Windows would wait for its Refresh, people would not."""


@dataclass(eq=False, slots=True)
class Conversation:
    """Everything *source* says to the collector, until ``stop``.

    *context* is called when a connection is opened (a TLS context is dear, and most fleets share one).
    *heard* is called with every judgement, for whoever watches. *doors* bounds how many connections a
    fleet opens at the same moment.
    """

    source: Source
    manner: Manner
    context: Callable[[], ssl.SSLContext | None]
    heard: Callable[[Source, Judgement], None]
    doors: asyncio.Semaphore
    _deliveries: dict[Reading, Delivery] = field(default_factory=dict)
    _hurried: bool = False
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Enumerate now and every Refresh; deliver in between; say good-bye when stopped."""
        async with asyncio.TaskGroup() as deliveries:
            while not self._stopping.is_set():
                await self._enumerate(deliveries)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._pause())
            for delivery in self._deliveries.values():
                delivery.stop()

    def stop(self) -> None:
        """End in good order: the exchange under way, SubscriptionEnd, End."""
        self._stopping.set()

    def flush(self) -> None:
        """Send what waits for company, now and from now on."""
        self._hurried = True
        for delivery in self._deliveries.values():
            delivery.flush()

    def _pause(self) -> float:
        """Seconds to the next Enumerate: the Refresh, or a moment while nobody has answered yet."""
        refresh = self.manner.refresh
        return refresh if self.source.subscribed else min(refresh, FIRST_ATTEMPTS)

    async def _enumerate(self, deliveries: asyncio.TaskGroup) -> None:
        message_id, operation_id = self.manner.new_id(), self.manner.new_id()
        speaker = Speaker(self.source.name, session_id=self.manner.new_id())
        text = write_enumerate(speaker, to=self.manner.url, message_id=message_id, operation_id=operation_id)
        judgement: Judgement
        async with self.doors, self._wire(self.manner.url) as wire:
            try:
                judgement = judge_enumerate(await wire.post(text), message_id)
            except Unreachable as error:
                judgement = TryAgain(str(error), answered=False)
            if isinstance(judgement, Offered):
                self._follow(judgement, deliveries)
                # the event connections are opened while this one still is; then it ends (captured)
                with contextlib.suppress(Unreachable):
                    await wire.post(write_end(message_id=self.manner.new_id(), operation_id=operation_id))
        self.heard(self.source, judgement)

    def _follow(self, offered: Offered, deliveries: asyncio.TaskGroup) -> None:
        changes = self.source.receive(offered.offers, self.manner.clock.now())
        for reading in changes.closed:
            self._deliveries.pop(reading).unsubscribe()
        for delivery in self._deliveries.values():
            delivery.refresh()
        for reading in changes.opened:
            delivery = Delivery(self.source, reading, self.manner, self._wire, self.heard)
            self._deliveries[reading] = delivery
            deliveries.create_task(delivery.run())
            if self._hurried:
                delivery.flush()

    def _wire(self, url: str) -> Wire:
        return Wire(url, self.manner.charset, self.context(), self.manner.timeout)
