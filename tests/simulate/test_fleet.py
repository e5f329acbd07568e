"""Whole runs: files dealt out to sources, the verdict, and when a fleet ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.simulate.fleet import Fleet, FleetOptions, Progress, run_fleet
from tests.simulate.scripted import Offering, ScriptedCollector, collecting, event

pytestmark = pytest.mark.slow  # together they take several seconds


def lines(path: Path, *xml: str) -> Path:
    """A file for ``--events``."""
    text = "".join(json.dumps({"xml": text}) + "\n" for text in xml)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def on(computer: str, number: int, channel: str = "System") -> str:
    return event(channel, number).replace("a.corp.example", computer)


async def test_without_sources_each_computer_of_the_file_is_one_whatever_the_case_of_its_name(tmp_path: Path) -> None:
    """contract.md 6; and Windows compares host names without regard to case."""
    file = lines(tmp_path / "e.jsonl", on("PC1.corp.example", 1), on("pc2", 2), on("pc1.CORP.example", 3))
    async with collecting(ScriptedCollector()) as collector:
        verdict = await run_fleet(FleetOptions(collector.url, events=file))

    assert {seen.fields["MachineID"] for seen in collector.seen if seen.kind == "Enumerate"} == {
        "PC1.corp.example",
        "pc2",
    }
    assert sorted(collector.events()) == sorted([on("PC1.corp.example", 1), on("pc2", 2), on("pc1.CORP.example", 3)])
    assert (verdict.ok, verdict.sent, verdict.acknowledged, verdict.duplicates, verdict.refused) == (True, 3, 3, 0, 0)


async def test_with_sources_the_lines_are_dealt_in_turn_and_stamped_with_the_sources_name(tmp_path: Path) -> None:
    """contract.md 6: line k goes to source k mod N."""
    file = lines(tmp_path / "e.jsonl.gz", *(on("elsewhere", number) for number in range(5)))
    async with collecting(ScriptedCollector()) as collector:
        fleet = Fleet(FleetOptions(collector.url, sources=2, events=file), SystemClock())
        await fleet.run()

    first, second = (source.name for source in fleet.sources.values())
    assert sorted(collector.events()) == sorted(on(second if number % 2 else first, number) for number in range(5))
    by = {seen.fields["MachineID"]: seen for seen in collector.of("Events") if len(seen.events) > 1}
    assert all(f"<Computer>{name}</Computer>" in text for name, seen in by.items() for text in seen.events)


async def test_an_event_without_a_channel_is_sent_as_it_is_and_counts_as_the_default(tmp_path: Path) -> None:
    """contract.md 6; the forwarder really sends empty Channels."""
    odd = on("pc1", 1).replace("<Channel>System</Channel>", "<Channel/>")
    file = lines(tmp_path / "e.jsonl", odd)
    query = '<QueryList><Query><Select Path="Setup">*</Select></Query></QueryList>'
    async with collecting(ScriptedCollector([Offering(query=query)])) as collector:
        verdict = await run_fleet(FleetOptions(collector.url, events=file, channel_default="Setup"))

    assert collector.events() == [odd]
    assert verdict.ok
    assert "Setup" in collector.of("Events")[-1].positions


async def test_a_run_over_a_collector_that_fails_now_and_then_is_ok_and_counts_what_went_twice(tmp_path: Path) -> None:
    """Trouble that was overcome is no defeat: everything is acknowledged."""
    file = lines(tmp_path / "e.jsonl", *(on("pc1", number) for number in range(20)))
    script = ScriptedCollector([Offering(max_elements=5)], script=["ack", "ack", "503", "drop", "ack", "503"])
    async with collecting(script) as collector:
        verdict = await run_fleet(FleetOptions(collector.url, events=file))

    assert (verdict.ok, verdict.sent, verdict.acknowledged, verdict.refused) == (True, 20, 20, 0)
    assert verdict.duplicates == len(collector.events()) - 20 == 15
    assert verdict.seconds > 0


async def test_a_collector_that_answers_503_for_ever_ends_the_run_with_not_ok(tmp_path: Path) -> None:
    """A load test has to end, and must not call it a success."""
    file = lines(tmp_path / "e.jsonl", on("pc1", 1))
    script = ScriptedCollector([Offering()], script=["ack", "ack", *["503"] * 1000])
    async with collecting(script) as collector:
        fleet = Fleet(FleetOptions(collector.url, events=file, give_up=0.3, refresh=0.1), SystemClock())
        verdict = await fleet.run()

    assert (verdict.ok, verdict.sent, verdict.acknowledged) == (False, 1, 0)
    assert any("HTTP 503" in note for note in fleet.notes)


async def test_a_source_that_is_turned_away_is_counted_as_refused(tmp_path: Path) -> None:
    """403 at Enumerate: nothing can be delivered, and waiting does not help."""
    file = lines(tmp_path / "e.jsonl", on("pc1", 1))
    async with collecting(ScriptedCollector(enumerations=["403"] * 50)) as collector:
        verdict = await run_fleet(FleetOptions(collector.url, events=file, refresh=0.05))

    assert (verdict.ok, verdict.sent, verdict.refused) == (False, 0, 1)


async def test_events_that_no_subscription_selects_are_not_called_a_success(tmp_path: Path) -> None:
    """Nothing was proven, and the reader of the exit code would think it was."""
    file = lines(tmp_path / "e.jsonl", on("pc1", 1, "Setup"))
    async with collecting(ScriptedCollector()) as collector:
        fleet = Fleet(FleetOptions(collector.url, events=file), SystemClock())
        verdict = await fleet.run()

    assert (verdict.ok, verdict.sent) == (False, 0)
    assert any("selected" in note for note in fleet.notes)


async def test_a_collector_that_is_not_there_is_an_error_of_its_own(unused_tcp_port: int) -> None:
    """Exit code 69: somebody mistyped the URL."""
    url = f"http://127.0.0.1:{unused_tcp_port}/wsman"

    with pytest.raises(OperatorError, match="cannot be reached") as told:
        await run_fleet(FleetOptions(url, sources=2, give_up=0.3, refresh=0.1))

    assert told.value.exit_code == 69


@pytest.mark.parametrize(
    "url", ["http://wec:99999/", "http://[::1/", "http://wec:0/", "http://me:sesame@wec/", "ftp://wec/", "wec:5985"]
)
def test_a_url_that_is_none_is_usage(url: str) -> None:
    """Exit code 64, with a sentence and without the password, which would have left in clear as well."""
    with pytest.raises(OperatorError) as told:
        Fleet(FleetOptions(url, mechanism="kerberos"), SystemClock())

    assert told.value.exit_code == 64
    assert "sesame" not in str(told.value)


async def test_made_up_events_come_at_the_rate_and_end_with_the_duration() -> None:
    """The load generator: its own events, each sent and acknowledged, in the logs of several roles."""
    query = "".join(
        f'<Select Path="{channel}">*</Select>'
        for channel in (
            "Application",
            "System",
            "Security",
            "Microsoft-Windows-PowerShell/Operational",
            "Microsoft-Windows-Sysmon/Operational",
        )
    )
    offering = Offering(query=f"<QueryList><Query>{query}</Query></QueryList>", max_time=0.01)
    seen: list[Progress] = []
    async with collecting(ScriptedCollector([offering])) as collector:
        fleet = Fleet(FleetOptions(collector.url, sources=3, rate=200.0, duration=0.5, history=4), SystemClock())
        verdict = await fleet.run(seen.append)

    assert verdict.ok
    assert 1 < verdict.sent <= 100  # a busy machine logs less, none logs more than rate times duration
    assert len(collector.events()) == verdict.sent  # what was logged before the subscription stayed where it was
    assert (seen[-1].acknowledged, seen[-1].subscribed, seen[-1].total) == (verdict.sent, 3, None)
    for source in fleet.sources.values():
        got = [text for one in collector.of("Events") if one.fields["MachineID"] == source.name for text in one.events]
        assert sum(f"<Computer>{source.name}</Computer>" in text for text in got) == len(got)
        assert len(source.acknowledged_records()) == len(source.ledger.confirmed()) == len(got) - 1  # event 111


async def test_a_machine_that_is_told_to_stop_says_so_to_the_collector() -> None:
    """SourceShuttingDown tells a collector that silence is not an accident."""
    stop = asyncio.Event()
    async with collecting(ScriptedCollector()) as collector:
        running = asyncio.create_task(run_fleet(FleetOptions(collector.url, sources=2), stop=stop))
        await collector.until(lambda: len(collector.bookmarks) == 2)
        stop.set()
        await running

    ends = collector.of("SubscriptionEnd")
    assert len(ends) == 2
    assert all("/SourceShuttingDown</e:Status>" in end.text for end in ends)


async def test_a_second_run_sends_new_events_although_the_collector_has_the_bookmarks_of_the_first(
    tmp_path: Path,
) -> None:
    """Otherwise a load test could be run once, and then never again on the same collector."""
    file = lines(tmp_path / "e.jsonl", *(on("pc1", number) for number in range(3)))
    async with collecting(ScriptedCollector()) as collector:
        options = FleetOptions(collector.url, events=file)
        await run_fleet(options)
        collector.offerings = [replace(collector.offerings[0], max_elements=2)]
        verdict = await run_fleet(options)

    assert verdict.ok
    assert len(collector.events()) == 6
    newest = [seen.positions["System"] for seen in collector.of("Events")]
    assert newest == sorted(newest)


@pytest.mark.parametrize(
    ("content", "words"),
    [("not json\n", "line 1 is no JSON"), ('{"xml": 5}\n', 'line 1 has no text "xml"'), ("\n[]\n", "line 2")],
)
async def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    """Exit code 65, and nobody has to search 8,000 lines."""
    file = tmp_path / "e.jsonl"
    file.write_text(content)

    with pytest.raises(OperatorError, match=words) as told:
        Fleet(FleetOptions("http://127.0.0.1:1/wsman", events=file), SystemClock())

    assert told.value.exit_code == 65


def test_a_file_that_is_cut_short_is_no_traceback(tmp_path: Path) -> None:
    """A download that stopped in the middle."""
    file = lines(tmp_path / "e.jsonl.gz", on("pc1", 1))
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(OperatorError, match="cannot be read"):
        Fleet(FleetOptions("http://127.0.0.1:1/wsman", events=file), SystemClock())


async def test_reboots_and_crashes_cost_nothing_and_send_nothing_twice_that_was_acknowledged(tmp_path: Path) -> None:
    """The machine comes back with its log alone and resumes after the bookmark that the collector offers."""
    file = lines(tmp_path / "e.jsonl", *(on(f"pc{number % 2}", number) for number in range(1000, 1400)))
    options = FleetOptions("", events=file, reboots=2, crashes=3, away=0.05, refresh=60, rate=400.0)
    async with collecting(ScriptedCollector([Offering(max_elements=5, max_time=0.02)])) as collector:
        fleet = Fleet(replace(options, url=collector.url), SystemClock())
        verdict = await fleet.run()

    assert (verdict.ok, verdict.sent, verdict.acknowledged, verdict.duplicates) == (True, 400, 400, 0)
    assert sorted(collector.events()) == sorted(on(f"pc{number % 2}", number) for number in range(1000, 1400))
    assert fleet.notes == []
    assert len(collector.of("SubscriptionEnd")) == 2 + 2  # the reboots, and both machines at the end
    assert len(collector.torn) == 3
    assert len(collector.of("Enumerate")) == 2 + 5


async def test_a_machine_that_reboots_has_a_new_session_and_the_old_places() -> None:
    """What a collector sees of a restart: SourceShuttingDown, silence, Enumerate, and the log goes on."""
    async with collecting(ScriptedCollector()) as collector:
        options = FleetOptions(collector.url, sources=1, reboots=1, away=0.05, rate=200.0, duration=0.6, refresh=60)
        verdict = await run_fleet(options)

    assert verdict.ok
    kinds = [seen.kind for seen in collector.seen]
    end = kinds.index("SubscriptionEnd")
    assert "/SourceShuttingDown</e:Status>" in collector.seen[end].text
    assert kinds[end + 1 : end + 3] == ["End", "Enumerate"]
    before, after = (
        {seen.fields["SessionId"] for seen in part if seen.kind in ("Events", "Heartbeat")}
        for part in (collector.seen[:end], collector.seen[end:])
    )
    assert len(before) == len(after) == 1
    assert before.isdisjoint(after)
    assert sum("<EventID>111<" in text for seen in collector.of("Events") for text in seen.events) == 1


async def test_a_crash_breaks_off_in_the_middle_of_a_body_and_says_no_good_bye() -> None:
    """A power cut: half a message, and the collector must not take it for a whole one."""
    async with collecting(ScriptedCollector()) as collector:
        options = FleetOptions(collector.url, sources=1, crashes=1, away=0.05, rate=200.0, duration=0.6, refresh=60)
        verdict = await run_fleet(options)

    assert verdict.ok
    (declared, arrived) = collector.torn[0]
    assert 0 < arrived < declared
    assert len(collector.of("SubscriptionEnd")) == 1  # at the end of the run only
    assert len(collector.of("Enumerate")) == 2
    assert len(collector.events()) == verdict.sent


async def test_events_that_a_collector_makes_a_machine_skip_are_not_called_a_success(tmp_path: Path) -> None:
    """It acknowledged and offers no bookmark after the reboot: what came meanwhile is never sent."""
    file = lines(tmp_path / "e.jsonl", *(on("pc1", number) for number in range(60)))
    forgetful = ScriptedCollector([Offering(max_elements=5)], forgetful=True)
    async with collecting(forgetful) as collector:
        fleet = Fleet(FleetOptions(collector.url, events=file, reboots=1, away=0.3, rate=100.0), SystemClock())
        verdict = await fleet.run()

    assert not verdict.ok
    assert any("for want of a bookmark" in note for note in fleet.notes)


async def test_oversized_events_that_were_asked_for_are_markers_and_no_failure() -> None:
    """The run did what it was told; a collector's count of dropped events can be compared with the note."""
    query = '<QueryList><Query><Select Path="Security">*</Select><Select Path="System">*</Select></Query></QueryList>'
    async with collecting(ScriptedCollector([Offering(query=query)])) as collector:
        options = FleetOptions(collector.url, sources=2, oversized=0.4, rate=100.0, duration=0.5)
        fleet = Fleet(options, SystemClock())
        verdict = await fleet.run()

    totals = [
        int(text) for seen in collector.of("Events") for text in re.findall(r">(\d+)</w:DroppedEvents>", seen.text)
    ]
    assert verdict.ok
    assert len(totals) > 2
    assert fleet.notes == [
        f"{len(totals)} events were too large for an envelope; the collector was told (DroppedEvents)."
    ]
    assert max(len(seen.raw) for seen in collector.seen) <= 512000


async def test_made_up_events_are_rendered_for_subscriptions_that_ask_for_it() -> None:
    """RenderedText: the publisher's message, last in the event."""
    async with collecting(ScriptedCollector([Offering(rendered=True)])) as collector:
        verdict = await run_fleet(FleetOptions(collector.url, sources=2, rate=100.0, duration=0.4))

    assert verdict.ok
    assert collector.events()
    assert all("<RenderingInfo Culture='en-US'><Message>" in text for text in collector.events())
    assert all(text.endswith("</RenderingInfo></Event>") for text in collector.events())
