"""A source that talks: Enumerate every Refresh, and one connection for each subscription.

What is said next is decided by ``source`` and ``reading``, what an answer means by ``replies``; here
are only the order of things, the waiting and the connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.clock import Clock
from collector.simulate.reading import Beat, Parcel, Reading, Wait
from collector.simulate.replies import Judgement, Offered, Refused, Taken, TryAgain, judge_delivery, judge_enumerate
from collector.simulate.source import Source
from collector.simulate.wire import Charset, NotConnected, Unreachable, Wire
from collector.simulate import stopgap as requests
from collector.wsman.names import EVENTING

FAREWELL = 2.0
"""Seconds for SubscriptionEnd and End together; Windows gives them half a second (PT0.500S) and leaves."""
FIRST_ATTEMPTS = 1.0
"""Seconds between Enumerates while none was answered yet; Windows would wait for its Refresh, people would not."""

SHUTTING_DOWN = EVENTING + "/SourceShuttingDown"


@dataclass(frozen=True, slots=True)
class Manner:
    """How the sources of a fleet talk.

    *compression*: ``offer`` (as the subscription says), ``sldc`` or ``none``. *refresh* is the Refresh of
    the policy, *retry_interval* the most seconds between two attempts whatever ConnectionRetry says (None:
    as it says), *timeout* how long an answer may take: the OperationTimeout that is sent along.
    """

    url: str
    charset: Charset
    clock: Clock
    new_id: Callable[[], str]
    compression: str = "offer"
    refresh: float = 60.0
    retry_interval: float | None = None
    timeout: float = 60.0


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
    _deliveries: dict[Reading, _Delivery] = field(default_factory=dict)
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
        text = requests.write_enumerate(
            to=self.manner.url,
            machine_id=self.source.name,
            message_id=message_id,
            session_id=self.manner.new_id(),
            operation_id=operation_id,
        )
        judgement: Offered | TryAgain | Refused
        async with self.doors, self._wire(self.manner.url) as wire:
            try:
                judgement = judge_enumerate(await wire.post(text), f"uuid:{message_id}")
            except Unreachable as error:
                judgement = TryAgain(str(error), answered=False)
            if isinstance(judgement, Offered):
                self._follow(judgement, deliveries)
                # the event connections are opened while this one still is; then it ends (captured)
                with contextlib.suppress(Unreachable):
                    await wire.post(requests.write_end(message_id=self.manner.new_id(), operation_id=operation_id))
        self.heard(self.source, judgement)

    def _follow(self, offered: Offered, deliveries: asyncio.TaskGroup) -> None:
        changes = self.source.receive(offered.offers, self.manner.clock.now())
        for reading in changes.closed:
            self._deliveries.pop(reading).unsubscribe()
        for delivery in self._deliveries.values():
            delivery.refresh()
        for reading in changes.opened:
            delivery = _Delivery(self.source, reading, self.manner, self._wire, self.heard)
            self._deliveries[reading] = delivery
            deliveries.create_task(delivery.run())
            if self._hurried:
                delivery.flush()

    def _wire(self, url: str) -> Wire:
        return Wire(url, self.manner.charset, self.context(), self.manner.timeout)


class _Delivery:
    """One subscription's connection and what goes over it."""

    def __init__(
        self,
        source: Source,
        reading: Reading,
        manner: Manner,
        open_wire: Callable[[str], Wire],
        heard: Callable[[Source, Judgement], None],
    ) -> None:
        self.reading = reading
        self._source = source
        self._manner = manner
        self._open_wire = open_wire
        self._heard = heard
        self._sldc = manner.compression == "sldc" or (manner.compression == "offer" and reading.offer.compression)
        self._wire: Wire | None = None
        self._session_id = ""
        self._failures = 0
        self._not_before = 0.0  # monotonic; the pause after a failure
        self._stale = False  # every attempt failed: nothing more until the next Refresh
        self._ending = ""  # "unsubscribe" or "stop"
        self._wake = asyncio.Event()

    def stop(self) -> None:
        self._ending = self._ending or "stop"
        self._wake.set()

    def unsubscribe(self) -> None:
        self._ending = "unsubscribe"
        self._wake.set()

    def refresh(self) -> None:
        self._stale = False
        self._wake.set()

    def flush(self) -> None:
        self.reading.hurry = True
        self._wake.set()

    async def run(self) -> None:
        deaf = self._source.log.listen(self._wake.set)
        try:
            while not self._ending:
                self._wake.clear()
                await self._turn()
            if self._ending == "stop":
                await self._say_goodbye()
        finally:
            deaf()
            await self._hang_up()

    async def _turn(self) -> None:
        now = self._manner.clock.monotonic()
        if self._stale or self.reading.refused:
            await self._rest(None)
        elif now < self._not_before:
            await self._rest(self._not_before - now)
        else:
            step = self.reading.step(now)
            if isinstance(step, Wait):
                await self._rest(step.seconds)
            else:
                await self._deliver(step)

    async def _rest(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _deliver(self, step: Beat | Parcel) -> None:
        judgement = await self._said(step)
        identifier = self.reading.offer.identifier
        match judgement:
            case Taken():
                self.reading.acknowledged(self._manner.clock.monotonic())
                self._failures = 0
                if isinstance(step, Parcel):
                    self._source.ledger.confirm(identifier, step.sequences)
            case Refused():  # cancelled at once and without a SubscriptionEnd ([MS-WSMV] 3.1.4.1.30.2)
                self.reading.refused = True
                self._source.ledger.refused += 1
                await self._hang_up()
            case TryAgain():
                await self._hang_up()
                self._fail()
        self._heard(self._source, judgement)

    def _fail(self) -> None:
        """ConnectionRetry: so many attempts at that interval, then the subscription is stale until the next Refresh."""
        offer, most = self.reading.offer, self._manner.retry_interval
        self._failures += 1
        if self._failures > offer.retry_total:
            self._failures, self._stale = 0, True
            return
        pause = offer.retry_interval if most is None else min(offer.retry_interval, most)
        self._not_before = self._manner.clock.monotonic() + pause

    async def _said(self, step: Beat | Parcel) -> Taken | TryAgain | Refused:
        message_id = self._manner.new_id()
        wire = self._connected()
        text = self._spelled(step, message_id)
        sequences = step.sequences if isinstance(step, Parcel) else ()
        try:
            answer = await wire.post(text, claims_sldc=self._sldc, compressed=self._sldc)
        except NotConnected as error:
            return TryAgain(str(error), answered=False)
        except Unreachable as error:
            self._source.ledger.put_on_wire(self.reading.offer.identifier, sequences)
            return TryAgain(str(error), answered=False)
        self._source.ledger.put_on_wire(self.reading.offer.identifier, sequences)
        return judge_delivery(answer, f"uuid:{message_id}")

    def _spelled(self, step: Beat | Parcel, message_id: str) -> str:
        offer = self.reading.offer
        common = {
            "to": offer.notify_to,
            "machine_id": self._source.name,
            "message_id": message_id,
            "session_id": self._session_id,
            "operation_id": self._manner.new_id(),
            "identifier": offer.identifier,
        }
        if isinstance(step, Beat):
            return requests.write_heartbeat(**common)
        return requests.write_events(**common, events=step.events, bookmark=step.bookmark, dropped=step.dropped)

    def _connected(self) -> Wire:
        if self._wire is None:
            self._wire = self._open_wire(self.reading.offer.notify_to)
            self._session_id = self._manner.new_id()
        return self._wire

    async def _hang_up(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def _say_goodbye(self) -> None:
        """SubscriptionEnd, then an End that claims SLDC and is not compressed (captured)."""
        if self._wire is None or self.reading.refused:
            return
        operation_id = self._manner.new_id()
        ending = requests.write_subscription_end(to=self.reading.offer.notify_to, machine_id=self._source.name, message_id=self._manner.new_id(), session_id=self._session_id, operation_id=operation_id, identifier=self.reading.offer.identifier, status=SHUTTING_DOWN)
        closing = requests.write_end(message_id=self._manner.new_id(), operation_id=operation_id)
        with contextlib.suppress(Unreachable, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._wire.post(ending, claims_sldc=self._sldc, compressed=self._sldc)
                await self._wire.post(closing, claims_sldc=self._sldc)
