"""Who is called: what begins, changes and ends when subscriptions and lists of sources do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs

from collector.config.pull import PullSettings
from collector.pull.roster import Assignment, Roster
from collector.pull.schedule import LOOKING, Schedule
from collector.pull.turns import Allowance
from collector.subscriptions.sources import DirectorySources, FileSources, ListedSources, SourceAddress, SourceProblem
from collector.subscriptions.subscription import Spoofing, Subscription
from tests.pull.stage import PULLED, House
from tests.routing.scripted_sink import eventually

PC01, PC02 = SourceAddress("PC01.corp.example"), SourceAddress("pc02.corp.example", port=5986, transport="https")
LISTED = replace(PULLED, sources=(ListedSources((PC01, PC02)),), credentials="dmz")


class Fake:
    """A conversation that only exists; *fails* says that it ends in a way nobody foresaw."""

    def __init__(self, assignment: Assignment, host: Allowance, *, fails: bool = False) -> None:
        self.assignment = assignment
        self.host = host
        self.subscription = assignment.subscription
        self.running = False
        self._fails = fails
        self._over = asyncio.Event()

    def retire(self) -> None:
        self._over.set()

    def adopt(self, subscription: Subscription) -> None:
        self.subscription = subscription

    async def run(self) -> None:
        self.running = True
        try:
            if self._fails:
                raise ZeroDivisionError("nobody foresaw this")
            await self._over.wait()
        finally:
            self.running = False


class Office:
    """A schedule with fake conversations: all there ever were, in order."""

    def __init__(
        self, house: House, base: Path, ask: Callable[[DirectorySources], Sequence[str]] | None = None
    ) -> None:
        self.begun: list[Fake] = []
        self.failing = 0
        roster = Roster(PullSettings(), base, ask or (lambda _: ()), secure=frozenset({"edge"}), default=None)
        self.schedule = Schedule(roster, self._begin, house.company)

    @property
    def running(self) -> list[str]:
        return sorted(fake.assignment.url for fake in self.begun if fake.running)

    def _begin(self, assignment: Assignment, host: Allowance) -> Fake:
        fake = Fake(assignment, host, fails=self.failing > 0)
        self.failing -= 1
        self.begun.append(fake)
        return fake


@asynccontextmanager
async def at_work(office: Office, *subscriptions: Subscription) -> AsyncIterator[None]:
    office.schedule.renew(subscriptions)
    rounds = asyncio.ensure_future(office.schedule.rounds())
    try:
        yield
    finally:
        rounds.cancel()
        await office.schedule.stop(10.0)


URL1, URL2 = "http://PC01.corp.example:5985/wsman", "https://pc02.corp.example:5986/wsman"


async def test_every_source_of_every_enabled_subscription_that_is_pulled_gets_a_conversation(tmp_path: Path) -> None:
    """Those who come by themselves are not called."""
    office = Office(House(tmp_path), tmp_path)
    coming = replace(LISTED, id="2", type="source-initiated")
    off = replace(LISTED, id="3", enabled=False)

    async with at_work(office, LISTED, coming, off):
        await eventually(lambda: office.running == [URL1, URL2])
        assert {fake.assignment.credentials for fake in office.begun} == {"dmz"}
        assert office.begun[0].assignment.caller.key in {"pc01.corp.example", "pc02.corp.example"}

    assert office.running == []
    assert office.schedule.conversations == 0


async def test_a_change_that_no_source_is_told_disturbs_nobody(tmp_path: Path) -> None:
    """SIGHUP after a new description must not unsubscribe two thousand machines."""
    office = Office(House(tmp_path), tmp_path)

    async with at_work(office, LISTED):
        await eventually(lambda: len(office.running) == 2)
        told_nobody = replace(LISTED, description="new", revision="r2", spoofing=Spoofing(policy="tag"))
        office.schedule.renew([told_nobody])
        await eventually(lambda: all(fake.subscription == told_nobody for fake in office.begun))

        assert len(office.begun) == 2


async def test_another_query_ends_the_old_conversation_before_the_new_one_begins(tmp_path: Path) -> None:
    """Two at a time would be two subscriptions at the source, and two bookmarks for one place."""
    office = Office(House(tmp_path), tmp_path)

    async with at_work(office, LISTED):
        await eventually(lambda: len(office.running) == 2)
        changed = replace(LISTED, query=LISTED.query.replace("System", "Security"))
        office.schedule.renew([changed])
        await eventually(lambda: len(office.begun) == 4)
        await eventually(lambda: len(office.running) == 2)

        assert [fake.running for fake in office.begun] == [False, False, True, True]


async def test_a_subscription_that_is_gone_or_switched_off_ends(tmp_path: Path) -> None:
    """Its sources are unsubscribed, others go on."""
    office = Office(House(tmp_path), tmp_path)
    other = replace(LISTED, id="2", sources=(ListedSources((PC01,)),))

    async with at_work(office, LISTED, other):
        await eventually(lambda: len(office.running) == 3)
        office.schedule.renew([replace(LISTED, enabled=False)])
        await eventually(lambda: office.running == [])


async def test_a_source_that_leaves_its_list_is_dropped_and_one_that_cannot_be_read_drops_nobody(
    tmp_path: Path,
) -> None:
    """Somebody is just writing the file: that is no reason to unsubscribe everybody in it."""
    house, hosts = House(tmp_path), tmp_path / "hosts.txt"
    hosts.write_text("pc01\npc02\n")
    office = Office(house, tmp_path)
    listed = replace(LISTED, sources=(FileSources(Path("hosts.txt")),))

    async with at_work(office, listed):
        await eventually(lambda: len(office.running) == 2)
        hosts.unlink()
        with capture_logs() as lines:
            office.schedule.renew([listed])
            await eventually(lambda: any(line["event"] == "sources cannot be listed" for line in lines))
        assert len(office.running) == 2

        hosts.write_text("pc02\npc03\n")
        office.schedule.renew([listed])
        await eventually(lambda: [url.partition("//")[2][:4] for url in office.running] == ["pc02", "pc03"])


async def test_a_directory_that_does_not_answer_delays_nobody_else(tmp_path: Path) -> None:
    """Lists are read side by side."""

    def ask(_: DirectorySources) -> Sequence[str]:
        raise SourceProblem("ldap://dc.corp.example: it does not answer")

    office = Office(House(tmp_path), tmp_path, ask)
    directory = replace(LISTED, id="2", sources=(DirectorySources("ldap://dc.corp.example", "DC=corp"),))

    async with at_work(office, directory, LISTED):
        await eventually(lambda: office.running == [URL1, URL2])


async def test_a_directory_that_takes_its_time_holds_up_no_reload(tmp_path: Path) -> None:
    """It has minutes; a subscription that is gone is gone at once, and a new one begins."""
    asked, goes_on = threading.Event(), threading.Event()

    def ask(_: DirectorySources) -> Sequence[str]:
        assert threading.current_thread().daemon  # nor the end of the process
        asked.set()
        goes_on.wait()
        return ["pc03.corp.example"]

    office = Office(House(tmp_path), tmp_path, ask)
    directory = replace(LISTED, id="2", sources=(DirectorySources("ldap://dc.corp.example", "DC=corp"),))
    changed = replace(directory, credentials="edge")
    try:
        async with at_work(office, directory, LISTED):
            await eventually(lambda: office.running == [URL1, URL2] and asked.is_set())
            office.schedule.renew([changed, replace(LISTED, id="3")])
            await eventually(lambda: [fake.subscription.id for fake in office.begun if fake.running] == ["3", "3"])
            goes_on.set()
            await eventually(lambda: len(office.running) == 3)
            assert office.begun[-1].assignment.url == "https://pc03.corp.example:5986/wsman"  # as it is now
    finally:
        goes_on.set()


async def test_conversations_with_one_host_share_its_allowance(tmp_path: Path) -> None:
    """The source counts operations of a user, whatever they are for."""
    office = Office(House(tmp_path), tmp_path)

    async with at_work(office, LISTED, replace(LISTED, id="2")):
        await eventually(lambda: len(office.running) == 4)
        hosts = {fake.assignment.source.host.lower(): fake.host for fake in office.begun}

        assert all(fake.host is hosts[fake.assignment.source.host.lower()] for fake in office.begun)
        assert len(set(map(id, hosts.values()))) == 2


async def test_a_conversation_that_ends_unforeseen_begins_again(tmp_path: Path) -> None:
    """One bug must not silence a source until the next restart."""
    office = Office(House(tmp_path), tmp_path)
    office.failing = 1

    with capture_logs() as lines:
        async with at_work(office, LISTED):
            await eventually(lambda: len(office.running) == 2)

    assert len(office.begun) == 3
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["chore failed"]


async def test_a_certificate_means_https(tmp_path: Path) -> None:
    """Nobody shows a certificate over plain HTTP."""
    roster = Roster(PullSettings(), tmp_path, lambda _: (), secure=frozenset({"edge"}), default="edge")

    found = await roster.read(replace(LISTED, sources=(ListedSources((SourceAddress("pc01"),)),), credentials=None))

    assert [(one.url, one.credentials) for one in found] == [("https://pc01:5986/wsman", "edge")]


def test_lists_are_read_again_every_few_minutes() -> None:
    """A machine that joined the domain is pulled within the time an administrator waits."""
    assert LOOKING <= 300.0
