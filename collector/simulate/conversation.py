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
from collector.simulate.replies import Judgement, Offered, Refused, TryAgain, Unproved, judge_enumerate
from collector.simulate.source import Source
from collector.simulate.wire import TurnedAway, Unproven, Unreachable, Wire
from collector.wire.proof import Proof
from collector.wsman.requests import Speaker, write_end, write_enumerate

FIRST_ATTEMPTS = 1.0
"""Seconds between Enumerates while none was answered yet; Windows would wait for its Refresh, people would not."""


@dataclass(eq=False, slots=True)
class Conversation:
    """Everything *source* says to the collector, until ``stop``.

    *context* is called when a connection is opened (a TLS context is dear, and most fleets share one).
    *heard* is called with every judgement, for whoever watches. *doors* bounds how many connections a
    fleet opens at the same moment. *prove* makes the proof of a connection, where one is to be given.
    """

    source: Source
    manner: Manner
    context: Callable[[], ssl.SSLContext | None]
    heard: Callable[[Source, Judgement], None]
    doors: asyncio.Semaphore
    prove: Callable[[], Proof] | None = None
    _deliveries: dict[Reading, Delivery] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _hurried: bool = False
    _crashed: bool = False
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)  # the machine goes down
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)  # and does not come back

    async def run(self) -> None:
        """One life of the machine after the other, until ``stop``."""
        while True:
            await self._live()
            if await self._within(self._stopping, self.manner.away):
                return

    @property
    def able(self) -> bool:
        """It is up and has subscriptions."""
        return bool(self._deliveries) and not self.source.away and not self._stopping.is_set()

    def stop(self) -> None:
        """End in good order: the exchange under way, SubscriptionEnd, End."""
        self._stopping.set()
        self._leaving.set()

    def reboot(self) -> None:
        """Say good-bye (SourceShuttingDown), go, and come back with the same log and nothing else."""
        self.source.restart()
        self._leaving.set()

    def crash(self) -> None:
        """Vanish in the middle of a message, on every connection, and come back as after a reboot."""
        self.source.restart()
        self._crashed = True
        next(iter(self._deliveries.values())).crash(self._leaving.set)

    def flush(self) -> None:
        """Send what waits for company, now and from now on."""
        self._hurried = True
        for delivery in self._deliveries.values():
            delivery.flush()

    async def _live(self) -> None:
        """Enumerate now and every Refresh; deliver in between; say good-bye, unless it is a crash."""
        if not self._stopping.is_set():
            self._leaving.clear()
        async with asyncio.TaskGroup() as deliveries:
            while not self._leaving.is_set():
                await self._enumerate(deliveries)
                await self._within(self._leaving, self._pause())
            if self._crashed:
                for task in self._tasks:
                    task.cancel()
            for delivery in self._deliveries.values():
                delivery.stop()
        self._deliveries.clear()
        self._tasks.clear()
        self._crashed = False

    @staticmethod
    async def _within(event: asyncio.Event, seconds: float) -> bool:
        """Whether *event* is set within *seconds*."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
        return event.is_set()

    def _pause(self) -> float:
        """Seconds to the next Enumerate: the Refresh, or a moment while nobody has answered yet."""
        refresh = self.manner.refresh
        waits = self.source.subscribed and not self.source.away
        return refresh if waits else min(refresh, FIRST_ATTEMPTS)

    async def _enumerate(self, deliveries: asyncio.TaskGroup) -> None:
        message_id, operation_id = self.manner.new_id(), self.manner.new_id()
        speaker = Speaker(self.source.name, session_id=self.manner.new_id())
        text = write_enumerate(speaker, to=self.manner.url, message_id=message_id, operation_id=operation_id)
        judgement: Judgement
        async with self.doors, self._wire(self.manner.url) as wire:
            try:
                judgement = judge_enumerate(await wire.post(text), message_id)
            except Unproven as error:
                judgement = Unproved(str(error))
            except TurnedAway as error:
                judgement = Refused(str(error))
            except Unreachable as error:
                judgement = TryAgain(str(error), answered=False)
            down = self.source.away and bool(self._deliveries)  # it went while it was asking
            if isinstance(judgement, Offered) and not down:
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
            self._tasks.append(deliveries.create_task(delivery.run()))
            if self._hurried:
                delivery.flush()

    def _wire(self, url: str) -> Wire:
        manner = self.manner
        return Wire(url, manner.charset, self.context(), manner.timeout, self.prove, manner.ways)
