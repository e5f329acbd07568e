"""Claims about following the store."""

from __future__ import annotations

from pathlib import Path

from collector.events.filters import SearchQuery
from collector.events.store import EventStore, set_aside
from collector.events.tail import Tail
from tests.events.made import NOON, SECOND, made, records

ALL = SearchQuery()
DAY = 86_400 * SECOND


async def test_only_arrivals_are_news_and_each_once(tmp_path: Path) -> None:
    """Whoever watches sees every event that comes, also one of last week, and none twice."""
    store = EventStore(tmp_path)
    await store.write(records([made(1)]))
    tail = Tail(tmp_path, ALL)
    assert list(tail.news()) == []

    await store.write(records([made(2), made(3, NOON - 7 * DAY), made(4, 0), made(1)]))
    came = {found.id for found in tail.news()}
    again = list(tail.news())
    await store.write(records([made(5)]))
    later = [found.id for found in tail.news()]
    await store.close()

    assert came == {made(2).id, made(3, NOON - 7 * DAY).id, made(4, 0).id}
    assert again == []
    assert later == [made(5).id]
    assert list(tail.news()) == []


async def test_past_and_news_share_nothing_and_leave_out_nothing(tmp_path: Path) -> None:
    """An event that comes between the two is shown by exactly one of them."""
    store = EventStore(tmp_path)
    await store.write(records([made(1)]))
    tail = Tail(tmp_path, SearchQuery(limit=10))
    await store.write(records([made(2)]))

    past = [found.id for found in tail.past()]
    news = [found.id for found in tail.news()]
    await store.close()

    assert (past, news) == ([made(1).id], [made(2).id])


async def test_news_pass_the_same_filters(tmp_path: Path) -> None:
    """``tail --text`` with a hundred events a second is useless unless it filters."""
    store = EventStore(tmp_path)
    tail = Tail(tmp_path, SearchQuery(text=("needle",), event_id=((1, 9),)))

    hay = [made(n, event_id=n % 20) for n in range(100)]
    needle, decoy = made(500, event_id=5, message="a Needle"), made(501, event_id=50, message="a needle")
    await store.write(records([*hay, needle, decoy]))
    found = [each.id for each in tail.news()]
    await store.close()

    assert found == [needle.id]


async def test_a_file_that_begins_anew_is_followed(tmp_path: Path) -> None:
    """After damage the numbers of arrivals start at one again; what comes then is news."""
    store = EventStore(tmp_path)
    for number in range(5):
        await store.write(records([made(number)]))
    tail = Tail(tmp_path, ALL)
    await store.close()
    set_aside(tmp_path / "2026-03-10.sqlite", "for the test")

    store = EventStore(tmp_path)
    await store.write(records([made(9)]))
    found = [each.id for each in tail.news()]
    await store.close()

    assert found == [made(9).id]


async def test_a_store_that_is_made_later_is_followed(tmp_path: Path) -> None:
    """People start the tail first and the collector after."""
    folder = tmp_path / "events"
    tail = Tail(folder, ALL)
    assert list(tail.news()) == []

    store = EventStore(folder)
    await store.write(records([made(1)]))
    await store.close()

    assert [each.id for each in tail.news()] == [made(1).id]
