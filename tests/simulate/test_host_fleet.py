"""Whole runs of machines that wait to be pulled: places, hosts file, verdict, pushes on request, thousands."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.simulate.host_fleet import HostFleet, ServeOptions
from collector.simulate.host_nature import HostNature
from collector.simulate.host_sites import places
from collector.simulate.ledger import Verdict
from collector.simulate.population import FleetOptions
from collector.wire.connection import Connection
from collector.wire.trouble import Trouble
from collector.wsman import calls, names
from collector.wsman.answers import Pulled, SourceFault, Subscribed
from collector.wsman.header import EnvelopeError
from tests.simulate.caller import OFFER, QUERY, Caller, record_numbers, standing
from tests.simulate.scripted import ScriptedCollector, collecting
from tests.simulate.test_thousands import resident

pytestmark = pytest.mark.slow
"""Each takes its second or more; ``./tests/run`` runs them."""

QUICK = FleetOptions("", sources=3, rate=300.0, duration=0.3, give_up=20.0)
READS_ALL = replace(OFFER, read_existing_events=True, query=QUERY.replace("Application", "Windows PowerShell"))


@dataclass
class Puller:
    """Pulls one machine as a good collector does: trouble begins anew from the bookmark of the last batch."""

    url: str
    bookmark: str | None = None
    pieces: list[str] = field(default_factory=list)
    troubles: int = 0

    async def run(self) -> None:
        while True:
            url = f"{self.url}/wsman"
            connection = Connection(url, context=None, prove=None, timeout=5.0)
            try:
                await self._converse(Caller(connection, url, READS_ALL))
            except (Trouble, EnvelopeError):
                self.troubles += 1
                await asyncio.sleep(0.01)  # a machine that is away shall not be asked as fast as can be
            finally:
                await connection.close()

    async def _converse(self, caller: Caller) -> None:
        if not isinstance(await caller.subscribe(bookmark=self.bookmark), Subscribed):
            self.troubles += 1
            return
        while True:
            answer = await caller.pull(timeout=1.0)
            if isinstance(answer, SourceFault):
                self.troubles += 1
                return
            assert isinstance(answer, Pulled)
            self.pieces.extend(answer.pieces)
            self.bookmark = answer.bookmark or self.bookmark


async def pulled(fleet: HostFleet) -> tuple[Verdict, list[Puller]]:
    """A whole run, pulled from all its machines."""
    pullers: list[Puller] = []
    tasks: list[asyncio.Task[None]] = []

    def ready(urls: Sequence[str]) -> None:
        pullers.extend(Puller(url) for url in urls)
        tasks.extend(asyncio.create_task(puller.run()) for puller in pullers)

    try:
        return await fleet.run(None, None, ready), pullers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_run_is_ok_when_everything_was_handed_over_and_said_to_be_safe() -> None:
    """The same verdict as of a fleet that pushes."""
    fleet = HostFleet(ServeOptions(QUICK), SystemClock())
    verdict, pullers = await pulled(fleet)

    assert verdict.ok, fleet.notes
    assert verdict.sent == verdict.acknowledged == sum(len(puller.pieces) for puller in pullers) > 30
    assert verdict.duplicates == verdict.refused == 0


async def test_in_all_moods_and_through_reboots_nothing_is_lost() -> None:
    """Who begins anew from its bookmark gets everything, whatever happens on the way; some of it twice."""
    moods = {"cut-answer": 0.05, "cut-body": 0.05, "cut": 0.05, "expired": 0.05, "busy": 0.03, "garbage": 0.03}
    options = ServeOptions(replace(QUICK, duration=1.0, reboots=3, away=0.05, history=20), moods=moods)
    fleet = HostFleet(options, SystemClock())
    verdict, pullers = await pulled(fleet)

    assert verdict.ok, fleet.notes
    assert sum(puller.troubles for puller in pullers) > 3
    for served, puller in zip(fleet.machines.values(), pullers, strict=True):
        meant = [record for record in served.host.source.log.since(0) if record.channel in ("System", "Security")]
        come = set(puller.pieces)
        texts = {
            (record.channel, record.record_id): record.xml.replace("\r\n", "\n") for record in meant
        }  # XML 1.0, 2.11
        assert [place for place, text in texts.items() if text not in come] == []
        assert len(meant) > 20


async def test_a_collector_that_stops_pulling_is_found_out() -> None:
    """Events that were taken along and never followed by a Pull are not safe."""
    fleet = HostFleet(ServeOptions(replace(QUICK, sources=1, give_up=0.3)), SystemClock())
    connections: list[Connection] = []

    async def once(url: str) -> None:
        connections.append(Connection(f"{url}/wsman", context=None, prove=None, timeout=5.0))
        caller = Caller(connections[0], f"{url}/wsman", READS_ALL)
        await caller.subscribe()
        await caller.pull(timeout=2.0)

    tasks: list[asyncio.Task[None]] = []
    verdict = await fleet.run(None, None, lambda urls: tasks.append(asyncio.create_task(once(urls[0]))))
    await asyncio.gather(*tasks)
    await connections[0].close()

    assert not verdict.ok
    assert verdict.sent > verdict.acknowledged == 0
    assert any("not handed over" in note for note in fleet.notes)


async def test_a_push_subscription_delivers_after_a_test_of_the_address() -> None:
    """Collector-initiated push (protocol.md 7.5), until it is unsubscribed."""
    async with collecting(ScriptedCollector()) as collector, standing() as stand:
        caller = stand.caller()
        answer = await caller.subscribe(notify_to=collector.url, read_existing_events=True, max_time=0.05)
        stand.happen(3)
        await collector.until(lambda: len(collector.events()) == 3)
        delivered = collector.of("Events")[-1]
        ended = await caller.unsubscribe()
        left = len(stand.host.pushing)

    assert isinstance(answer, Subscribed)
    assert answer.context is None
    assert delivered.fields["Identifier"] == OFFER.identifier
    assert not isinstance(ended, SourceFault)
    assert left == 0
    assert stand.host.source.ledger.acknowledged == 3


@pytest.mark.parametrize("mode", [names.MODE_PUSH, names.MODE_PUSH_WITH_ACK])
async def test_the_other_push_modes_say_one_event_at_a_time(mode: str) -> None:
    """protocol.md 7.6: the event is the body; only PushWithAck asks for an Ack."""
    async with collecting(ScriptedCollector()) as collector, standing() as stand:
        caller = stand.caller()
        offer = replace(OFFER, notify_to=collector.url, read_existing_events=True)

        def write(message_id: str) -> str:
            text = calls.write_subscribe_push(caller.voice(), offer, message_id=message_id, timeout=60.0)
            text = re.sub(r"<w:(MaxTime|MaxElements)>[^<]*</w:\1>", "", text)  # of batches, which these are not
            return text.replace(f'Mode="{names.EVENTS}"', f'Mode="{mode}"')

        answer = await caller.say(write)
        stand.happen(2)
        await collector.until(lambda: len(collector.of("Event")) == 2)
        said = collector.of("Event")

    assert isinstance(answer, Subscribed)
    assert all("<s:Body><Event " in seen.text for seen in said)
    assert ["AckRequested" in seen.fields for seen in said] == [mode == names.MODE_PUSH_WITH_ACK] * 2


async def test_an_address_that_cannot_be_reached_is_told_before_the_subscription() -> None:
    """0x80338095: the listener must be ready first."""
    async with standing() as stand:
        answer = await stand.caller().subscribe(notify_to="http://127.0.0.1:1/wsman")

    assert isinstance(answer, SourceFault)
    assert (answer.name, answer.code) == ("e:EventSourceUnableToProcess", 2150858901)


def test_machines_get_ports_on_an_address_or_addresses_of_a_network() -> None:
    """All of 127.0.0.0/8 is loopback on Linux."""
    assert list(places("127.0.0.1", 6000, 2)) == [("127.0.0.1", 6000), ("127.0.0.1", 6001)]
    assert list(places("127.0.0.1", 0, 2)) == [("127.0.0.1", 0)] * 2
    assert list(places("127.1.0.0/16", 5985, 300))[255:258] == [
        ("127.1.1.0", 5985),
        ("127.1.1.1", 5985),
        ("127.1.1.2", 5985),
    ]


@pytest.mark.parametrize(
    ("address", "port", "said"),
    [("nowhere", 0, "no address"), ("127.0.0.1", 65000, "lower --port"), ("127.1.0.0/24", 5985, "as many addresses")],
)
def test_places_that_cannot_be_are_refused(address: str, port: int, said: str) -> None:
    """With what would do."""
    with pytest.raises(OperatorError, match=said):
        list(places(address, port, 1000))


async def test_each_machine_may_have_an_address_and_all_one_port(tmp_path: Path) -> None:
    """The port of WinRM itself, where nobody else has it."""
    async with standing(sources=1) as stand:
        port = int(stand.url.rpartition(":")[2])  # free on the others as well
        options = ServeOptions(
            FleetOptions("", sources=4), address="127.77.0.0/16", port=port, hosts=tmp_path / "hosts.txt"
        )
        async with HostFleet(options, SystemClock()) as fleet:
            urls = list(fleet.urls.values())

    assert urls == [f"http://127.77.0.{number}:{port}" for number in (1, 2, 3, 4)]
    lines = (tmp_path / "hosts.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == urls


async def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """``wef simulate --serve``: the list of machines, the verdict, and Ctrl-C."""
    hosts = tmp_path / "hosts.txt"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "collector", "simulate", "--serve", "--sources", "2", "--hosts", str(hosts)),
        *("--rate", "200", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = (await process.stderr.readline()).decode()
    urls = [line for line in hosts.read_text().splitlines() if line.startswith("http")]
    pullers = [Puller(url) for url in urls]
    tasks = [asyncio.create_task(puller.run()) for puller in pullers]
    async with asyncio.timeout(20.0):
        while not all(len(puller.pieces) > 20 for puller in pullers):  # noqa: ASYNC110 - another process fills them
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    verdict = json.loads(out.decode().splitlines()[-1])

    assert "2 machines listen" in said
    assert process.returncode == 0, out
    assert verdict["ok"]
    assert verdict["sent"] == verdict["acknowledged"] > 40


@pytest.mark.slow
async def test_two_thousand_machines_wait_in_one_process() -> None:
    """The far end of the load tests: 20 KB for each that listens, and as many again while a Pull waits."""
    count = 2000
    gc.collect()
    before = resident()
    async with standing(sources=count, nature=HostNature(greets=False)) as stand:
        idle = (resident() - before) / count
        fleet = stand.fleet
        callers = [Caller(stand.connection_to(url), f"{url}/wsman", READS_ALL) for url in fleet.urls.values()]
        gate = asyncio.Semaphore(64)

        async def begin(caller: Caller) -> None:
            async with gate:
                await caller.subscribe()

        await asyncio.gather(*(begin(caller) for caller in callers))
        waiting = [asyncio.create_task(caller.pulled(timeout=60.0)) for caller in callers]
        await stand.all_pulled(count)
        held = (resident() - before) / count
        for served in fleet.machines.values():
            served.host.source.log.append(
                "System", lambda number: f"<Event><EventRecordID>{number}</EventRecordID></Event>"
            )
        answers = await asyncio.gather(*waiting)

    assert all(len(record_numbers(answer)) == 1 for answer in answers)
    assert idle < 32 * 1024
    assert held < 160 * 1024  # both ends are in this process
