"""Letters offered again: gone only when the sink has them, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from collector.errors import Backpressure
from collector.model import Key, Records
from collector.routing.letters import letters_of
from collector.routing.replay import MOST, Direct, Replay, records_of
from collector.sinks.base import Rejection, SinkUnavailable
from collector.store.base import Letter
from tests.contracts.memory_store import MemoryStore
from tests.routing.lanes import LONG, Setting
from tests.routing.scripted_sink import RECEIVED, ScriptedSink, eventually, records


class Remembering(ScriptedSink):
    """Also keeps the records themselves."""

    def __init__(self, *script: str) -> None:
        super().__init__(*script)
        self.records: list[Records] = []

    async def write(self, records: Records) -> Sequence[Rejection]:
        self.records.append(records)
        return await super().write(records)


async def wanted(store: MemoryStore, *letters: Letter) -> None:
    await store.save_letters(letters)
    await store.want_letters([letter.id for letter in letters])


def letters(*ids: str, sink: str = "sink") -> list[Letter]:
    return letters_of(sink, records(*ids), [Rejection(row, "mapping") for row in range(len(ids))])


def left(store: MemoryStore) -> list[tuple[str, str, bool, str]]:
    return [(letter.event_id, letter.reason, letter.wanted, letter.trouble) for letter in store.letters()]


async def test_a_letter_becomes_the_record_that_it_was() -> None:
    """A sink sees no difference: its path template, its keys and its ids ask for all of it."""
    store, sink = MemoryStore(), Remembering()
    await wanted(store, *letters("a", "b", "c"))

    assert await Replay(store, {"sink": Direct(sink, LONG)}).round()

    assert sink.records == [records("a", "b", "c")]
    assert left(store) == []
    assert not await Replay(store, {"sink": Direct(sink, LONG)}).round()


async def test_only_wanted_letters_are_offered() -> None:
    """The others were looked at by nobody yet."""
    store, sink = MemoryStore(), ScriptedSink()
    await store.save_letters(letters("a", "b"))
    await store.want_letters([letters("a", "b")[1].id])

    await Replay(store, {"sink": Direct(sink, LONG)}).round()

    assert sink.taken == ["b"]
    assert left(store) == [("a", "mapping", False, "")]


async def test_what_is_rejected_again_is_the_same_letter_with_the_new_reason() -> None:
    """People see that it came back, and why now; its neighbours are delivered."""
    store, sink = MemoryStore(), ScriptedSink("reject")
    await wanted(store, *letters("a", "b"))

    await Replay(store, {"sink": Direct(sink, LONG)}).round()

    assert left(store) == [("a", "the script rejects it", False, "")]
    assert [letter.id for letter in store.letters()] == [letters("a")[0].id]


async def test_a_sink_that_is_down_is_asked_once_and_its_letters_stay() -> None:
    """Whoever asked is told; nothing hammers at a sink behind their back."""
    store, sink, other = MemoryStore(), ScriptedSink("down"), ScriptedSink()
    await wanted(store, *letters("a"), *letters("b", sink="other"))
    replay = Replay(store, {"sink": Direct(sink, LONG), "other": Direct(other, LONG)})

    while await replay.round():
        pass

    assert left(store) == [("a", "mapping", False, "the script says that it is down")]
    assert (sink.called, other.taken) == (["a"], ["b"])


async def test_a_silent_sink_is_unavailable_after_its_patience() -> None:
    """A command that waits for ever tells nobody anything."""
    store, sink = MemoryStore(), ScriptedSink("hang")
    await wanted(store, *letters("a"))

    await Replay(store, {"sink": Direct(sink, 0.01)}).round()

    assert left(store) == [("a", "mapping", False, "no answer within 0.01 s")]


async def test_a_store_that_fails_is_found_out_before_anything_is_offered() -> None:
    """Else a full disk would write the same letters into the archive twice a second."""
    store, sink = MemoryStore(), ScriptedSink()
    await wanted(store, *letters("a"))
    store.failing = True

    with pytest.raises(Backpressure):
        await Replay(store, {"sink": Direct(sink, LONG)}).round()

    assert sink.called == []
    assert left(store) == [("a", "mapping", True, "")]


async def test_whoever_dies_between_the_sink_and_the_store_leaves_a_letter_that_is_still_wanted() -> None:
    """The next collector offers it again: twice is harmless, never is not."""
    store, sink = MemoryStore(), ScriptedSink("hang")
    await wanted(store, *letters("a"))
    round_ = asyncio.create_task(Replay(store, {"sink": Direct(sink, LONG)}).round())
    await eventually(lambda: sink.called == ["a"])

    round_.cancel()
    await asyncio.gather(round_, return_exceptions=True)

    assert left(store) == [("a", "mapping", True, "")]


async def test_a_record_in_another_format_is_not_written_into_the_sink() -> None:
    """The settings were changed since; XML in the middle of JSON lines would spoil the file."""
    store, sink = MemoryStore(), ScriptedSink()
    (letter,) = letters("a")
    await wanted(store, replace(letter, format="winlogbeat"))

    await Replay(store, {"sink": Direct(sink, LONG)}).round()

    assert sink.called == []
    assert left(store) == [("a", "the record is spelled in winlogbeat, and the sink now takes raw", False, "")]


async def test_letters_of_an_older_version_are_offered_with_an_unknown_key() -> None:
    """They hold the record and nothing else; that is no reason to keep it from its sink."""
    store, sink = MemoryStore(), Remembering()
    await wanted(store, Letter("1", "sink", "why", RECEIVED, "a", b"<Event/>"))

    await Replay(store, {"sink": Direct(sink, LONG)}).round()

    assert sink.records[0].block == b"<Event/>\n"
    assert list(sink.records[0].keys) == [Key(0, "", "", "", "", 0)]


async def test_letters_of_a_sink_that_is_gone_stay() -> None:
    """A name was changed in the settings; nothing may be dropped for it."""
    store = MemoryStore()
    await wanted(store, *letters("a"))

    await Replay(store, {}).round()

    assert left(store) == [("a", "mapping", False, "the settings of the running collector have no sink sink")]


async def test_many_letters_go_in_rounds() -> None:
    """A hundred thousand letters must not lie in memory together."""
    store, sink = MemoryStore(), ScriptedSink()
    await wanted(store, *letters(*(f"{number:04}" for number in range(MOST + 1))))
    replay = Replay(store, {"sink": Direct(sink, LONG)})

    await replay.round()
    assert len(sink.taken) == MOST
    await replay.round()

    assert sink.taken == sorted(sink.taken)
    assert left(store) == []


async def test_a_lane_hands_letters_to_its_sink_and_counts_them(tmp_path: Path) -> None:
    """Past the queue: what is spooled would look delivered, and be a letter again later."""
    sink = ScriptedSink("reject")
    async with Setting(tmp_path, sink, patience=LONG) as setting:
        rejections = await setting.lane.take_again(records("a", "b"))

        assert (rejections, sink.taken) == ([Rejection(0, "the script rejects it")], ["b"])
        assert setting.lane.measure().delivered == 1
        assert list(setting.store.letters()) == []


@pytest.mark.parametrize("word", ["down", "bug", "hang"])
async def test_a_lane_that_cannot_deliver_says_so_and_keeps_nothing(tmp_path: Path, word: str) -> None:
    """Whatever the sink does, the letters are still letters and the lane lives."""
    sink = ScriptedSink(word)
    async with Setting(tmp_path, sink) as setting:
        with pytest.raises(SinkUnavailable):
            await setting.lane.take_again(records("a"))

        assert setting.spool.shares == 0
        await setting.offer(records("b")).settled()


async def test_a_lane_that_spools_does_not_ask_its_sink_for_letters(tmp_path: Path) -> None:
    """It knows that the sink is down, and older shares come first."""
    sink = ScriptedSink("down", "hang")
    async with Setting(tmp_path, sink) as setting:
        await setting.offer(records("a")).settled()

        with pytest.raises(SinkUnavailable, match="the script says that it is down"):
            await setting.lane.take_again(records("b"))

        assert "b" not in sink.called


def test_records_of_letters_end_where_they_should() -> None:
    """Sinks cut the block by its ends."""
    found = records_of([replace(letter, record=letter.event_id.encode()) for letter in letters("a", "bcd")], "raw")

    assert [found.record(row) for row in range(2)] == [b"a", b"bcd"]
