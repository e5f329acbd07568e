"""Gathering: how many requests many writes make, and that each write hears of its own rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable
from collector.sinks.elasticsearch.asking import Line
from collector.sinks.elasticsearch.bulk import Bulks, Measure
from collector.sinks.elasticsearch.fates import Outcome
from tests.events.made import made, records

NEVER = 3600.0


class FarEnd:
    """Settles bulks: at once, or when ``gate`` opens. *bad*, *busy*: ids that are rejected, or kept."""

    def __init__(self, *, bad: Sequence[str] = (), busy: Sequence[str] = (), shut: bool = False) -> None:
        self.bulks: list[list[str]] = []
        self.under_way = self.most = 0
        self.bad, self.busy = set(bad), set(busy)
        self.gate, self.second = asyncio.Event(), asyncio.Event()
        if not shut:
            self.gate.set()

    async def settle(self, lines: Sequence[Line]) -> Outcome:
        ids = [content.decode() for content, _ in lines]
        self.bulks.append(ids)
        if len(self.bulks) == 2:
            self.second.set()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        return Outcome(
            rejected={row: "bad" for row, id in enumerate(ids) if id in self.bad},
            kept={row: "busy" for row, id in enumerate(ids) if id in self.busy},
            retry_after=3.0,
        )


def composed(refused: Sequence[str] = ()) -> Callable[[Records], Callable[[int], Line | str]]:
    def compose(records: Records) -> Callable[[int], Line | str]:
        def line(row: int) -> Line | str:
            return "too long" if records.ids[row] in refused else (records.ids[row].encode(), "stream")

        return line

    return compose


def bulks(end: FarEnd, *, size: int = 2**30, count: int = 1000, concurrency: int = 2, time: float = NEVER) -> Bulks:
    return Bulks(Measure(size, count, concurrency, time), composed(), end.settle, lambda: None)


def batch(first: int, number: int) -> Records:
    return records([made(n) for n in range(first, first + number)], form="winlogbeat")


async def settled() -> None:
    """Let the loop do what it can do now."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_writes_of_one_moment_share_a_request() -> None:
    """A request costs the same for one event and for hundreds."""
    end = FarEnd()
    many = bulks(end)

    await asyncio.gather(*(many.write(batch(n * 10, 10)) for n in range(20)))

    assert [len(bulk) for bulk in end.bulks] == [200]


async def test_a_lone_write_does_not_wait_for_company() -> None:
    """On a quiet night an event is found at once; the time of a bulk is for the busy."""
    end = FarEnd()

    assert await bulks(end, time=NEVER).write(batch(0, 3)) == []


async def test_what_arrives_while_another_is_under_way_waits_to_be_a_full_bulk() -> None:
    """Else one busy moment makes many small requests."""
    end = FarEnd(shut=True)
    many = bulks(end, count=10)
    writes = [asyncio.ensure_future(many.write(batch(0, 2)))]
    await settled()
    writes += [asyncio.ensure_future(many.write(batch(10 * n, 4))) for n in (1, 2)]
    await settled()
    assert len(end.bulks) == 1

    writes.append(asyncio.ensure_future(many.write(batch(30, 4))))
    await settled()
    assert [len(bulk) for bulk in end.bulks] == [2, 10]

    end.gate.set()
    assert await asyncio.gather(*writes) == [[]] * 4


async def test_a_bulk_that_is_not_full_leaves_after_its_time() -> None:
    """The first request may take long; the second slot is free meanwhile."""
    end = FarEnd(shut=True)
    many = bulks(end, count=10, time=0.01)
    first = asyncio.ensure_future(many.write(batch(0, 2)))
    await settled()
    second = asyncio.ensure_future(many.write(batch(10, 2)))
    await end.second.wait()

    end.gate.set()
    await asyncio.gather(first, second)


async def test_no_more_requests_than_agreed_are_under_way() -> None:
    """The number is the operator's, whatever arrives."""
    end = FarEnd(shut=True)
    many = bulks(end, count=5, concurrency=3)
    writes = [asyncio.ensure_future(many.write(batch(n * 100, 20))) for n in range(5)]
    await settled()
    assert end.under_way == 3

    end.gate.set()
    await asyncio.gather(*writes)
    assert end.most == 3
    assert sorted(len(bulk) for bulk in end.bulks) == [5] * 20


async def test_a_bulk_is_bounded_in_bytes_but_takes_at_least_one_row() -> None:
    """http.max_content_length is the server's; one large event must still go."""
    end = FarEnd()
    some = batch(0, 10)
    many = bulks(end, size=3 * some.ends[0] + 5)

    await many.write(some)
    assert max(len(bulk) for bulk in end.bulks) == 3

    await bulks(end, size=1).write(batch(20, 4))
    assert [len(bulk) for bulk in end.bulks[-4:]] == [1] * 4


async def test_each_write_hears_of_its_own_rows() -> None:
    """One bulk holds rows of many writes; a stranger's rejection would make a letter of a stored event."""
    some, others, third = batch(0, 4), batch(10, 4), batch(20, 4)
    end = FarEnd(bad=[some.ids[3], others.ids[0]], busy=[third.ids[2]])
    many = bulks(end)

    found = await asyncio.gather(*map(many.write, (some, others, third)), return_exceptions=True)

    assert found[:2] == [[Rejection(3, "bad")], [Rejection(0, "bad")]]
    assert isinstance(found[2], SinkUnavailable)
    assert found[2].retry_after == 3.0


