"""A source against a scripted collector: what a Windows collector would see."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from collector.clock import SystemClock
from collector.simulate.fleet import Fleet, FleetOptions
from collector.simulate.ledger import Verdict
from collector.simulate.source import Source
from tests.simulate.scripted import ANONYMOUS, Offering, ScriptedCollector, collecting, event


@dataclass
class Run:
    """A fleet of one source, alive until its test ends; its log is fed by hand."""

    fleet: Fleet
    source: Source
    stop: asyncio.Event
    task: asyncio.Task[Verdict]

    def log(self, channel: str, number: int, text: str = "x") -> None:
        self.source.log.append(channel, lambda _: event(channel, number, text), RENDERING)

    async def end(self) -> Verdict:
        self.stop.set()
        return await self.task


RENDERING = "<RenderingInfo Culture='en-US'><Message>said</Message></RenderingInfo>"


@contextlib.asynccontextmanager
async def living(collector: ScriptedCollector, **options: object) -> AsyncIterator[Run]:
    """One source that follows *collector* and logs nothing by itself."""
    given = {"refresh": 0.1, "give_up": 5.0, "rate": 0.0001, "duration": 30.0, "sources": 1, **options}
    fleet = Fleet(FleetOptions(url=collector.url, log_size=1000, **given), SystemClock())  # type: ignore[arg-type]
    fleet._population._machines.clear()  # nothing is made up: the test says what happens
    stop = asyncio.Event()
    task = asyncio.create_task(fleet.run(None, stop))
    try:
        yield Run(fleet, next(iter(fleet.sources.values())), stop, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def numbers(events: list[str]) -> list[int]:
    """Which of the test's events these are."""
    return [int(text.split("<EventID>")[1].split("<")[0]) for text in events]


async def test_a_source_says_what_windows_says_in_the_order_of_the_captures() -> None:
    """A collector built against real Windows must not meet a stranger in its own tests."""
    async with collecting(ScriptedCollector()) as collector, living(collector) as run:
        await collector.until(lambda: collector.bookmarks)  # event 111 is acknowledged
        run.log("System", 1)
        await collector.until(lambda: collector.events())
        await run.end()

        kinds = [seen.kind for seen in collector.seen if seen.kind != "Enumerate"]
        assert [kind for kind in kinds if kind != "End"] == ["Heartbeat", "Events", "Events", "SubscriptionEnd"]
        for seen in collector.seen:
            assert seen.raw.startswith(b"\xff\xfe")
            assert seen.http["Content-Type"] == "application/soap+xml;charset=UTF-16"
            assert seen.http["User-Agent"] == "Microsoft WinRM Client"
            assert seen.http["Content-Length"] == str(len(seen.raw))
            assert {"Accept", "Accept-Encoding", "Transfer-Encoding", "Expect"}.isdisjoint(seen.http)
        ask = collector.seen[0].fields
        assert ask["MachineID"] == run.source.name
        assert ask["To"] == collector.url
        delivery = collector.of("Events")[1]
        assert delivery.fields["To"].startswith("http://127.0.0.1:")  # offered as HTTP://
        assert delivery.fields["Identifier"] == Offering().identifier
        assert delivery.fields["ReplyTo"] == ANONYMOUS
        assert delivery.fields["OperationTimeout"] == "PT60.000S"
        assert "AckRequested" in delivery.fields
        assert collector.of("SubscriptionEnd")[0].fields["OperationTimeout"] == "PT0.500S"


async def test_message_and_operation_ids_are_new_each_time_and_the_session_is_the_connections() -> None:
    """A collector may refuse a MessageID that it has seen; what goes over one connection is one session (captured)."""
    async with collecting(ScriptedCollector()) as collector, living(collector) as run:
        await collector.until(lambda: collector.bookmarks)
        run.log("System", 1)
        await collector.until(lambda: collector.events())
        await run.end()

        said = collector.of("Heartbeat", "Events")
        assert len({seen.peer for seen in said}) == 1
        assert len({seen.fields["SessionId"] for seen in said}) == 1
        every = [seen.fields["MessageID"] for seen in collector.seen]
        assert len(set(every)) == len(every)
        assert len({seen.fields["OperationID"] for seen in said}) == len(said)


async def test_the_end_of_an_enumerate_carries_its_operation_id_on_its_own_connection() -> None:
    """Windows closes the exchange with it; the event connection is another one (captured)."""
    async with collecting(ScriptedCollector()) as collector, living(collector):
        await collector.until(lambda: collector.of("End"))

        ask, end = collector.of("Enumerate")[0], collector.of("End")[0]
        assert end.fields["OperationID"] == ask.fields["OperationID"]
        assert end.peer == ask.peer
        assert {seen.peer for seen in collector.of("Heartbeat")}.isdisjoint({ask.peer})


