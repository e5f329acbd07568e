"""What every store of state must do, whatever it is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.model import Bookmark, Key
from collector.store.base import Amount, LaneState, Letter, Presence, Store
from collector.store.sqlite import SqliteStore
from tests.contracts.memory_store import MemoryStore

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = SqliteStore.open(tmp_path / "state.sqlite") if request.param == "sqlite" else MemoryStore()
    yield made
    await made.close()


async def test_a_bookmark_is_there_as_soon_as_it_is_saved(store: Store) -> None:
    """The next Enumerate offers it; a stale one would replay events."""
    assert store.bookmark("pc01", "sub") is None

    await store.save_bookmark("pc01", "sub", Bookmark("<BookmarkList a='\u00e9'/>\n", NOW))

    assert store.bookmark("pc01", "sub") == Bookmark("<BookmarkList a='\u00e9'/>\n", NOW)


async def test_the_newest_bookmark_of_a_source_replaces_the_older_one(store: Store) -> None:
    """Two would leave it to chance where a source goes on."""
    await store.save_bookmark("pc01", "sub", Bookmark("1", NOW))
    await store.save_bookmark("pc01", "sub", Bookmark("2", NOW + timedelta(seconds=1)))

    assert list(store.bookmarks()) == [("pc01", "sub", Bookmark("2", NOW + timedelta(seconds=1)))]


async def test_bookmarks_of_other_sources_and_subscriptions_stay_apart(store: Store) -> None:
    """One source's position says nothing about another's, nor about its own in another subscription."""
    for source, subscription in (("pc02", "a"), ("pc01", "b"), ("pc01", "a")):
        await store.save_bookmark(source, subscription, Bookmark(f"{source} {subscription}"))

    assert store.bookmark("pc01", "b") == Bookmark("pc01 b", None)
    assert [found[:2] for found in store.bookmarks()] == [("pc01", "a"), ("pc01", "b"), ("pc02", "a")]


async def test_a_presence_is_kept_in_full_and_replaced_by_a_newer_one(store: Store) -> None:
    """People decide by it which source is silent, and since when."""
    first = Presence("pc01", "pc01$@corp", "10.0.0.1", "sub", NOW, NOW)
    newer = Presence("pc01", "pc01$@corp", "10.0.0.2", "sub", NOW, NOW, NOW, NOW, NOW, 7, 3, "GUID", "refused: why")
    other = Presence("pc01", "pc01$@corp", "10.0.0.1", "sub2", NOW, NOW)

    await store.save_presences([first, other])
    await store.save_presences([newer])

    assert list(store.presences()) == [newer, other]


async def test_the_saved_lanes_are_those_of_the_last_time(store: Store) -> None:
    """A sink that was taken out of the settings must not look alive for ever."""
    gone = LaneState("gone", "null", "delivering", 0, 0, None, 1, 0, "")
    stays = LaneState("stays", "file", "spooling", 5, 4096, NOW, 10, 2, "disk")

    await store.save_lanes([gone, stays])
    await store.save_lanes([stays])

    assert list(store.lanes()) == [stays]


async def test_a_letter_is_kept_once_however_often_it_is_rejected(store: Store) -> None:
    """A share that is offered again after a crash is rejected again; people must not count it twice."""
    letter = Letter("1f", "search", "mapper_parsing_exception", NOW, "event-1", b"\x00{}\n")
    later = Letter("1e", "search", "too large", NOW, "event-2", b"")

    await store.save_letters([letter, later])
    await store.save_letters([letter])

    assert list(store.letters()) == [letter, later]


def letter(number: int, sink: str = "search", **more: Any) -> Letter:
    return Letter(f"id{number}", sink, "why", NOW, f"event-{number}", b"x" * 10, **more)


async def test_a_letter_keeps_where_its_record_came_from(store: Store) -> None:
    """Offered again, a sink asks for it; names come from the network and may be no proper text."""
    kept = letter(1, format="raw", source="pc\ud800", subscription="sub", key=Key(2**63, "\ud800", "S", "P", "1", 4))

    await store.save_letters([kept])

    assert list(store.letters()) == [kept]


async def test_wanted_letters_are_given_oldest_first_within_bounds(store: Store) -> None:
    """A million of them must not lie in memory together; one that is too large alone is still given."""
    await store.save_letters([letter(number) for number in range(5)])

    await store.want_letters(["id4", "id1", "id2", "no such"])

    assert [found.id for found in store.wanted_letters(10, 1000)] == ["id1", "id2", "id4"]
    assert [found.id for found in store.wanted_letters(2, 1000)] == ["id1", "id2"]
    assert [found.id for found in store.wanted_letters(10, 25)] == ["id1", "id2"]
    assert [found.id for found in store.wanted_letters(10, 1)] == ["id1"]


async def test_a_wanted_letter_is_removed_or_returned_or_postponed(store: Store) -> None:
    """Whoever asked reads the answer in the letter: gone, a new reason, or a trouble."""
    await store.save_letters([letter(1), letter(2), letter(3), letter(4, "other")])
    await store.want_letters(["id1", "id2", "id3", "id4"])

    await store.remove_letters(["id1"])
    await store.save_letters([replace(letter(2), reason="still too large")])
    await store.postpone_letters("search", "it is down")

    assert list(store.letters()) == [
        replace(letter(2), reason="still too large"),
        replace(letter(3), trouble="it is down"),
        replace(letter(4, "other"), wanted=True),
    ]
    await store.want_letters(["id3"])
    assert [found.trouble for found in store.wanted_letters(1, 100)] == [""]


PLENTY = Amount(10, 1000)


def held(number: int, source: str = "pc01") -> Letter:
    return letter(number, quarantined=source)


async def test_a_quarantine_takes_all_letters_of_a_batch_or_none(store: Store) -> None:
    """Half a batch would be on disk and the source told to send it again: the bound would never be reached."""
    assert await store.quarantine([held(1), held(2)], Amount(2, 20)) is None

    assert await store.quarantine([held(3), held(4)], Amount(3, 1000)) == Amount(2, 20)
    assert await store.quarantine([held(3)], Amount(3, 29)) == Amount(2, 20)
    assert [found.id for found in store.letters()] == ["id1", "id2"]

    assert await store.quarantine([held(3)], Amount(3, 30)) is None
    assert list(store.letters()) == [held(1), held(2), held(3)]


async def test_each_source_has_a_quarantine_of_its_own_and_rejected_letters_have_none(store: Store) -> None:
    """The machine that lies is the one that waits; a sink that rejects is nobody's lie."""
    await store.save_letters([letter(number) for number in range(10, 15)])
    assert await store.quarantine([held(1)], Amount(1, 10)) is None

    assert await store.quarantine([held(2)], Amount(1, 10)) == Amount(1, 10)
    assert await store.quarantine([held(3, "pc\ud800")], Amount(1, 10)) is None
    assert await store.quarantine([held(4, "pc\ud800")], Amount(1, 10)) == Amount(1, 10)
    assert await store.quarantine([], Amount(0, 0)) is None


