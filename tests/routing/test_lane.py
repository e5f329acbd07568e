"""The promise of a lane in all its corners: what is confirmed is in the sink or in the spool."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector import telemetry
from collector.errors import Backpressure
from collector.model import Records
from collector.routing.backoff import Backoff
from collector.routing.lane import Bounds
from collector.routing.packing import footprint
from collector.routing.receipt import Receipt
from collector.routing.share import Share
from collector.routing.spool import Spool
from collector.sinks.base import Rejection, SinkUnavailable
from tests.routing.lanes import LONG, Setting, spooled
from tests.routing.scripted_sink import ScriptedSink, eventually, records


async def test_a_share_is_confirmed_when_the_sink_has_it_and_not_before(tmp_path: Path) -> None:
    """The source forgets what is confirmed."""
    sink = ScriptedSink("hang")
    async with Setting(tmp_path, sink, patience=LONG) as setting:
        settled = asyncio.create_task(setting.offer(records("a")).settled())
        await eventually(lambda: sink.called == ["a"])
        await asyncio.sleep(0)
        assert not settled.done()

        sink.let_go()
        await settled

        assert sink.taken == ["a"]
        assert setting.spool.shares == 0
        assert setting.state == "delivering"


async def test_writes_of_several_sources_run_side_by_side_in_the_order_of_their_offers(tmp_path: Path) -> None:
    """A sink that syncs once for all who wait needs several who wait."""
    sink = ScriptedSink(*["hang"] * 3)
    async with Setting(tmp_path, sink, patience=LONG) as setting:
        receipts = [setting.offer(records(name, source=name)) for name in "abc"]
        await eventually(lambda: sink.called == ["a", "b", "c"])
        sink.let_go()
        await asyncio.gather(*(receipt.settled() for receipt in receipts))


@pytest.mark.slow
async def test_a_sink_that_is_down_at_the_start_gets_everything_later_in_order(tmp_path: Path) -> None:
    """The collector may start before the cluster does."""
    sink = ScriptedSink("down", "down")
    async with Setting(tmp_path, sink) as setting:
        for name in "abcd":
            await setting.offer(records(name)).settled()
        assert setting.state in {"spooling", "draining"}
        await eventually(lambda: setting.state == "delivering")

        assert sink.taken == ["a", "b", "c", "d"]
        assert (setting.spool.shares, setting.spool.bytes) == (0, 0)


@pytest.mark.slow
async def test_a_sink_that_goes_down_in_the_middle_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Shares that it had taken stay taken; those it refused wait; those that follow go behind them."""
    sink = ScriptedSink("ok", "down", "down", "down")
    async with Setting(tmp_path, sink) as setting:
        for name in "abc":
            await setting.offer(records(name)).settled()
        await eventually(lambda: setting.state == "delivering")
        await setting.offer(records("d")).settled()

        assert sink.taken == ["a", "b", "c", "d"]
        assert "the script says that it is down" in setting.lane.measure().last_error


@pytest.mark.slow
async def test_a_slow_write_that_succeeds_after_all_is_not_repeated(tmp_path: Path) -> None:
    """Patience ends, the write does not: its copy in the spool is dropped when it arrives."""
    sink = ScriptedSink("hang")
    async with Setting(tmp_path, sink) as setting:
        await setting.offer(records("a")).settled()
        assert sink.taken == []
        assert setting.spool.shares == 1
        await setting.offer(records("b")).settled()
        assert sink.called == ["a"]

        sink.let_go()
        await eventually(lambda: setting.state == "delivering")

        assert sink.taken == ["a", "b"]
        assert sink.called == ["a", "b"]


@pytest.mark.slow
async def test_a_slow_write_that_fails_is_offered_again_before_what_came_later(tmp_path: Path) -> None:
    """It was confirmed when it was spooled."""
    sink = ScriptedSink("hang down")
    async with Setting(tmp_path, sink) as setting:
        await setting.offer(records("a")).settled()
        await setting.offer(records("b")).settled()
        sink.let_go()
        await eventually(lambda: setting.state == "delivering")

        assert sink.called == ["a", "a", "b"]
        assert sink.taken == ["a", "b"]


async def test_a_full_spool_refuses_at_once_and_takes_again_when_the_sink_does(tmp_path: Path) -> None:
    """No confirmation, so no Ack: the source keeps its events and comes again."""
    sink = ScriptedSink("hang down")
    async with Setting(tmp_path, sink, spool=footprint(records("a"))) as setting:
        await setting.offer(records("a")).settled()
        receipt = Receipt()
        receipt.expect(["sink"])

        assert not setting.lane.offer(Share(records("b"), receipt))
        with pytest.raises(Backpressure) as refusal:
            await receipt.settled()
        assert refusal.value.reason == "spool_full"
        assert setting.state == "full"

        sink.let_go()
        await eventually(lambda: setting.state == "delivering")
        await setting.offer(records("b")).settled()
        assert sink.taken == ["a", "b"]