async def test_without_a_bookmark_only_what_happens_from_now_on_is_sent_and_event_111_comes_first() -> None:
    """ReadExistingEvents false: a collector must not be flooded with years of logs, and gets a bookmark to keep."""
    async with collecting(ScriptedCollector(enumerations=["503", "503"])) as collector, living(collector) as run:
        run.log("System", 1)
        await collector.until(lambda: collector.bookmarks)
        run.log("System", 2)
        await collector.until(lambda: collector.events())

        first = collector.of("Events")[0]
        assert len(first.events) == 1
        assert "<EventID>111</EventID>" in first.events[0]
        assert 'Direction="backward"' in first.bookmark
        assert first.positions["System"] == run.source.log.newest("System") - 1
        assert numbers(collector.events()) == [2]


async def test_existing_events_are_read_when_the_subscription_says_so() -> None:
    """ReadExistingEvents true: the whole log, oldest first, and no event 111."""
    script = ScriptedCollector([Offering(read_existing=True)], enumerations=["503"])
    async with collecting(script) as collector, living(collector) as run:
        for number in (1, 2, 3):
            run.log("System", number)
        await collector.until(lambda: len(collector.events()) == 3)

        assert numbers([text for seen in collector.of("Events") for text in seen.events]) == [1, 2, 3]


async def test_every_batch_has_a_bookmark_with_the_newest_record_of_each_channel() -> None:
    """A collector stores it instead of reading the events; exactly one channel is current (captured)."""
    offering = Offering(read_existing=True, max_elements=3)
    async with collecting(ScriptedCollector([offering], enumerations=["503"])) as collector, living(collector) as run:
        for number, channel in enumerate(["System", "Security", "System", "Security"], 1):
            run.log(channel, number)
        await collector.until(lambda: len(collector.events()) == 4)

        one, two = collector.of("Events")
        log = run.source.log
        assert one.positions == {"System": log.newest("System"), "Security": log.newest("Security") - 1}
        assert two.positions == {"System": log.newest("System"), "Security": log.newest("Security")}
        assert one.bookmark.count("IsCurrent") == 1
        assert f'Channel="Security" RecordId="{log.newest("Security")}" IsCurrent="true"' in two.bookmark


@pytest.mark.parametrize("word", ["503", "drop", "stray"])
async def test_a_batch_that_was_not_acknowledged_comes_again_unchanged_on_a_new_connection(word: str) -> None:
    """503, a lost answer, an Ack for somebody else: in none of these cases may a source forget."""
    offering = Offering(read_existing=True, max_elements=2)
    script = ScriptedCollector([offering], script=["ack", word], enumerations=["503"])
    async with collecting(script) as collector, living(collector) as run:
        for number in (1, 2, 3):
            run.log("System", number)
        await collector.until(lambda: len(collector.of("Events")) == 3)
        await run.end()

        one, again, rest = collector.of("Events")
        assert (again.events, again.bookmark) == (one.events, one.bookmark)
        assert again.peer != one.peer
        assert again.fields["SessionId"] != one.fields["SessionId"]
        assert again.fields["MessageID"] != one.fields["MessageID"]
        assert numbers(list(rest.events)) == [3]
        assert (run.source.ledger.sent, run.source.ledger.duplicates) == (3, 2)


async def test_the_next_batch_waits_for_the_acknowledgement_of_the_one_before() -> None:
    """R10.7-1: one outstanding batch for each subscription, whatever there is to say."""
    offering = Offering(read_existing=True, max_elements=1)
    script = ScriptedCollector([offering], script=["late"] * 8, enumerations=["503"])
    async with collecting(script) as collector, living(collector) as run:
        for number in range(6):
            run.log("System", number)
        await collector.until(lambda: len(collector.events()) == 6)

        assert collector.together == 1
        assert numbers(collector.events()) == list(range(6))


async def test_a_collector_that_comes_back_gets_the_rest_without_gap_or_replay() -> None:
    """The collector restarts; its port is dead for a while; the source still has its batch and its place."""
    offering = Offering(read_existing=True, max_elements=2, retry_total=1)
    first, second = ScriptedCollector([offering], enumerations=["503"]), ScriptedCollector([offering])
    async with contextlib.AsyncExitStack() as stack:
        async with collecting(first):
            run = await stack.enter_async_context(living(first))
            run.log("System", 1)
            await first.until(lambda: run.source.ledger.acknowledged)
        for number in (2, 3, 4):
            run.log("System", number)
        second.bookmarks = first.bookmarks
        async with collecting(second, first.port):
            run.log("System", 5)
            await second.until(lambda: len(second.events()) == 4)
            await run.end()

    assert numbers(first.events() + second.events()) == [1, 2, 3, 4, 5]
    assert numbers([text for seen in second.of("Events")[:1] for text in seen.events]) == [2, 3]


