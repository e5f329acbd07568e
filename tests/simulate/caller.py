"""A collector in small, which pulls: what pretend machines are asked by, in their tests.

It says what ``wsman.calls`` spells over a ``wire.Connection`` and believes what ``wsman.answers`` reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

from collector.clock import Clock, SystemClock
from collector.simulate.host_fleet import HostFleet, ServeOptions, new_id
from collector.simulate.host_manners import HostManners
from collector.simulate.host_nature import HostNature
from collector.simulate.population import FleetOptions
from collector.wire.connection import Connection
from collector.wire.text import decoded
from collector.wsman import calls, names
from collector.wsman.answers import Answer, Pulled, Subscribed, read_answer
from collector.wsman.messages import Offer

QUERY = (
    '<QueryList><Query Id="0"><Select Path="System">*</Select><Select Path="Security">*</Select>'
    '<Select Path="Application">*</Select></Query></QueryList>'
)
OFFER = Offer(
    name="all",
    identifier="AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA",
    version="",
    revision="",
    notify_to="",
    profile=None,
    issuer=None,
    query=QUERY,
    bookmark=None,
    read_existing_events=False,
    content_format="Raw",
    locale=None,
    compression=False,
    ignore_channel_error=True,
    heartbeat=60.0,
    max_time=0.0,
    max_elements=None,
    max_envelope_size=512000,
    retry_interval=0.05,
    retry_total=5,
)


@dataclass
class Caller:
    """One conversation with one machine. *subscribed*, *context*, *status* (HTTP): of the newest answers."""

    connection: Connection
    to: str
    offer: Offer = OFFER
    subscribed: Subscribed | None = None
    context: str = ""
    charset: str = "UTF-8"
    status: int = 0
    longest: int = 0

    def voice(self, resource: str = names.EVENT_LOG, size: int = 512000) -> calls.Voice:
        return calls.Voice(self.to, resource, max_envelope_size=size, options=calls.options_of(self.offer))

    async def say(self, write: Callable[[str], str], *, related: bool = True) -> Answer:
        """What *write* spells for a message id, and the answer to it."""
        message_id = new_id()
        coded = write(message_id).encode("utf-16" if self.charset == "UTF-16" else "utf-8")
        answer = await self.connection.post(coded, f"application/soap+xml;charset={self.charset}")
        self.status, self.longest = answer.status, max(self.longest, len(answer.body))
        return read_answer(decoded(answer), message_id if related else None)

    async def subscribe(self, **changes: object) -> Answer:
        self.offer = replace(self.offer, **changes)  # type: ignore[arg-type]
        voice, offer = self.voice(), self.offer
        write = calls.write_subscribe_push if offer.notify_to else calls.write_subscribe_pull
        answer = await self.say(lambda mid: write(voice, offer, message_id=mid, timeout=60.0))
        if isinstance(answer, Subscribed):
            self.subscribed, self.context = answer, answer.context or ""
        return answer

    async def pull(self, *, timeout: float = 0.05, most: int = 1000, size: int = 512000, context: str = "") -> Answer:
        references = self.subscribed.references if self.subscribed else ()
        voice, at = self.voice(size=size), context or self.context
        answer = await self.say(
            lambda mid: calls.write_pull(voice, at, references, message_id=mid, timeout=timeout, max_elements=most)
        )
        if isinstance(answer, Pulled) and answer.context:
            self.context = answer.context
        return answer

    async def pulled(self, **how: object) -> Pulled:
        """The same, where nothing else will do."""
        answer = await self.pull(**how)  # type: ignore[arg-type]
        assert isinstance(answer, Pulled), answer
        return answer

    async def unsubscribe(self) -> Answer:
        assert self.subscribed is not None
        voice, references = self.voice(), self.subscribed.references
        return await self.say(lambda mid: calls.write_unsubscribe(voice, references, message_id=mid, timeout=5.0))


class WatchedManners(HostManners):
    """Tells when a request of a kind is about to be served: who waits for it finds it served, as far as may be."""

    def __init__(self, script: Iterable[str] = (), *, slow: float = 0.05) -> None:
        super().__init__(script, slow=slow)
        self._met: dict[str, asyncio.Event] = {}

    def next(self, kind: str) -> str:
        self._met.setdefault(kind, asyncio.Event()).set()
        return super().next(kind)

    async def met(self, kind: str) -> None:
        """Until a request of *kind* has come, from now on."""
        event = self._met[kind] = asyncio.Event()
        async with asyncio.timeout(10.0):
            await event.wait()


class Stand:
    """Some machines that listen on loopback, and callers of the first one."""

    def __init__(self, fleet: HostFleet) -> None:
        self.fleet = fleet
        self.served = next(iter(fleet.machines.values()))
        self.host = self.served.host
        self.log = self.host.source.log
        self.manners = WatchedManners()
        self.url = next(iter(fleet.urls.values()))
        self._happenings = fleet.population.happenings()
        self._open: list[Connection] = []

    def connection(self, *, timeout: float = 10.0) -> Connection:
        return Connection(f"{self.url}/wsman", context=None, prove=None, timeout=timeout)

    def connection_to(self, url: str) -> Connection:
        """A connection to any of the machines, closed at the end."""
        made = Connection(f"{url}/wsman", context=None, prove=None, timeout=120.0)
        self._open.append(made)
        return made

    async def all_pulled(self, count: int) -> None:
        """Until *count* Pulls wait."""
        while self._waiting() < count:  # noqa: ASYNC110 - two thousand events would be no simpler
            await asyncio.sleep(0.01)

    def _waiting(self) -> int:
        hosts = (served.host for served in self.fleet.machines.values())
        return sum(kept.pulling for host in hosts for kept in host.subscriptions.values())

    def caller(self, connection: Connection | None = None) -> Caller:
        url = f"{self.url}/wsman"
        made = connection or self.connection()
        self._open.append(made)
        return Caller(made, url)

    def happen(self, count: int, channel: str = "System") -> None:
        """*count* events in the first machine's log, numbered on."""
        for _ in range(count):
            self.log.append(
                channel,
                lambda number: (
                    f"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
                    f"<EventRecordID>{number}</EventRecordID><Channel>{channel}</Channel></System></Event>"
                ),
            )

    async def close(self) -> None:
        for connection in self._open:
            await connection.close()


@contextlib.asynccontextmanager
async def standing(
    *script: str,
    nature: HostNature | None = None,
    slow: float = 0.05,
    sources: int = 1,
    clock: Clock | None = None,
    **population: object,
) -> AsyncIterator[Stand]:
    """Machines of that *nature*, the first of which meets the moods of *script*."""
    options = ServeOptions(
        FleetOptions("", sources=sources, **population),  # type: ignore[arg-type]
        nature=nature or HostNature(),
    )
    async with HostFleet(options, clock or SystemClock()) as fleet:
        stand = Stand(fleet)
        stand.served.manners = stand.manners
        stand.manners.say_next(*script)
        stand.manners.slow = slow
        try:
            yield stand
        finally:
            await stand.close()


def record_numbers(pulled: Pulled) -> list[int]:
    """The EventRecordIDs of what was pulled; artificial events have none."""
    return [
        int(piece.partition("<EventRecordID>")[2].partition("<")[0])
        for piece in pulled.pieces
        if "<EventRecordID>" in piece
    ]