async def test_rows_that_can_never_be_sent_are_rejections_without_a_request() -> None:
    """A document that cannot be made to fit stops nobody."""
    some, end = batch(0, 3), FarEnd()
    many = Bulks(Measure(2**20, 100, 1, NEVER), composed([some.ids[1]]), end.settle, lambda: None)

    assert await many.write(some) == [Rejection(1, "too long")]
    assert end.bulks == [[some.ids[0], some.ids[2]]]

    alone = batch(5, 2)
    nothing = Bulks(Measure(2**20, 100, 1, NEVER), composed(alone.ids), end.settle, lambda: None)
    assert [found.row for found in await nothing.write(alone)] == [0, 1]


async def test_when_nothing_is_taken_nobody_waits_for_the_same_answer() -> None:
    """A hundred waiting writes would each wait for a time-out of their own, and the lane for all of them."""
    ids = [id for n in range(10) for id in batch(n * 10, 10).ids]
    end = FarEnd(busy=ids, shut=True)
    many = bulks(end, count=10, concurrency=1)
    writes = [asyncio.ensure_future(many.write(batch(n * 10, 10))) for n in range(10)]
    await settled()
    end.gate.set()

    found = await asyncio.gather(*writes, return_exceptions=True)

    assert all(isinstance(one, SinkUnavailable) for one in found)
    assert len(end.bulks) == 1


async def test_after_trouble_the_next_write_is_asked_anew() -> None:
    """An outage ends."""
    some, end = batch(0, 5), FarEnd()
    end.busy = set(some.ids)
    many = bulks(end)
    with pytest.raises(SinkUnavailable):
        await many.write(some)

    end.busy.clear()

    assert await many.write(some) == []


async def test_a_cancelled_write_leaves_no_trace_and_disturbs_nobody() -> None:
    """Letters are replayed under a deadline; the lane's own writes go on."""
    end = FarEnd(shut=True)
    many = bulks(end, count=4, concurrency=1)
    first, second, third = (asyncio.ensure_future(many.write(batch(n * 10, 4))) for n in range(3))
    await settled()
    second.cancel()
    first.cancel()
    await settled()

    end.gate.set()
    assert await third == []
    assert await many.write(batch(50, 1)) == []
    assert [len(bulk) for bulk in end.bulks] == [4, 4, 1]


async def test_a_failure_nobody_foresaw_reaches_the_writes() -> None:
    """A write that never ends would hold the lane for ever."""

    async def broken(_lines: Sequence[Line]) -> Outcome:
        raise KeyError("a mistake")

    many = Bulks(Measure(2**20, 100, 1, NEVER), composed(), broken, lambda: None)

    with pytest.raises(KeyError):
        await many.write(batch(0, 1))


async def test_closing_finishes_what_was_begun() -> None:
    """What waited for company leaves at once."""
    end = FarEnd(shut=True)
    many = bulks(end, count=10)
    writes = [asyncio.ensure_future(many.write(batch(n * 10, 2))) for n in range(2)]
    await settled()
    closing = asyncio.ensure_future(many.close(NEVER))
    await settled()
    end.gate.set()

    await closing

    assert await asyncio.gather(*writes) == [[], []]
    with pytest.raises(SinkUnavailable):
        await many.write(batch(0, 1))


async def test_closing_does_not_wait_for_ever() -> None:
    """A far end that hangs must not hold up a shutdown; the records stay with the lane."""
    end = FarEnd(shut=True)
    many = bulks(end, count=2, concurrency=1)
    writes = [asyncio.ensure_future(many.write(batch(n * 10, 2))) for n in range(3)]
    await settled()

    await many.close(0.0)

    found = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(one, SinkUnavailable) for one in found)


async def test_a_learned_limit_makes_bulks_smaller() -> None:
    """The next bulk shall not be refused as too large again."""
    end, some = FarEnd(), batch(0, 8)
    many = Bulks(Measure(2**20, 100, 1, NEVER), composed(), end.settle, lambda: 2 * some.ends[0] + 5)

    await many.write(some)

    assert [len(bulk) for bulk in end.bulks] == [2] * 4


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), max_size=12),
    count=st.integers(1, 7),
    concurrency=st.integers(1, 3),
    chosen=st.sets(st.integers(0, 100)),
)
def test_every_row_is_sent_once_and_every_rejection_comes_home(
    sizes: list[int], count: int, concurrency: int, chosen: set[int]
) -> None:
    """However writes and bulks overlap."""

    async def play() -> None:
        writes = [batch(n * 10, size) for n, size in enumerate(sizes)]
        everything = [id for write in writes for id in write.ids]
        bad = {id for number, id in enumerate(everything) if number in chosen}
        end = FarEnd(bad=sorted(bad))
        many = bulks(end, count=count, concurrency=concurrency)

        found = await asyncio.gather(*map(many.write, writes))

        assert sorted(id for bulk in end.bulks for id in bulk) == sorted(everything)
        assert [[entry.row for entry in one] for one in found] == [
            [row for row, id in enumerate(write.ids) if id in bad] for write in writes
        ]
        assert (many._rows, many._bytes, len(many._waiting)) == (0, 0, 0)

    asyncio.run(play())
