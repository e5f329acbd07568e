"""The acknowledgement rule: what is promised, when, and what happens when it cannot be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.delivery.receiver import MOST_WAITING
from collector.errors import Backpressure
from collector.wsman.messages import Ack
from tests.delivery.conversation import OTHER, PC, Corridor, batch, bookmark
from tests.routing.scripted_sink import ScriptedSink, eventually


async def test_a_batch_is_acknowledged_when_the_sink_has_it_and_its_bookmark_is_saved(tmp_path: Path) -> None:
    """The whole promise in its simplest form."""
    corridor = Corridor(tmp_path, sink := ScriptedSink())

    assert await corridor.say(batch(1, 2, 3)) == Ack()

    assert len(sink.taken) == 3
    assert corridor.bookmark() == bookmark(3)


async def test_no_bookmark_is_saved_before_the_sink_has_the_records(tmp_path: Path) -> None:
    """Data before bookmark: the other order loses what was on its way when the power went."""
    corridor = Corridor(tmp_path, sink := ScriptedSink("hang"))
    corridor.lane._patience = 3600

    answer = asyncio.ensure_future(corridor.say(batch(1)))
    await eventually(lambda: bool(sink.called))
    assert corridor.bookmark() is None

    sink.let_go()
    assert await answer == Ack()
    assert corridor.bookmark() == bookmark(1)


async def test_a_sink_that_is_down_delays_nobody(tmp_path: Path) -> None:
    """The spool has it, so the source may forget it."""
    corridor = Corridor(tmp_path, ScriptedSink(*["down"] * 50))

    assert await corridor.say(batch(1)) == Ack()

    assert corridor.bookmark() == bookmark(1)
    assert corridor.lane.measure().spool_bytes > 0


async def test_a_lane_whose_spool_is_full_is_never_acknowledged(tmp_path: Path) -> None:
    """No Ack and no bookmark: Windows keeps the events and offers them again."""
    corridor = Corridor(tmp_path, ScriptedSink(*["down"] * 50), spool=10)

    with pytest.raises(Backpressure) as refusal:
        await corridor.say(batch(1))

    assert refusal.value.reason == "spool_full"
    assert corridor.bookmark() is None
    assert "spool_full" in corridor.presences.all()[0].last_refusal


async def test_a_store_that_cannot_save_the_bookmark_gets_no_acknowledgement(tmp_path: Path) -> None:
    """After a restart the collector would offer the old bookmark, and nobody could explain the duplicates."""
    corridor = Corridor(tmp_path, ScriptedSink())
    corridor.store.failing = True

    with pytest.raises(Backpressure):
        await corridor.say(batch(1))


async def test_nothing_is_accepted_while_nothing_can_be_promised(tmp_path: Path) -> None:
    """Disk full, or shutting down: not even a write to a sink is begun."""
    corridor = Corridor(tmp_path, sink := ScriptedSink())
    corridor.trouble = Backpressure("state", "the disk is full")

    with pytest.raises(Backpressure):
        await corridor.say(batch(1))

    assert sink.called == []


async def test_a_batch_that_is_not_safe_in_time_is_refused_before_the_source_gives_up(tmp_path: Path) -> None:
    """A clear 503 instead of a time-out: the source knows at once that it has to come again."""
    corridor = Corridor(tmp_path, sink := ScriptedSink("hang"))
    corridor.lane._patience = 3600

    with pytest.raises(Backpressure) as refusal:
        await corridor.say(batch(1, operation_timeout=0.05))

    assert refusal.value.reason == "deadline"
    assert corridor.bookmark() is None
    sink.let_go()


async def test_a_slow_old_batch_never_saves_its_bookmark_last(tmp_path: Path) -> None:
    """A source that reconnects sends the batch again while the old request still waits for its sink."""
    corridor = Corridor(tmp_path, sink := ScriptedSink("hang"))
    corridor.lane._patience = 3600

    old = asyncio.ensure_future(corridor.say(batch(1)))
    await eventually(lambda: len(sink.called) == 1)
    new = asyncio.ensure_future(corridor.say(batch(2)))
    other = asyncio.ensure_future(corridor.say(batch(7), OTHER))
    assert await other == Ack()  # another source does not wait for this one

    sink.let_go()
    assert [await old, await new] == [Ack(), Ack()]
    assert corridor.bookmark() == bookmark(2)


async def test_a_source_cannot_pile_up_batches(tmp_path: Path) -> None:
    """Each weighs as much as a body: thousands of connections that all send one would take all memory."""
    corridor = Corridor(tmp_path, sink := ScriptedSink("hang"))
    corridor.lane._patience = 3600
    held = [asyncio.ensure_future(corridor.say(batch(record))) for record in range(1, MOST_WAITING + 1)]
    await eventually(lambda: len(sink.called) == 1)

    with pytest.raises(Backpressure) as refusal:
        await corridor.say(batch(99))
    assert refusal.value.reason == "busy"
    assert await corridor.say(batch(1), OTHER) == Ack()

    sink.let_go()
    assert await asyncio.gather(*held) == [Ack()] * MOST_WAITING
    assert await corridor.say(batch(99)) == Ack()


async def test_a_batch_without_a_bookmark_keeps_the_old_one(tmp_path: Path) -> None:
    """protocol.md 14.2: store the events, acknowledge, keep what we have."""
    corridor = Corridor(tmp_path, sink := ScriptedSink())
    await corridor.say(batch(1))

    assert await corridor.say(batch(2, marked=False)) == Ack()

    assert len(sink.taken) == 2
    assert corridor.bookmark() == bookmark(1)


async def test_an_empty_batch_moves_the_bookmark_and_nothing_else(tmp_path: Path) -> None:
    """Nothing in the protocol forbids it, and refusing it would stop the source."""
    corridor = Corridor(tmp_path, sink := ScriptedSink())
    empty = batch(5)
    empty = type(empty)(empty.header, [], empty.bookmark)

    assert await corridor.say(empty) == Ack()

    assert sink.called == []
    assert corridor.bookmark() == bookmark(5)


async def test_bookmarks_belong_to_the_source_and_not_to_its_name_in_the_event(tmp_path: Path) -> None:
    """Computer is text that anybody can write; the key is proven."""
    corridor = Corridor(tmp_path, ScriptedSink())

    await corridor.say(batch(1), PC)
    await corridor.say(batch(9), OTHER)

    assert corridor.bookmark(PC) == bookmark(1)
    assert corridor.bookmark(OTHER) == bookmark(9)
