"""Claims about searching: each filter against the truth computed in Python over the same events."""

from __future__ import annotations

import fnmatch
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.events.filters import SearchQuery, parse_query
from collector.events.search import _Block, count, search
from collector.events.store import EventStore
from tests.events.made import NOON, RECEIVED, SECOND, Made, crowd, made, records

EVENTS = [*crowd(400, seed=7), *(made(1000 + n, 0, computer="PC02.corp.example") for n in range(3))]
HOUR = 3600 * SECOND


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A store with EVENTS, delivered in batches of 37."""
    store = EventStore(tmp_path)
    for start in range(0, len(EVENTS), 37):
        await store.write(records(EVENTS[start : start + 37]))
    await store.close()
    return tmp_path


def time_of(event: Made) -> int:
    return event.key.time or NOON


def like(text: str, *patterns: str) -> bool:
    return any(fnmatch.fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def data(event: Made, name: str) -> str:
    value: str = event.document["winlog"]["event_data"].get(name, "")
    return value


CASES: list[tuple[dict[str, object], Callable[[Made], bool]]] = [
    ({}, lambda e: True),
    ({"times": ("2026-03-09T06:00:00Z", None)}, lambda e: time_of(e) >= NOON - 30 * HOUR),
    ({"times": (None, "2026-03-09T06:00:00Z")}, lambda e: time_of(e) <= NOON - 30 * HOUR),
    ({"times": ("2d", "1d")}, lambda e: NOON - 48 * HOUR <= time_of(e) <= NOON - 24 * HOUR),
    ({"names": {"computer": ["pc02.CORP.example"]}}, lambda e: like(e.key.computer, "pc02.corp.example")),
    ({"names": {"computer": ["pc*,web-?"]}}, lambda e: like(e.key.computer, "pc*", "web-?")),
    ({"names": {"computer": ["nobody"]}}, lambda e: False),
    ({"names": {"channel": ["*sysmon*", "system"]}}, lambda e: like(e.key.channel, "*sysmon*", "system")),
    ({"names": {"provider": ["service*"]}}, lambda e: like(e.key.provider, "service*")),
    ({"numbers": {"event_id": ["4624"]}}, lambda e: e.key.event_id == "4624"),
    ({"numbers": {"event_id": ["1,4720-4729"]}}, lambda e: e.key.event_id in {"1", "4720", "4729"}),
    ({"numbers": {"level": ["error"]}}, lambda e: e.key.level == 2),
    ({"numbers": {"level": ["information,1-2"]}}, lambda e: e.key.level in {0, 1, 2, 4}),
    ({"names": {"user": ["ALICE"]}}, lambda e: data(e, "TargetUserName") == "alice"),
    ({"names": {"user": ["corp\\b*"]}}, lambda e: data(e, "TargetUserName") == "Bob"),
    ({"names": {"user": ["S-1-5-21-*"]}}, lambda e: data(e, "SubjectUserSid").startswith("S-1-5-21-")),
    (
        {"names": {"user": ["alice,S-1-5-18"]}},
        lambda e: data(e, "TargetUserName") == "alice" or data(e, "SubjectUserSid") == "S-1-5-18",
    ),
    ({"field": ["winlog.event_data.LogonType=10"]}, lambda e: data(e, "LogonType") == "10"),
    (
        {"field": ["logontype=1*", "message=*dienst*"]},
        lambda e: data(e, "LogonType").startswith("1") and "Dienst" in e.document["message"],
    ),
    ({"field": ["winlog.process.pid=7"]}, lambda e: e.document["winlog"]["process"]["pid"] == 7),
    ({"field": ["winlog.nothing=*"]}, lambda e: False),
    ({"text": ["ACCOUNT logged"]}, lambda e: e.document["message"] == "An account was logged on"),
    ({"text": ["L\u00c4UFT"]}, lambda e: "l\u00e4uft" in e.document["message"]),
    ({"text": ['C:\\windows\\"QUOTED"']}, lambda e: "quoted" in e.document["message"]),
    ({"text": ["message"]}, lambda e: False),  # the name of a field is no value
    (
        {"text": ["alice"], "numbers": {"event_id": ["4625"]}, "names": {"computer": ["dc01*"]}, "times": ("3d", None)},
        lambda e: data(e, "TargetUserName") == "alice" and e.key.event_id == "4625"
        and e.key.computer.startswith("dc01") and time_of(e) >= NOON - 72 * HOUR,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "true"), CASES, ids=[str(asked) for asked, _ in CASES])
def test_a_filter_finds_exactly_what_it_says(
    folder: Path, asked: dict[str, object], true: Callable[[Made], bool]
) -> None:
    """Too little hides an attack, too much hides it as well; the order is that of @timestamp, then the id."""
    query: SearchQuery = parse_query(RECEIVED, **asked)  # type: ignore[arg-type]

    expected = [e.id for e in sorted(EVENTS, key=lambda e: (time_of(e), e.id)) if true(e)]
    assert [found.id for found in search(folder, query)] == expected
    assert count(folder, query) == len(expected)


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("asked", [{}, {"text": ["alice"]}, {"names": {"computer": ["pc02*"]}}])
def test_a_limit_gives_the_newest_in_order(folder: Path, limit: int, asked: dict[str, object]) -> None:
    """The newest N are what is looked at first; they are printed oldest first like everything else."""
    everything = [found.id for found in search(folder, parse_query(RECEIVED, **asked))]  # type: ignore[arg-type]

    newest = [found.id for found in search(folder, parse_query(RECEIVED, limit=limit, **asked))]  # type: ignore[arg-type]

    assert newest == everything[-limit:]


async def test_search_sees_what_a_running_writer_has_confirmed(tmp_path: Path) -> None:
    """A search beside the running collector neither waits for it nor misses what was acknowledged."""
    store = EventStore(tmp_path)
    first, second = made(1), made(2, NOON + 1)
    await store.write(records([first]))
    running: Iterator[object] = iter(search(tmp_path, SearchQuery()))
    assert next(running)

    await store.write(records([second]))

    assert [found.id for found in search(tmp_path, SearchQuery())] == [first.id, second.id]
    await store.close()


def test_an_empty_or_missing_store_holds_nothing(tmp_path: Path) -> None:
    """A search before the first event is an answer, not an error, and leaves no folder behind."""
    assert list(search(tmp_path / "events", SearchQuery())) == []
    assert not (tmp_path / "events").exists()


async def test_memory_does_not_grow_with_the_answer(tmp_path: Path) -> None:
    """``--limit 0`` over everything streams: a page of rows and some blocks, however many events there are."""
    store = EventStore(tmp_path)
    await store.write(records([made(n, NOON + n, message="y" * 500) for n in range(3000)]))
    await store.close()
    taken = search(tmp_path, SearchQuery())

    first = next(taken)

    assert first.id == made(0, NOON, message="y" * 500).id
    taken.close()  # an answer nobody reads to the end lets go of its files


def test_a_block_of_empty_lines_is_charged_for_what_it_holds() -> None:
    """Where duplicates came with news most lines are empty: what is known of them outweighs them a hundredfold."""
    block = _Block(b"\n" * 4095)
    assert block.line(4095) == b""
    assert block._starts is not None
    held = sys.getsizeof(block.body) + sys.getsizeof(block._starts)
    assert held <= block.size


def damage_documents(folder: Path) -> None:
    base = sqlite3.connect(next(folder.glob("*.sqlite")), isolation_level=None)
    base.execute("update blocks set documents = x'00'")
    base.close()


@pytest.mark.parametrize(
    "query", [SearchQuery(field=(("message", "?*"),)), SearchQuery(user=("?*",)), SearchQuery(text=("é",))]
)
async def test_a_damaged_block_is_passed_over_whatever_is_asked(tmp_path: Path, query: SearchQuery) -> None:
    """What no look at the bytes can rule out is asked of each document, and here there is none."""
    store = EventStore(tmp_path)
    await store.write(records([made(1)]))
    await store.close()
    damage_documents(tmp_path)
    said: list[str] = []

    assert not list(search(tmp_path, query, report=said.append))
    assert "does not unpack" in said[0]
