"""Pretend Windows machines that wait to be pulled: where they listen, what they log, how long, and the verdict.

``HostFleet.open`` is enough for tests that drive the machines themselves; ``run`` is a whole run, as
``wef simulate --serve`` does it. They begin to log when all of them are subscribed, because a subscription without a
bookmark gets what happens from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from collector.clock import Clock
from collector.errors import OperatorError
from collector.simulate.charset import Charset
from collector.simulate.delivery import Manner
from collector.simulate.descriptors import make_room
from collector.simulate.fleet import MOST_NOTES, TICK, Progress
from collector.simulate.happenings import Pace, unfold
from collector.simulate.host import Host
from collector.simulate.host_deliveries import HostDeliveries
from collector.simulate.host_door import HostDoor, Served
from collector.simulate.host_gate import HostContext, loopback, make_gate, serving_context
from collector.simulate.host_manners import HostManners
from collector.simulate.host_nature import HostNature
from collector.simulate.host_resources import Resources
from collector.simulate.host_sites import Site, places
from collector.simulate.ledger import Verdict
from collector.simulate.mishaps import Mishaps
from collector.simulate.population import USAGE, FleetOptions, Population
from collector.simulate.source import Source
from collector.wire.tls import tls_context

LAST_WORDS = 0.1
"""Seconds for answers under way when all is over; to aiohttp 0 would mean for ever."""
HOSTS_FILE = "# Pretend Windows machines, made by wef simulate --serve: a URL a line.\n"


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What ``wef simulate --serve`` may be told.

    *population* is who there is and what happens (its url and identities count for nothing here). *address* and
    *port* as in ``host_sites.places``. *mechanism*, *keytab* and *ca* say who may ask, *certificate* and *key* are
    the machines' own: with them they speak https. *host_name* stands for the address in URLs; ``{source}`` in it is
    the machine's name. *hosts* is a file to write with the URLs. *moods* are shares of requests (``host_manners``).
    """

    population: FleetOptions
    address: str = "127.0.0.1"
    port: int = 0
    mechanism: str = "none"
    keytab: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    host_name: str | None = None
    hosts: Path | None = None
    nature: HostNature = field(default_factory=HostNature)
    moods: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mechanism == "none" and not loopback(self.address):
            raise OperatorError(
                f"--address {self.address}: --mechanism none proves nobody, so it is for loopback addresses only.",
                exit_code=USAGE,
            )
        if self.certificate is None and (self.key is not None or self.ca is not None):
            raise OperatorError(
                "--key and --ca are for machines that speak https; give their --cert, or leave them out.",
                exit_code=USAGE,
            )

    @property
    def transport(self) -> str:
        return "http" if self.certificate is None else "https"


