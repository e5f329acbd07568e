"""What every store of state must do, whatever it is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.model import Bookmark
from collector.store.base import LaneState, Letter, Presence, Store
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
