"""Claims about ``wef events``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import orjson
import pytest

from collector.cli.main import main
from collector.events.store import EventStore
from tests.events.made import NOON, Made, made, records

EVENTS = [made(n, NOON + n, event_id=4624 + n % 2) for n in range(6)]


def stored(state: Path, events: list[Made]) -> None:
    async def write() -> None:
        store = EventStore(state / "events")
        await store.write(records(events))
        await store.close()

    asyncio.run(write())


def run(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of ``wef events ...``."""
    with pytest.raises(SystemExit) as left:
        main(["events", *arguments])
    out, err = capfdbinary.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, out, err


def test_search_prints_stored_documents_as_lines(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What scripts and jq read: the document exactly as stored, in order."""
    stored(tmp_path, EVENTS)

    code, out, err = run(capfdbinary, "search", "--state", str(tmp_path), "--event-id", "4625", "--json")

    assert (code, err) == (0, b"")
    assert out.splitlines() == [orjson.dumps(event.document) for event in EVENTS[1::2]]


def test_search_finds_the_state_by_the_settings(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without --state the settings name it."""
    (tmp_path / "collector.toml").write_text('state = "here"\n')
    stored(tmp_path / "here", EVENTS)

    code, out, _ = run(capfdbinary, "search", "--config", str(tmp_path / "collector.toml"), "--limit", "1")

    assert (code, orjson.loads(out)) == (0, EVENTS[-1].document)


def test_xml_is_printed_as_received(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The evidence itself: every byte of it, and LF."""
    stored(tmp_path, EVENTS[:1])

    plain = run(capfdbinary, "search", "--state", str(tmp_path), "--format", "xml")[1]
    rows = run(capfdbinary, "search", "--state", str(tmp_path), "--format", "xml", "--json")[1]

    assert plain == EVENTS[0].xml.encode() + b"\n"
    assert orjson.loads(rows) == {"id": EVENTS[0].id, "xml": EVENTS[0].xml}


def test_nothing_found_is_an_answer(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Exit code 0 and no line; also before the first event ever came."""
    assert run(capfdbinary, "search", "--state", str(tmp_path), "--computer", "x") == (0, b"", b"")


@pytest.mark.parametrize(
    "arguments", [["--since", "soon"], ["--event-id", "x"], ["--level", "loud"], ["--field", "x"], ["--limit", "-1"]]
)
def test_a_filter_that_means_nothing_is_refused(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], arguments: list[str]
) -> None:
    """Exit code 64 with a sentence that quotes it; never an answer to another question."""
    code, out, err = run(capfdbinary, "search", "--state", str(tmp_path), *arguments)

    assert (code, out) == (64, b"")
    assert arguments[1].encode() in err


def test_a_damaged_file_is_named_and_the_rest_printed(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Nobody may take an incomplete answer for a complete one."""
    stored(tmp_path, [made(1), made(2, NOON - 86_400 * 10**9)])
    (tmp_path / "events" / "2026-03-09.sqlite").write_bytes(b"noise" * 1000)

    code, out, err = run(capfdbinary, "search", "--state", str(tmp_path))

    assert (code, out.count(b"\n")) == (0, 1)
    assert b"2026-03-09.sqlite" in err


def test_tail_prints_what_is_there_and_then_what_comes(tmp_path: Path) -> None:
    """With --limit first the newest, then arrivals, until the reader ends it."""
    stored(tmp_path, EVENTS)
    command = [sys.executable, "-m", "collector", "events", "tail", "--state", str(tmp_path), "--limit", "1"]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2], env={**os.environ, "WEF_CONFIG": ""}
    )
    assert child.stdout is not None
    try:
        first = next_id(child.stdout)
        stored(tmp_path, [made(100)])
        second = next_id(child.stdout)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()

    assert (first, second) == (EVENTS[-1].id, made(100).id)


def next_id(lines: IO[bytes]) -> str:
    identifier: str = orjson.loads(lines.readline())["wef"]["event_id"]
    return identifier