class _Unnamed:
    """Machines go by the names that were made up: nobody asks them for a certificate of their own."""

    def names(self, made_up: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return list(made_up)


class HostFleet:
    """The machines of one run by folded name, and the run itself. Raises ``OperatorError``.

    *notes* are sentences for people: what kept the verdict from being ok. ``urls`` are the machines' own, once open.
    """

    def __init__(self, options: ServeOptions, clock: Clock) -> None:
        self.notes: list[str] = []
        self.machines: dict[str, Served] = {}
        self.urls: dict[str, str] = {}
        self._options = options
        self._clock = clock
        self._context: HostContext | None = None
        if options.certificate is not None:
            self._context = serving_context(options.certificate, options.key, options.ca)
        gate = make_gate(options.mechanism, clock, keytab=options.keytab, ca=options.ca, tls=self._context)
        self._profiles = gate.profiles(self._context is not None)
        self._charset = Charset(options.population.charset)
        self.population = Population(options.population, _Unnamed(), self._charset, clock)
        self.deliveries = HostDeliveries(self._manner(), context=self._client_context)
        self._door = HostDoor(gate, clock, self.deliveries)
        self._mishaps = Mishaps(options.population.reboots, options.population.crashes, options.population.seed)
        self._sites: dict[Served, Site] = {}
        self._server: web.Server | None = None
        self._coming_back: set[asyncio.Task[None]] = set()
        self._logged = 0
        self._complete = False

    async def __aenter__(self) -> HostFleet:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Let every machine listen, and write the hosts file."""
        options = self._options
        sources = list(self.population.sources.items())
        make_room(3 * len(sources))
        self._server = self._door.server()
        where = places(options.address, options.port, len(sources))
        for (folded, source), place in zip(sources, where, strict=False):
            site = Site(place, self._server, self._context)
            await site.open()
            served = self._machine(source, site.place)
            self.machines[folded] = served
            self._sites[served] = site
            self._door.machines[site.place] = served
            self.urls[folded] = self._url(source.name, site.place)
        if options.hosts is not None:
            self._write_hosts(options.hosts)

    async def close(self) -> None:
        """No machine listens any more, and every connection ends."""
        for task in list(self._coming_back):
            task.cancel()
        for site in self._sites.values():
            site.close()
        await self.deliveries.stop()
        for served in self.machines.values():
            served.hang_up()
        if self._server is not None:
            await self._server.shutdown(LAST_WORDS)

    def reboot(self, served: Served) -> asyncio.Task[None]:
        """*served* goes down: connections cut, subscriptions forgotten, its port closed for a while.

        The task ends when it is back.
        """
        served.cut()
        site = self._sites[served]
        site.close()
        task = asyncio.create_task(self._come_back(site))
        self._coming_back.add(task)
        task.add_done_callback(self._coming_back.discard)
        return task

    async def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        stop: asyncio.Event | None = None,
        on_ready: Callable[[Sequence[str]], None] | None = None,
    ) -> Verdict:
        """Listen, log and be pulled, to the end; *stop* ends it early. *on_ready* is told the machines' URLs."""
        stop = stop or asyncio.Event()
        began = self._clock.monotonic()

        def show() -> None:
            if on_progress is not None:
                on_progress(self._progress(self._clock.monotonic() - began))

        async with self:
            if on_ready is not None:
                on_ready(list(self.urls.values()))
            await self._meet(stop, show)
            began = self._clock.monotonic()
            await self._live(stop, show)
            show()
            return self._verdict(self._clock.monotonic() - began)

    # The run -------------------------------------------------------------------------------------------------------

    async def _meet(self, stop: asyncio.Event, show: Callable[[], None]) -> None:
        """Until every machine is subscribed, or no further one was for long."""
        count, newest = 0, self._clock.monotonic()
        while count < len(self.machines) and not stop.is_set():
            show()
            await self._pause(stop)
            now = self._clock.monotonic()
            if self._subscribed() > count:
                count, newest = self._subscribed(), now
            elif count and now - newest > self._options.population.give_up:
                self._note(f"{len(self.machines) - count} machines were never subscribed.")
                return

    async def _live(self, stop: asyncio.Event, show: Callable[[], None]) -> None:
        """Let things happen, then wait until all is handed over or nothing has been for long."""
        options = self._options.population
        pace = Pace(self._clock, self.population.rate, options.duration)

        def count() -> None:
            self._logged += 1

        happenings = asyncio.create_task(unfold(self.population.happenings(), pace, stop, count))
        began = newest = self._clock.monotonic()
        acknowledged = -1
        try:
            while not (happenings.done() and self._settled() and not self._coming_back):
                self._befall(began)
                now, taken = self._clock.monotonic(), self._sum("acknowledged")
                if taken != acknowledged or not happenings.done():
                    acknowledged, newest = taken, now
                if now - newest > options.give_up:
                    self._note(f"Nothing was pulled for {options.give_up:g} s.")
                    break
                show()
                await asyncio.sleep(TICK)
            if happenings.done():
                self._complete = happenings.result() or not options.reads_file
        finally:
            happenings.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await happenings

    def _befall(self, began: float) -> None:
        duration = self._options.population.duration or self._mishaps.length
        victims = [_Victim(self, served) for served in self.machines.values()]
        self._mishaps.befall((self._clock.monotonic() - began) / duration, victims)

    async def _come_back(self, site: Site) -> None:
        await asyncio.sleep(self._options.population.away)
        await site.open()

    async def _pause(self, stop: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await stop.wait()

    # How it goes ---------------------------------------------------------------------------------------------------

    def _verdict(self, seconds: float) -> Verdict:
        for served in self.machines.values():
            served.host.excuse()
        sent, acknowledged, refused = self._sum("sent"), self._sum("acknowledged"), self._sum("refused")
        lost = sum(served.host.lost for served in self.machines.values())
        owed = sum(served.host.owed() for served in self.machines.values())
        idle = len(self.machines) - self._subscribed()
        dropped = self._sum("dropped")
        for count, sentence in (
            (lost, "events left a log before they could be pulled."),
            (owed, "events that were meant for the collector were not handed over."),
            (idle, "machines have no subscription."),
            (dropped, "events were too large for an envelope; the collector was told (DroppedEvents)."),
            (refused, "deliveries were refused."),
        ):
            if count:
                self._note(f"{count} {sentence}")
        for trouble in self.deliveries.troubles:
            self._note(f"{trouble}.")
        missing = lost or owed or idle or (dropped and not self._options.population.oversized)
        ok = self._complete and acknowledged == sent and not (refused or missing)
        return Verdict(ok, sent, acknowledged, self._sum("duplicates"), refused, round(seconds, 3))

    def _progress(self, seconds: float) -> Progress:
        return Progress(
            len(self.machines),
            self._subscribed(),
            self._logged,
            self.population.total,
            self._sum("sent"),
            self._sum("acknowledged"),
            seconds,
        )

    def _settled(self) -> bool:
        return all(served.host.settled for served in self.machines.values() if served.host.source.subscribed)

    def _subscribed(self) -> int:
        return sum(served.host.source.subscribed for served in self.machines.values())

    def _sum(self, count: str) -> int:
        return sum(getattr(served.host.source.ledger, count) for served in self.machines.values())

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(sentence)

    # Making it -----------------------------------------------------------------------------------------------------

    def _machine(self, source: Source, place: tuple[str, int]) -> Served:
        options = self._options
        address, port = place
        resources = Resources(options.nature, options.transport, port, address, new_id)
        host = Host(source, options.nature, self._clock.now, new_id, resources, self._profiles)
        manners = HostManners((), options.moods, seed=f"{options.population.seed}\0{source.name}")
        return Served(host, manners, self.reboot)

    def _url(self, name: str, place: tuple[str, int]) -> str:
        address, port = place
        host = (self._options.host_name or (f"[{address}]" if ":" in address else address)).replace("{source}", name)
        return f"{self._options.transport}://{host}:{port}"

    def _write_hosts(self, path: Path) -> None:
        try:
            path.write_text(HOSTS_FILE + "".join(f"{url}\n" for url in self.urls.values()), "utf-8")
        except OSError as error:
            raise OperatorError(f"--hosts {path}: cannot be written: {error.strerror}.", exit_code=73) from error

    def _manner(self) -> Manner:
        population = self._options.population
        return Manner(
            url="",
            charset=self._charset,
            clock=self._clock,
            new_id=new_id,
            compression=population.compression,
            retry_interval=population.retry_interval,
            timeout=population.timeout,
        )

    def _client_context(self, name: str) -> ssl.SSLContext:
        """How a machine that pushes over https shows who it is: with the certificate that it serves with."""
        options = self._options
        texts = (options.ca, options.certificate, options.key)
        return tls_context(*(str(path) if path is not None else None for path in texts))


@dataclass(frozen=True, slots=True)
class _Victim:
    fleet: HostFleet
    served: Served

    @property
    def able(self) -> bool:
        return bool(self.served.host.subscriptions)

    def reboot(self) -> None:
        self.fleet.reboot(self.served)

    crash = reboot


def new_id() -> str:
    """A fresh ``uuid:`` id as Windows spells it."""
    return f"uuid:{str(uuid.uuid4()).upper()}"