async def test_a_new_version_is_subscribed_from_the_bookmark_that_the_collector_offers() -> None:
    """R10.2.6-4: after a change the source resumes after the bookmark, without replay and without gap."""
    offering = Offering(read_existing=True)
    async with collecting(ScriptedCollector([offering], enumerations=["503"])) as collector, living(collector) as run:
        run.log("System", 1)
        await collector.until(lambda: collector.events() and run.source.ledger.acknowledged == 1)
        collector.offerings = [replace(offering, version="22222222-2222-4222-8222-222222222222")]
        run.log("System", 2)
        await collector.until(lambda: len(collector.of("Heartbeat")) == 2)  # each subscription begins with one
        run.log("System", 3)
        await collector.until(lambda: run.source.ledger.acknowledged == 3 or len(collector.events()) > 3)

        assert numbers(collector.events()) == [1, 2, 3]
        assert run.source.ledger.duplicates == 0


async def test_the_same_version_carries_on_whatever_bookmark_is_offered() -> None:
    """[MS-WSMV] 2.2.4.41: a Refresh with nothing new must not disturb a subscription."""
    async with collecting(ScriptedCollector([Offering(read_existing=True)])) as collector, living(collector) as run:
        run.log("System", 1)
        await collector.until(lambda: collector.events())
        collector.offerings = [
            replace(
                collector.offerings[0],
                bookmark='<BookmarkList><Bookmark Channel="System" RecordId="1"/></BookmarkList>',
            )
        ]
        asked = len(collector.of("Enumerate"))
        await collector.until(lambda: len(collector.of("Enumerate")) > asked + 2)
        run.log("System", 2)
        await collector.until(lambda: len(collector.events()) == 2)

        assert numbers(collector.events()) == [1, 2]
        assert len(collector.of("Heartbeat")) == 1


async def test_a_subscription_that_is_no_longer_offered_is_unsubscribed() -> None:
    """Taking a source out of the audience has to silence it at its next Refresh."""
    async with collecting(ScriptedCollector([Offering(read_existing=True)])) as collector, living(collector) as run:
        await collector.until(lambda: collector.of("Heartbeat"))
        collector.offerings = []
        asked = len(collector.of("Enumerate"))
        await collector.until(lambda: len(collector.of("Enumerate")) > asked + 2)
        run.log("System", 1)
        await collector.until(lambda: len(collector.of("Enumerate")) > asked + 4)

        assert collector.events() == []
        assert collector.of("SubscriptionEnd") == []


async def test_delivery_refused_cancels_at_once_and_without_a_farewell() -> None:
    """[MS-WSMV] 3.1.4.1.30.2; the verdict must not call that a success."""
    script = ScriptedCollector([Offering(read_existing=True)], script=["ack", "refuse"])
    async with collecting(script) as collector, living(collector) as run:
        run.log("System", 1)
        await collector.until(lambda: len(collector.of("Events")) == 1)
        run.log("System", 2)
        asked = len(collector.of("Enumerate"))
        await collector.until(lambda: len(collector.of("Enumerate")) > asked + 2)
        verdict = await run.end()

        assert len(collector.of("Events")) == 1
        assert collector.of("SubscriptionEnd") == []
        assert (verdict.ok, verdict.refused, verdict.acknowledged) == (False, 1, 0)


async def test_a_source_with_nothing_to_say_sends_heartbeats_and_one_with_events_needs_none() -> None:
    """R10.2.5: how a collector knows that a silent source is alive."""
    async with collecting(ScriptedCollector([Offering(heartbeat=0.05)])) as collector, living(collector):
        await collector.until(lambda: len(collector.of("Heartbeat")) >= 4)

        assert all(not seen.events and not seen.bookmark for seen in collector.of("Heartbeat"))


async def test_sldc_is_claimed_and_used_on_the_event_connection_only_and_the_last_end_lies_about_it() -> None:
    """Captured in 2022: Enumerate is plain; the End after a SubscriptionEnd says SLDC and is not compressed."""
    async with collecting(ScriptedCollector([Offering(compression=True)])) as collector, living(collector) as run:
        await collector.until(lambda: collector.bookmarks)
        await run.end()

        for seen in collector.of("Heartbeat", "Events", "SubscriptionEnd"):
            assert seen.http["Content-Encoding"] == "SLDC"
            assert not seen.raw.startswith(b"\xff\xfe")
        assert all("Content-Encoding" not in seen.http for seen in collector.of("Enumerate"))
        last = collector.of("End")[-1]
        assert last.http["Content-Encoding"] == "SLDC"
        assert last.raw.startswith(b"\xff\xfe")
        assert last.fields["OperationID"] == collector.of("SubscriptionEnd")[0].fields["OperationID"]