async def test_without_room_in_the_spool_a_late_sink_is_refused_and_may_still_take_it(tmp_path: Path) -> None:
    """The source sends it again; the event id makes the duplicate harmless. Silence would be worse."""
    sink = ScriptedSink("hang")
    async with Setting(tmp_path, sink, spool=0) as setting:
        with pytest.raises(Backpressure, match="spool"):
            await setting.offer(records("a")).settled()
        sink.let_go()
        await eventually(lambda: setting.state == "delivering")
        await setting.offer(records("a")).settled()

        assert sink.taken == ["a", "a"]


async def test_without_a_spool_a_sink_that_is_down_is_not_asked_for_every_batch(tmp_path: Path) -> None:
    """Ten thousand sources must not hammer a cluster that tries to come back."""
    sink = ScriptedSink("down")
    async with Setting(tmp_path, sink, spool=0, patience=LONG) as setting:
        for _ in range(3):
            with pytest.raises(Backpressure):
                await setting.offer(records("a")).settled()
            for _ in range(1000):
                await asyncio.sleep(0)

        assert sink.called == ["a"]


async def test_a_sink_that_is_down_is_asked_again_only_after_a_pause(tmp_path: Path) -> None:
    """A cluster that tries to come back must not be kept down by those who wait for it."""
    sink = ScriptedSink(*["down"] * 1000)
    async with Setting(tmp_path, sink, patience=LONG) as setting:
        for name in "abc":
            await setting.offer(records(name)).settled()
        for _ in range(1000):
            await asyncio.sleep(0)

        assert sink.called == ["a"]
        assert setting.state == "spooling"


async def test_a_sink_that_needs_a_person_says_so_once_and_keeps_everything(tmp_path: Path) -> None:
    """A wrong password is no outage: somebody must be called, and no event may be lost until they come."""
    sink = ScriptedSink(*["blocked"] * 9)
    with capture_logs() as log:
        async with Setting(tmp_path, sink, patience=LONG) as setting:
            await setting.offer(records("a")).settled()
            await setting.offer(records("b")).settled()

            assert setting.state == "blocked"

    alarms = [line for line in log if line["log_level"] == "error"]
    assert [line["event"] for line in alarms] == ["sink blocked, a person must act"]
    assert await spooled(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    ("trouble", "rest"),
    [
        (SinkUnavailable("away"), 1.0),
        (SinkUnavailable("busy", retry_after=120), 120.0),
        (SinkUnavailable("busy, it says, for a day", retry_after=86_400), 300.0),
        (SinkUnavailable("a right is missing", blocked=True), 5.0),
    ],
)
async def test_a_far_end_is_left_alone_for_as_long_as_it_asks(
    tmp_path: Path, trouble: SinkUnavailable, rest: float
) -> None:
    """Retry-After is obeyed, but no stranger may silence a lane for a day; a locked door is not knocked at."""
    async with Setting(tmp_path, ScriptedSink()) as setting:
        setting.lane._heed(trouble)

        assert setting.lane._rest(Backoff(1.0, 30.0, lambda: 0.0)) == rest


async def test_a_lane_owes_until_the_sink_itself_has_everything(tmp_path: Path) -> None:
    """The demonstration waits for this: acknowledged is what a spool has, and a spool cannot be searched."""
    sink = ScriptedSink("hang")
    async with Setting(tmp_path, sink) as setting:
        owed = [setting.lane.owes]
        await setting.offer(records("a")).settled()  # its spool has it
        owed.append(setting.lane.owes)
        sink.let_go()
        await eventually(lambda: not setting.lane.owes)

    assert owed == [False, True]

    assert sink.taken == ["a"]


async def test_a_stop_that_leaves_something_in_the_spool_is_no_recovery(tmp_path: Path) -> None:
    """The last line of a log must not say that a sink has everything when two thirds wait for the next start."""
    sink = ScriptedSink("down")
    with capture_logs() as log:
        async with Setting(tmp_path, sink, patience=LONG) as setting:
            for name in "abc":
                await setting.offer(records(name)).settled()

    assert sink.taken == ["a"]
    assert await spooled(tmp_path) == ["b", "c"]
    assert "sink has everything again" not in [line["event"] for line in log]