async def test_a_batch_that_comes_again_needs_no_more_room(store: Store) -> None:
    """After a crash between letters and bookmark the source sends it again; refused, it would be stuck for ever."""
    batch = [held(1), held(2), held(2)]

    for _ in range(2):
        assert await store.quarantine(batch, Amount(2, 20)) is None

    assert await store.quarantine([*batch, held(3)], Amount(2, 1000)) == Amount(2, 20)
    assert len(list(store.letters())) == 2


async def test_a_letter_that_goes_makes_room_and_one_that_comes_back_does_not(store: Store) -> None:
    """Replayed or deleted it is out of quarantine; rejected by its sink it is still there, with its new size."""
    await store.quarantine([held(1), held(2), held(3)], PLENTY)
    await store.want_letters(["id1", "id2", "id3"])
    wanted = store.wanted_letters(10, 1000)
    await store.remove_letters(["id1", "no such"])
    await store.save_letters([replace(wanted[1], reason="too large", record=b"x" * 4)])
    await store.postpone_letters("search", "it is down")

    assert await store.quarantine([held(4), held(5)], Amount(3, 1000)) == Amount(2, 14)
    assert await store.quarantine([held(4)], Amount(3, 24)) is None

    await store.remove_letters([found.id for found in store.letters()])
    assert await store.quarantine([held(5)], Amount(0, 0)) == Amount(0, 0)