@pytest.mark.parametrize(("compression", "offered", "used"), [("sldc", False, True), ("none", True, False)])
async def test_compression_can_be_forced_and_forbidden(compression: str, offered: bool, used: bool) -> None:
    """To try a collector with what its own subscriptions never ask for."""
    script = ScriptedCollector([Offering(compression=offered)])
    async with collecting(script) as collector, living(collector, compression=compression):
        await collector.until(lambda: collector.of("Heartbeat"))

        assert (collector.of("Heartbeat")[0].http.get("Content-Encoding") == "SLDC") is used


async def test_utf_8_is_spoken_without_a_byte_order_mark() -> None:
    """[DSP0226] R13.1-6; sources that are not Windows do."""
    async with collecting(ScriptedCollector()) as collector, living(collector, charset="utf-8"):
        await collector.until(lambda: collector.of("Heartbeat"))

        assert collector.seen[0].raw.startswith(b"<s:Envelope")
        assert collector.seen[0].http["Content-Type"] == "application/soap+xml;charset=UTF-8"


async def test_batches_keep_to_the_envelope_size_that_the_subscription_allows() -> None:
    """A Windows service answers 413 to more; here the whole body is measured, in UTF-16."""
    offering = Offering(read_existing=True, max_envelope=20000)
    async with collecting(ScriptedCollector([offering], enumerations=["503"])) as collector, living(collector) as run:
        for number in range(30):
            run.log("System", number, "ä" * 500)
        await collector.until(lambda: len(collector.events()) == 30)

        sizes = [len(seen.raw) for seen in collector.of("Events")]
        assert max(sizes) <= 20000
        assert len(sizes) < 10  # and they are not smaller than they need be


async def test_an_event_too_large_for_any_envelope_is_reported_as_dropped() -> None:
    """Policy="Notify": the collector hears that one is missing ([DSP0226] 10.9), and the verdict is not ok."""
    offering = Offering(read_existing=True, max_envelope=10000)
    async with collecting(ScriptedCollector([offering], enumerations=["503"])) as collector, living(collector) as run:
        run.log("System", 1, "y" * 10000)
        run.log("System", 2)
        await collector.until(lambda: collector.of("Events"))
        verdict = await run.end()

        batch = collector.of("Events")[0]
        assert ">1</w:DroppedEvents>" in batch.text
        assert batch.events[0] == ""  # the marker stands where the event would
        assert numbers([batch.events[1]]) == [2]
        assert not verdict.ok
        assert verdict.sent == 1


async def test_rendered_text_is_added_only_when_it_is_asked_for() -> None:
    """ContentFormat RenderedText adds RenderingInfo as the event's last child."""
    script = ScriptedCollector(
        [
            Offering(read_existing=True, rendered=True),
            Offering("33333333-3333-4333-8333-333333333333", "BBBB", read_existing=True),
        ],
        enumerations=["503"],
    )
    async with collecting(script) as collector, living(collector) as run:
        run.log("System", 1)
        await collector.until(lambda: len(collector.events()) == 2)

        rendered, raw = sorted(collector.events(), key=len, reverse=True)
        assert rendered == raw.replace("</Event>", RENDERING + "</Event>")


async def test_only_what_the_query_selects_is_sent_and_each_subscription_has_its_own_connection() -> None:
    """Select and Suppress decide; two subscriptions are two conversations."""
    query = (
        '<QueryList><Query Id="0"><Select Path="System">*[System[EventID&lt;3]]</Select>'
        '<Suppress Path="System">*[System[EventID=1]]</Suppress></Query></QueryList>'
    )
    narrow = Offering("33333333-3333-4333-8333-333333333333", "BBBB", query=query, read_existing=True)
    script = ScriptedCollector([Offering(read_existing=True), narrow], enumerations=["503"])
    async with collecting(script) as collector, living(collector) as run:
        for number in (1, 2, 3):
            run.log("System", number)
        run.log("Setup", 2)
        await collector.until(lambda: run.source.ledger.acknowledged == 3 and len(collector.events()) == 4)

        by = {seen.fields["Identifier"]: seen for seen in collector.of("Events")}
        assert numbers(list(by["BBBB"].events)) == [2]
        assert len({seen.peer for seen in by.values()}) == 2
        assert run.source.ledger.sent == 3


async def test_a_bookmark_of_an_earlier_life_does_not_silence_a_machine() -> None:
    """The second run of wef simulate meets the bookmarks of the first; its events are new ones."""
    old = '<BookmarkList><Bookmark Channel="System" RecordId="500000" IsCurrent="true"/></BookmarkList>'
    async with collecting(ScriptedCollector([Offering(bookmark=old)])) as collector, living(collector) as run:
        await collector.until(lambda: run.source.subscribed)
        run.log("System", 1)
        await collector.until(lambda: collector.events())

        assert collector.of("Events")[0].positions["System"] == 500001