async def test_a_sink_that_was_not_asked_again_has_not_recovered(tmp_path: Path) -> None:
    """An empty spool is no sign of life when it could take nothing: the log must not say that all is well."""
    sink = ScriptedSink("down")
    with capture_logs() as log:
        async with Setting(tmp_path, sink, spool=0) as setting:
            with pytest.raises(Backpressure):
                await setting.offer(records("a")).settled()
            await eventually(lambda: setting.state == "delivering")
            said_early = [line["event"] for line in log]
            await setting.offer(records("a")).settled()

    assert said_early == ["sink unavailable, spooling"]
    assert [line["event"] for line in log] == ["sink unavailable, spooling", "sink has everything again"]


async def test_a_dead_lane_delays_no_other(tmp_path: Path) -> None:
    """One cluster's outage is not another's."""
    dead, lively = ScriptedSink("hang"), ScriptedSink()
    async with Setting(tmp_path, dead, name="dead", patience=LONG) as one, Setting(tmp_path, lively) as other:
        for name in "abc":
            waiting = one.offer(records(name))
            await other.offer(records(name)).settled()
        settled = asyncio.create_task(waiting.settled())
        await asyncio.sleep(0)

        assert lively.taken == ["a", "b", "c"]
        assert not settled.done()
        settled.cancel()


async def test_a_rejected_record_is_a_letter_before_its_share_is_confirmed(tmp_path: Path) -> None:
    """Dropped silently is never: what a sink will not take, people can still read."""
    sink = ScriptedSink("reject")
    async with Setting(tmp_path, sink) as setting:
        await setting.offer(records("bad", "good")).settled()
        letters = list(setting.store.letters())

        assert sink.taken == ["good"]
        assert [(letter.event_id, letter.sink, letter.reason) for letter in letters] == [
            ("bad", "sink", "the script rejects it")
        ]
        assert letters[0].record == records("bad").record(0)
        assert (setting.lane.measure().delivered, setting.lane.measure().rejected) == (1, 1)


async def test_a_letter_that_cannot_be_kept_leaves_its_share_in_the_spool(tmp_path: Path) -> None:
    """With neither sink nor letter nor spool nobody would have the record."""
    sink = ScriptedSink("reject", "reject")
    async with Setting(tmp_path, sink) as setting:
        setting.store.failing = True
        await setting.offer(records("bad", "good")).settled()
        assert setting.spool.shares == 1
        setting.store.failing = False
        await eventually(lambda: setting.state == "delivering")

        assert [letter.event_id for letter in setting.store.letters()] == ["bad"]


@pytest.mark.slow
async def test_what_nobody_foresaw_costs_no_record_and_does_not_end_the_lane(tmp_path: Path) -> None:
    """A bug in a sink is a reason for an error in the log, not for a hole in the evidence."""
    sink = ScriptedSink("bug", "bug")
    async with Setting(tmp_path, sink) as setting:
        await setting.offer(records("a")).settled()
        await eventually(lambda: setting.state == "delivering")

        assert sink.taken == ["a"]
        assert "ZeroDivisionError" in setting.lane.measure().last_error


async def test_a_lane_that_is_not_required_drops_and_never_blocks(tmp_path: Path) -> None:
    """Best effort: it spools while it can, and what does not fit is counted, not waited for."""
    sink = ScriptedSink("down", *["hang"] * 9)
    room = footprint(records("a"))
    async with Setting(tmp_path, sink, name="effort", spool=room, required=False) as setting:
        taken = [setting.lane.offer(Share(records(name), None)) for name in "a"]
        await eventually(lambda: setting.spool.shares == 1)
        taken += [setting.lane.offer(Share(records(name), None)) for name in "bc"]

        assert taken == [True, False, False]
        assert telemetry.REGISTRY.get_sample_value("wef_sink_dropped_total", {"sink": "effort"}) == 2


async def test_a_spool_that_was_not_empty_is_drained_first_after_a_restart(tmp_path: Path) -> None:
    """What was confirmed yesterday is older than what comes today."""
    before = Spool.open(tmp_path / "sink.sqlite", 2**30)
    for name in "abc":
        await before.append(records(name))
    await before.close()
    sink = ScriptedSink()

    async with Setting(tmp_path, sink, patience=LONG) as setting:
        await setting.offer(records("d")).settled()
        await eventually(lambda: setting.state == "delivering")

    assert sink.taken == ["a", "b", "c", "d"]
    assert await spooled(tmp_path) == []


