"""Pull against pretend Windows machines over real sockets: whatever they do to an answer, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from collector.app import new_id
from collector.clock import SystemClock
from collector.config.settings import CollectorSettings, Limits
from collector.delivery.receiver import Receiver
from collector.pull.department import Department
from collector.pull.department import House as Place
from collector.pull.pushing import Destination
from collector.pull.turns import Gate
from collector.routing.router import Router
from collector.simulate.host_door import Served
from collector.simulate.host_fleet import HostFleet, ServeOptions
from collector.simulate.host_nature import HostNature
from collector.simulate.population import FleetOptions
from collector.subscriptions.members import Members
from collector.subscriptions.sources import ListedSources, parse_source
from collector.subscriptions.subscription import DeliverySettings, Subscription
from tests.pull.stage import ID, House
from tests.routing.scripted_sink import eventually

pytestmark = pytest.mark.slow
"""Each takes its second or more; ``./tests/run`` runs them."""

QUERY = (
    '<QueryList><Query Id="0"><Select Path="Security">*</Select><Select Path="System">*</Select>'
    '<Select Path="Application">*</Select></Query></QueryList>'
)


class Pulling:
    """A fleet and who pulls it; back-off is there, and takes no time."""

    def __init__(self, folder: Path, machines: int, nature: HostNature, rate: float = 200.0) -> None:
        clock = SystemClock()
        self.house = House(folder, patience=30.0)
        self.house.lane._clock = clock
        options = FleetOptions(url="", sources=machines, rate=rate, duration=0.5, give_up=20.0)
        self.fleet = HostFleet(ServeOptions(options, nature=nature), clock)
        receiver = Receiver(Router([self.house.lane]), self.house.store, clock, lambda: None, Limits())
        place = Place(
            receiver, self.house.store, self.house.presences, clock, "wec", new_id,
            lambda transport, subscription: Destination("", None), Members(),
        )  # fmt: skip
        self.department = Department(CollectorSettings(), place)
        object.__setattr__(self.department._company, "sleep", self._nap)

    async def _nap(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    def begin(self, urls: Sequence[str]) -> None:
        sources = (ListedSources(tuple(map(parse_source, urls))),)
        subscription = Subscription(
            "pulled", ID, QUERY, type="pull", delivery=DeliverySettings(max_latency=1.0), sources=sources
        )
        self.department.renew([subscription], self.department.fresh_accesses())


@asynccontextmanager
async def at_work(pulling: Pulling) -> AsyncIterator[None]:
    rounds = asyncio.ensure_future(pulling.department.rounds())
    try:
        yield
    finally:
        rounds.cancel()
        await pulling.department.stop(5.0)


NATURES = {
    "Windows": HostNature(),
    "Windows that says nothing without items": HostNature(quiet="itemless"),
    "Windows that times out": HostNature(quiet="timedout"),
    "openwsman": HostNature(style="openwsman"),
}


@pytest.mark.parametrize("nature", NATURES.values(), ids=list(NATURES))
async def test_every_event_of_every_machine_is_pulled_once(tmp_path: Path, nature: HostNature) -> None:
    """The whole way: Subscribe, Pull, the bookmark, Unsubscribe."""
    pulling = Pulling(tmp_path, 5, nature)

    async with at_work(pulling):
        verdict = await pulling.fleet.run(on_ready=pulling.begin)

    assert verdict.ok, pulling.fleet.notes
    assert verdict.sent > 0  # how many they write in their time is a matter of the machine that tests
    assert verdict.duplicates == 0
    assert len(pulling.house.sink.taken) == len(set(pulling.house.sink.taken)) == verdict.acknowledged


SPOILT = (
    "garbage", "html", "empty", "charset", "foreign-charset", "doctype", "context", "relates", "doubled", "backwards",
    "unmarked", "cut-header", "cut-body", "cut-answer", "cut", "redirect", "unauthorized", "busy", "error", "missing",
    "quota", "denied", "channel", "locked", "timedout", "internal", "expired", "close",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mood", SPOILT)
async def test_nothing_is_lost_to_a_machine_in_a_bad_mood(tmp_path: Path, mood: str) -> None:
    """One answer in four is spoilt; what comes twice is what the sink collapses by its id."""
    pulling = Pulling(tmp_path, 3, HostNature(), rate=120.0)

    async with at_work(pulling):
        fleet = pulling.fleet

        def begin(urls: Sequence[str]) -> None:
            for served in fleet.machines.values():
                served.manners._shares = {mood: 0.25}
            pulling.begin(urls)

        verdict = await fleet.run(on_ready=begin)

    assert not verdict.refused
    assert len(set(pulling.house.sink.taken)) == verdict.sent, fleet.notes


def _pulled(served: Served) -> bool:
    return served.host.source.ledger.acknowledged > 0


async def test_a_machine_that_reboots_is_pulled_from_where_it_was(tmp_path: Path) -> None:
    """Its subscriptions are gone, its log is not."""
    pulling = Pulling(tmp_path, 3, HostNature(), rate=120.0)

    async with at_work(pulling):
        fleet = pulling.fleet

        async def reboot() -> None:
            for served in list(fleet.machines.values()):
                await eventually(partial(_pulled, served))
                fleet.reboot(served)

        def begin(urls: Sequence[str]) -> None:
            pulling.begin(urls)
            tasks.append(asyncio.ensure_future(reboot()))

        tasks: list[asyncio.Task[None]] = []
        verdict = await fleet.run(on_ready=begin)

    assert verdict.ok, fleet.notes
    assert len(set(pulling.house.sink.taken)) == verdict.sent


async def test_machines_that_never_answer_delay_nobody(tmp_path: Path) -> None:
    """There are always some that are half dead: they take the connection, and say nothing for a minute."""
    pulling = Pulling(tmp_path, 12, HostNature())
    object.__setattr__(pulling.department._company, "gate", Gate(2, 0.02))

    async with pulling.fleet as fleet, at_work(pulling):
        machines = list(fleet.machines.values())
        for served in machines[:8]:
            served.manners.say_next(*["dead"] * 1000)
        pulling.begin(list(fleet.urls.values()))

        await eventually(lambda: all(served.host.source.subscribed for served in machines[8:]))

        assert not any(served.host.source.subscribed for served in machines[:8])
