"""Who gets what of a batch, and who has to confirm it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import telemetry
from collector.errors import Backpressure
from collector.model import Batch, Caller, SubscriptionRef
from collector.normalize import Harvest, harvest
from collector.routing.match import Taking
from collector.routing.receipt import Receipt
from collector.routing.router import Router
from tests.routing.lanes import LONG, Setting
from tests.routing.scripted_sink import ScriptedSink, eventually

EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Kettle'/>"
    "<EventID>{event_id}</EventID><Level>4</Level><TimeCreated SystemTime='2026-03-01T10:00:00.0000000Z'/>"
    "<EventRecordID>{record_id}</EventRecordID><Channel>{channel}</Channel><Computer>ws1.lab.example</Computer>"
    "</System></Event>"
)


def a_harvest(*channels: str) -> Harvest:
    caller = Caller("m:1", "ws1", "m:1", "none", "127.0.0.1")
    subscription = SubscriptionRef("0" * 8, "kitchen", "V", "1")
    events = [EVENT.format(event_id=100 + row, record_id=row, channel=name) for row, name in enumerate(channels)]
    return harvest(Batch(caller, subscription, datetime(2026, 3, 1, 10, tzinfo=UTC), events, "here"))


def lane(folder: Path, name: str, sink: ScriptedSink, match: dict[str, Any] | None = None, **more: Any) -> Setting:
    setting = Setting(folder, sink, name=name, patience=LONG, **more)
    setting.lane.taking = Taking.compile(match or {})
    return setting


async def test_each_lane_gets_the_rows_it_takes_and_the_batch_waits_for_all(tmp_path: Path) -> None:
    """A batch is one unit of acknowledgement, however many sinks share it."""
    everything, security, nothing = ScriptedSink(), ScriptedSink("hang"), ScriptedSink()
    async with (
        lane(tmp_path, "everything", everything) as one,
        lane(tmp_path, "security", security, {"channel": "Security"}) as two,
        lane(tmp_path, "nothing", nothing, {"channel": "Other"}) as three,
    ):
        reaped, receipt = a_harvest("Security", "System", "Security"), Receipt()
        Router([one.lane, two.lane, three.lane]).carry(reaped, receipt)
        settled = asyncio.create_task(receipt.settled())
        await eventually(lambda: len(everything.taken) == 3 and len(security.called) == 2)
        assert not settled.done()
        security.let_go()
        await settled

        assert everything.taken == reaped.ids
        assert security.taken == [reaped.ids[0], reaped.ids[2]]
        assert nothing.called == []


async def test_a_share_of_the_whole_batch_is_no_copy(tmp_path: Path) -> None:
    """Two sinks of one format cost one spelling and one block of memory."""
    one, two = lane(tmp_path, "one", ScriptedSink("hang")), lane(tmp_path, "two", ScriptedSink("hang"))
    async with one, two:
        Router([one.lane, two.lane]).carry(a_harvest("System"), Receipt())
        held = [next(iter(setting.lane._unanswered)).share.records for setting in (one, two)]

        assert held[0] is held[1]


async def test_when_one_required_lane_is_full_no_other_gets_the_batch_either(tmp_path: Path) -> None:
    """It comes again every minute until there is room: the others would have it once more each time."""
    full, healthy = ScriptedSink("down"), ScriptedSink()
    async with lane(tmp_path, "full", full, spool=0) as one, lane(tmp_path, "healthy", healthy) as two:
        router = Router([two.lane, one.lane])
        for _ in range(3):
            receipt = Receipt()
            router.carry(a_harvest("System"), receipt)
            with pytest.raises(Backpressure, match="spool"):
                await receipt.settled()
            await eventually(lambda: two.lane.measure().queued == 0)

        assert len(healthy.taken) == 1  # by the first try, when nobody knew yet


async def test_a_lane_that_is_not_required_is_never_waited_for(tmp_path: Path) -> None:
    """A test cluster's outage must not stop the collection of evidence."""
    needed, effort = ScriptedSink(), ScriptedSink("hang")
    async with lane(tmp_path, "needed", needed) as one, lane(tmp_path, "effort", effort, required=False) as two:
        receipt = Receipt()
        Router([one.lane, two.lane]).carry(a_harvest("System"), receipt)
        await receipt.settled()

        assert len(effort.called) == 1
        assert effort.taken == []


async def test_events_that_nobody_takes_are_counted_and_acknowledged(tmp_path: Path) -> None:
    """Filtered is not lost, but it must be possible to see it."""
    async with lane(tmp_path, "security", ScriptedSink(), {"channel": "Security"}) as setting:
        before = telemetry.REGISTRY.get_sample_value("wef_events_untaken_total") or 0
        receipt = Receipt()
        Router([setting.lane]).carry(a_harvest("System", "Security", "Application"), receipt)
        await receipt.settled()

        assert telemetry.REGISTRY.get_sample_value("wef_events_untaken_total") == before + 2


async def test_a_batch_that_cannot_be_spelled_is_raised_and_offered_to_nobody(tmp_path: Path) -> None:
    """What was not carried must not be acknowledged."""
    strange, healthy = ScriptedSink(), ScriptedSink()
    strange.format = "no such format"
    async with lane(tmp_path, "healthy", healthy) as one, lane(tmp_path, "strange", strange) as two:
        with pytest.raises(KeyError):
            Router([one.lane, two.lane]).carry(a_harvest("System"), Receipt())

        assert healthy.called == []