async def test_memory_is_bounded_and_what_is_too_much_for_it_is_spooled(tmp_path: Path) -> None:
    """A slow sink and many sources must not end in the out-of-memory killer."""
    size = footprint(records("a"))
    sink = ScriptedSink("hang")
    async with Setting(tmp_path, sink, patience=LONG) as setting:
        setting.lane.bounds = Bounds(queued=2 * size)
        receipts = [setting.offer(records(name)) for name in "abcd"]
        await asyncio.gather(*(receipt.settled() for receipt in receipts))
        assert setting.spool.shares == 4
        sink.let_go()
        await eventually(lambda: setting.state == "delivering")

        assert sink.taken == ["a", "b", "c", "d"]


async def test_more_than_memory_and_disk_can_take_is_refused(tmp_path: Path) -> None:
    """Busy is an answer that Windows understands; falling over is not."""
    async with Setting(tmp_path, ScriptedSink("hang"), patience=LONG) as setting:
        setting.lane.bounds = Bounds(held=2 * footprint(records("a")))
        for name in "ab":
            setting.offer(records(name))
        with pytest.raises(Backpressure) as refusal:
            await setting.offer(records("c")).settled()

        assert refusal.value.reason == "busy"


async def test_stopping_waits_for_what_was_begun_and_takes_nothing_more(tmp_path: Path) -> None:
    """No batch half done."""
    sink = ScriptedSink("hang")
    setting = Setting(tmp_path, sink, patience=LONG)
    await setting.lane.open()
    receipt = setting.offer(records("a"))
    drained = asyncio.create_task(setting.lane.drain(LONG))
    await eventually(lambda: setting.lane.refusal(records("b")) is not None)
    with pytest.raises(Backpressure) as refusal:
        await setting.offer(records("b")).settled()
    assert refusal.value.reason == "shutdown"

    sink.let_go()
    await drained
    await receipt.settled()

    assert (sink.taken, sink.closed, setting.state) == (["a"], 1, "stopped")
    assert await spooled(tmp_path) == []


async def test_stopping_spools_what_its_deadline_leaves(tmp_path: Path) -> None:
    """It is confirmed, and the next start drains it."""
    sink = ScriptedSink("hang")
    setting = Setting(tmp_path, sink, patience=LONG)
    await setting.lane.open()
    receipts = [setting.offer(records(name)) for name in "abc"]

    await setting.lane.drain(0.01)
    await asyncio.gather(*(receipt.settled() for receipt in receipts))

    assert await spooled(tmp_path) == ["a", "b", "c"]


async def test_stopping_refuses_what_finds_no_room(tmp_path: Path) -> None:
    """Nothing acknowledged that is not safe, also in the last second."""
    setting = Setting(tmp_path, ScriptedSink("hang"), patience=LONG, spool=0)
    await setting.lane.open()
    receipt = setting.offer(records("a"))

    await setting.lane.drain(0.01)

    with pytest.raises(Backpressure):
        await receipt.settled()


class Breaking(ScriptedSink):
    """A sink whose first write ends as if it had been cancelled, and whose close fails as nobody foresaw."""

    async def write(self, batch: Records) -> Sequence[Rejection]:
        if not self.called:
            self.called.extend(batch.ids)
            raise asyncio.CancelledError
        return await super().write(batch)

    async def close(self) -> None:
        raise ZeroDivisionError("the script says that there is a bug")


async def test_what_is_cancelled_inside_a_sink_does_not_end_the_lane(tmp_path: Path) -> None:
    """Its write would otherwise never leave the window: the source's records would wait until the next start."""
    sink = Breaking()
    async with Setting(tmp_path, sink) as setting:
        with capture_logs():
            await setting.offer(records("a")).settled()
            await eventually(lambda: sink.taken == ["a"])
            await setting.offer(records("b")).settled()
            await eventually(lambda: setting.state == "delivering")

    assert sink.taken == ["a", "b"]


async def test_a_sink_that_fails_to_close_keeps_no_spool_open(tmp_path: Path) -> None:
    """The lanes are stopped side by side: one exception would take the other lanes' time to spool away."""
    setting = Setting(tmp_path, Breaking())
    await setting.lane.open()

    with capture_logs() as lines:
        await setting.lane.drain(0.1)

    assert [line["event"] for line in lines] == ["lane failed"]
    assert setting.state == "stopped"


async def test_a_letter_that_is_taken_again_ends_the_alarm(tmp_path: Path) -> None:
    """Whoever made the topic and had the letters offered again sees that it helped, without waiting for an event."""
    async with Setting(tmp_path, ScriptedSink("blocked"), patience=LONG) as setting:
        with capture_logs(), pytest.raises(SinkUnavailable):
            await setting.lane.take_again(records("a"))
        assert setting.lane._blocked

        await setting.lane.take_again(records("a"))

        assert not setting.lane._blocked
