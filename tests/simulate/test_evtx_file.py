"""Event log files of Windows as a source of events: read with the real package, from files of our own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.simulate.evtx_file import read_evtx
from collector.simulate.fleet import Fleet, FleetOptions, run_fleet
from tests.simulate.evtx_writer import CHUNK, HEADER, evtx_file, forwarded, logged
from tests.simulate.scripted import ScriptedCollector, collecting


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_the_events_of_a_file_come_as_their_machine_would_have_forwarded_them(tmp_path: Path) -> None:
    """A collector that has read these has read Windows: byte style, braces, seven digits, and odd characters."""
    file = written(tmp_path / "s.evtx", evtx_file([logged(1), logged(2, text="a<b\r\n\x05 'c' \"d\" ]]>")]))

    assert list(read_evtx(file)) == [forwarded(1), forwarded(2, text="a&lt;b\r\n\x05 'c' \"d\" ]]&gt;")]


async def test_a_file_is_sent_with_the_meaning_that_events_has_too(tmp_path: Path) -> None:
    """contract.md 6: without --sources each Computer is a source; with it, they are dealt in turn and stamped."""
    file = written(tmp_path / "s.evtx", evtx_file([logged(1, "pc1"), logged(2, "PC2"), logged(3, "pc1")]))
    async with collecting(ScriptedCollector()) as collector:
        verdict = await run_fleet(FleetOptions(collector.url, evtx=file))
        assert verdict.ok
        assert sorted(collector.events()) == sorted([forwarded(1, "pc1"), forwarded(2, "PC2"), forwarded(3, "pc1")])

    async with collecting(ScriptedCollector()) as collector:
        fleet = Fleet(FleetOptions(collector.url, evtx=file, sources=2), SystemClock())
        verdict = await fleet.run()
        first, second = (source.name for source in fleet.sources.values())
        expected = [forwarded(1, first), forwarded(2, second), forwarded(3, first)]
        assert (verdict.ok, sorted(collector.events())) == (True, sorted(expected))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no EVTX file"),
        (b'{"xml": "<Event/>"}\n', "is no EVTX file"),
        (evtx_file([logged(1)])[:1000], "is cut short: 1000 bytes of a header of 4096"),
        (evtx_file([logged(1)])[:-1], f"is cut short: {HEADER + CHUNK - 1} bytes"),
        (evtx_file([logged(1)], chunks=2), f"and its header promises {HEADER + 2 * CHUNK}"),
        (evtx_file([]), "has no events in it"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    """Exit code 65. The package reads a file that was cut short as one with fewer events, and says nothing."""
    file = written(tmp_path / "s.evtx", content)

    with pytest.raises(OperatorError, match=words) as told:
        list(read_evtx(file))

    assert told.value.exit_code == 65
    assert "s.evtx" in str(told.value)


def test_damage_in_the_middle_is_told_with_the_number_of_good_events_before_it(tmp_path: Path) -> None:
    """A run over a part of a file that calls itself ok would be a lie."""
    content = bytearray(evtx_file([logged(1), logged(2)]))
    second = content.index(b"\x2a\x2a\x00\x00", HEADER + 512 + 4)
    content[second + 24 + 4] = 0x77  # the first token of the second record is none

    with pytest.raises(OperatorError, match="is damaged after 1 events") as told:
        list(read_evtx(written(tmp_path / "s.evtx", bytes(content))))

    assert told.value.exit_code == 65


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A typing mistake is no traceback."""
    with pytest.raises(OperatorError, match=r"none\.evtx: cannot be read: No such file"):
        list(read_evtx(tmp_path / "none.evtx"))


def test_records_are_taken_one_by_one(tmp_path: Path) -> None:
    """Logs have gigabytes; the reader must not hold one twice."""
    file = written(tmp_path / "s.evtx", evtx_file([logged(1)]))
    taken = []

    def parse(path: Path) -> Iterator[Mapping[str, object]]:
        for number in range(3):
            taken.append(number)
            yield {
                "data": f'<?xml version="1.0" encoding="utf-8"?>\n<Event>\n  <EventID>{number}</EventID>\n</Event>\n'
            }

    events = read_evtx(file, parse)

    assert next(events) == "<Event><EventID>0</EventID></Event>"
    assert taken == [0]


def test_events_come_from_one_file_only(tmp_path: Path) -> None:
    """Exit code 64: which of the two was meant?"""
    with pytest.raises(OperatorError, match="--events and --evtx") as told:
        FleetOptions("http://127.0.0.1/wsman", events=tmp_path / "a.jsonl", evtx=tmp_path / "a.evtx")

    assert told.value.exit_code == 64


async def test_without_the_package_a_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    """It is an extra, and few who install the collector will have it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; sys.modules['evtx'] = None; from collector.cli.main import main; main()",
        *("simulate", "--url", "http://127.0.0.1:9/wsman", "--evtx", str(tmp_path / "a.evtx")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()

    assert process.returncode == 78
    assert b"pip install 'wef-collector[evtx]'" in err
    assert b"Traceback" not in err
