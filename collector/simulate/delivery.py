"""One subscription's connection: what its reading has to say goes out, and comes again until it is taken.

What is said is decided by ``reading``, what an answer means by ``replies``; here are the order of
things, the waiting and the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

from collector.clock import Clock
from collector.simulate.charset import Charset
from collector.simulate.reading import Beat, Parcel, Reading, Wait
from collector.simulate.replies import Judgement, Refused, Taken, TryAgain, judge_delivery
from collector.simulate.source import Source
from collector.simulate.wire import NotConnected, Unreachable, Wire
from collector.wire.connection import Ways
from collector.wsman.messages import Offer
from collector.wsman.requests import (
    Speaker,
    Target,
    write_end,
    write_event,
    write_events,
    write_heartbeat,
    write_subscription_end,
)

FAREWELL = 2.0
"""Seconds for SubscriptionEnd and End together; Windows gives them half a second (PT0.500S) and leaves."""
CONNECTING = 60.0
"""Seconds for a connection: a collector under load, on a machine with thousands of us, is slow and not away."""
SHORTEST_PAUSE = 0.02
"""Seconds between two attempts at least: a collector that offers an interval of nothing shall not spin us."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the sources of a fleet talk.

    *compression*: ``offer`` (as the subscription says), ``sldc`` or ``none``. *refresh* is the Refresh of
    the policy, *retry_interval* the most seconds between two attempts whatever ConnectionRetry says (None:
    as it says), *timeout* how long an answer may take: the OperationTimeout that is sent along. *away*
    is how long a machine is down when it reboots. *ways* is what all their connections share.
    """

    url: str
    charset: Charset
    clock: Clock
    new_id: Callable[[], str]
    compression: str = "offer"
    refresh: float = 60.0
    retry_interval: float | None = None
    timeout: float = 60.0
    away: float = 1.0
    ways: Ways = field(default_factory=lambda: Ways(patience=CONNECTING))


def target_of(offer: Offer) -> Target:
    """Where *offer* wants its deliveries; a:To has the scheme in lower case, however it was offered (captured)."""
    scheme, separator, rest = offer.notify_to.partition("://")
    return Target(f"{scheme.lower()}{separator}{rest}", offer.identifier, offer.version, offer.revision)


class Delivery:
    """One subscription's connection and what goes over it.

    *mode* is Events, Push or PushWithAck; the last two say one event at a time, so *reading* has to.
    """

    def __init__(
        self,
        source: Source,
        reading: Reading,
        manner: Manner,
        open_wire: Callable[[str], Wire],
        heard: Callable[[Source, Judgement], None],
        mode: str = "Events",
    ) -> None:
        self.reading = reading
        self._mode = mode
        self._source = source
        self._manner = manner
        self._open_wire = open_wire
        self._heard = heard
        self._sldc = manner.compression == "sldc" or (manner.compression == "offer" and reading.offer.compression)
        self._wire: Wire | None = None
        self._speaker = Speaker(source.name, locale=reading.offer.locale or "en-US")
        self._target = target_of(reading.offer)
        self._manager_id = manner.new_id().removeprefix("uuid:")  # our own id of the subscription
        self._failures = 0
        self._not_before = 0.0  # monotonic; the pause after a failure
        self._stale = False  # every attempt failed: nothing more until the next Refresh
        self._ending = ""  # "unsubscribe", "stop" or "crash"
        self._crashed: Callable[[], None] | None = None  # tells that it has; set: crash as soon as may be
        self._wake = asyncio.Event()

    def stop(self) -> None:
        self._ending = self._ending or "stop"
        self._wake.set()

    def unsubscribe(self) -> None:
        self._ending = "unsubscribe"
        self._wake.set()

    def crash(self, crashed: Callable[[], None]) -> None:
        """Break off in the middle of the next message, which is what there is to say now, and tell by *crashed*."""
        self._crashed = crashed
        self.flush()

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
        if self._crashed is not None:
            await self._break_off(now)
            self._ending = "crash"
            self._crashed()
        elif self._stale or self.reading.refused:
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
        """Until something happens, at most *seconds*."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), None if seconds == inf else seconds)

    async def _deliver(self, step: Beat | Parcel) -> None:
        judgement = await self._said(step)
        identifier = self.reading.offer.identifier
        match judgement:
            case Taken():
                self.reading.acknowledged(self._manner.clock.monotonic())
                self._failures = 0
                if isinstance(step, Parcel):
                    self._source.ledger.confirm(identifier, step.sequences)
                    self._source.ledger.dropped += step.dropped
            case Refused():  # cancelled at once and without a SubscriptionEnd ([MS-WSMV] 3.1.4.1.30.2)
                self.reading.refused = True
                self._source.ledger.refused += 1
                await self._hang_up()
            case TryAgain():
                await self._hang_up()
                self._fail()
        self._heard(self._source, judgement)

    def _fail(self) -> None:
        """ConnectionRetry: so many attempts at that interval, then nothing more until the next Refresh."""
        offer, most = self.reading.offer, self._manner.retry_interval
        self._failures += 1
        if self._failures > offer.retry_total:
            self._failures, self._stale = 0, True
            return
        pause = offer.retry_interval if most is None else min(offer.retry_interval, most)
        self._not_before = self._manner.clock.monotonic() + max(pause, SHORTEST_PAUSE)

    async def _said(self, step: Beat | Parcel) -> Taken | TryAgain | Refused:
        message_id = self._manner.new_id()
        wire = self._connected()
        text = self._spelled(step, message_id)
        sequences = step.sequences if isinstance(step, Parcel) else ()
        try:
            answer = await wire.post(text, claims_sldc=self._sldc, compressed=self._sldc)
        except NotConnected as error:
            return TryAgain(str(error), answered=False)  # nothing was put on the wire
        except (Unreachable, asyncio.CancelledError) as error:  # who is cancelled may have been heard
            self._source.ledger.put_on_wire(self.reading.offer.identifier, sequences)
            if isinstance(error, Unreachable):
                return TryAgain(str(error), answered=False)
            raise
        self._source.ledger.put_on_wire(self.reading.offer.identifier, sequences)
        if self._mode == "Push" and answer.status // 100 == 2:
            return Taken()  # nobody acknowledges in this mode (protocol.md 7.6): that it arrived has to do
        return judge_delivery(answer, message_id)

    async def _break_off(self, now: float) -> None:
        """Half a message, and the connection is gone. Nobody can have taken it, so it does not count as sent."""
        if self.reading.refused:
            return
        step = self.reading.step(now)
        text = self._spelled(Beat() if isinstance(step, Wait) else step, self._manner.new_id())
        await self._connected().cut_off(text, claims_sldc=self._sldc, compressed=self._sldc)

    def _spelled(self, step: Beat | Parcel, message_id: str) -> str:
        operation_id = self._manner.new_id()
        if isinstance(step, Beat):
            return write_heartbeat(self._speaker, self._target, message_id=message_id, operation_id=operation_id)
        if self._mode != "Events" and isinstance(step.events[0], str):
            return write_event(
                self._speaker,
                self._target,
                step.events[0],
                step.bookmark,
                message_id=message_id,
                operation_id=operation_id,
                acknowledged=self._mode == "PushWithAck",
            )
        return write_events(
            self._speaker,
            self._target,
            step.events,
            step.bookmark,
            message_id=message_id,
            operation_id=operation_id,
        )

    def _connected(self) -> Wire:
        if self._wire is None:
            self._wire = self._open_wire(self._target.to)
            # what goes over one connection is one session (captured)
            self._speaker = replace(self._speaker, session_id=self._manner.new_id())
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
        ending = write_subscription_end(
            self._speaker,
            self._target,
            manager_id=self._manager_id,
            message_id=self._manner.new_id(),
            operation_id=operation_id,
        )
        closing = write_end(message_id=self._manner.new_id(), operation_id=operation_id)
        with contextlib.suppress(Unreachable, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._wire.post(ending, claims_sldc=self._sldc, compressed=self._sldc)
                await self._wire.post(closing, claims_sldc=self._sldc)
