"""What every sink must do (``collector.sinks.base``), asked of each of them.

Adding a sink means adding a line to HARNESSES.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import zstandard

from collector.clock import ManualClock, SystemClock
from collector.events.filters import SearchQuery
from collector.events.search import search
from collector.sinks.base import Sink, Surroundings
from collector.sinks.elasticsearch.settings import ElasticsearchSettings
from collector.sinks.elasticsearch.sink import ElasticsearchSink
from collector.sinks.events import FOLDER, EventsSink
from collector.sinks.file import FileSink
from collector.sinks.frames import Frames
from collector.sinks.null import NullSink
from collector.sinks.stdout import StdoutSink
from collector.sinks.table import SINKS
from collector.sinks.template import PathTemplate
from tests.events.made import NOON, Made, made, records
from tests.sinks.elasticsearch.fake import FakeElasticsearch, InThread
from tests.sinks.kafka.scripted_engine import ScriptedEngine, sink_over


@dataclass
class Harness:
    """A sink, and the ids of the events that can be read at its far end (None: nobody can)."""

    sink: Sink
    ids: Callable[[], list[str]] | None
    once: bool = False
    close: Callable[[], None] | None = None


def events_harness(folder: Path) -> Harness:
    sink = EventsSink(folder / FOLDER, ManualClock(), age=1e9, size=2**40)
    return Harness(sink, lambda: [found.id for found in search(folder / FOLDER, SearchQuery())], once=True)


def file_harness(folder: Path) -> Harness:
    path = folder / "archive" / "all.jsonl"
    sink = FileSink(PathTemplate(str(path)), "winlogbeat", ManualClock())
    return Harness(sink, lambda: [] if not path.exists() else line_ids(path.read_bytes()))


def zstd_harness(folder: Path) -> Harness:
    path = folder / "archive" / "all.jsonl.zst"
    sink = FileSink(PathTemplate(str(path)), "winlogbeat", ManualClock(), content=Frames())
    return Harness(sink, lambda: [] if not path.exists() else line_ids(unpacked(path.read_bytes())))


def unpacked(content: bytes) -> bytes:
    """All frames as one text, as ``zstd -dc`` would; a frame that is not whole raises."""
    with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as reader:
        return reader.read()


def stdout_harness(_folder: Path) -> Harness:
    reader, writer = os.pipe()
    taken = bytearray()
    sink = StdoutSink("winlogbeat", writer)

    def drain() -> None:
        while piece := os.read(reader, 65536):
            taken.extend(piece)
        os.close(reader)

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()

    def ids() -> list[str]:
        os.close(writer)
        thread.join()
        return line_ids(bytes(taken))

    return Harness(sink, ids)


def null_harness(_folder: Path) -> Harness:
    return Harness(NullSink("winlogbeat"), None)


def elasticsearch_harness(_folder: Path) -> Harness:
    """Against a pretend Elasticsearch in a loop of its own; a search there sorts by time."""
    far_end = InThread(FakeElasticsearch())
    settings = ElasticsearchSettings.model_validate({"type": "elasticsearch", "hosts": [far_end.url]})
    return Harness(
        ElasticsearchSink("search", settings, SystemClock()), lambda: far_end.fake.ids, once=True, close=far_end.close
    )


def kafka_harness(_folder: Path) -> Harness:
    """Over an engine without a network; what clients do with a broker is in ``test_kafka_engines``."""
    engine = ScriptedEngine()
    sink = sink_over(engine)
    return Harness(sink, lambda: [dict(message.headers)["event-id"].decode() for message in engine.log])


HARNESSES = {
    "elasticsearch": elasticsearch_harness,
    "events": events_harness,
    "file": file_harness,
    "file zstd": zstd_harness,
    "kafka": kafka_harness,
    "stdout": stdout_harness,
    "null": null_harness,
}


def line_ids(lines: bytes) -> list[str]:
    """The ids in whole JSON lines; a line that is not whole raises."""
    assert not lines or lines.endswith(b"\n")
    return [orjson.loads(line)["wef"]["event_id"] for line in lines.splitlines()]


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    made_harness = HARNESSES[request.param](tmp_path)
    yield made_harness
    if made_harness.close is not None:
        made_harness.close()


def numbered(first: int, last: int) -> list[Made]:
    return [made(n, NOON + n) for n in range(first, last)]


def test_every_kind_of_sink_is_asked() -> None:
    """A sink in the table that skips the contract is a sink nobody checked."""
    assert {word.partition(" ")[0] for word in HARNESSES} == set(SINKS)


def test_every_kind_can_be_built_from_its_settings(tmp_path: Path) -> None:
    """The table is what app builds from; a row that does not fit its own settings fails at start."""
    needed: dict[str, dict[str, object]] = {
        "file": {"path": "a/{date}"},
        "elasticsearch": {"hosts": ["http://127.0.0.1:9200"]},
        "kafka": {"brokers": ["127.0.0.1:9092"], "topic": "windows"},
    }
    for word, kind in SINKS.items():
        settings = kind.settings.model_validate({"type": word, **needed.get(word, {})})
        sink = kind.build("name", settings, Surroundings(tmp_path, ManualClock()))
        assert sink.format == ("stored" if word == "events" else "winlogbeat")


async def test_what_write_confirmed_is_there(harness: Harness) -> None:
    """Windows forgets an event because write returned."""
    events = numbered(0, 20)
    await harness.sink.open()

    rejected = await harness.sink.write(records(events, form=harness.sink.format))
    await harness.sink.close()

    assert list(rejected) == []
    if harness.ids is not None:
        assert harness.ids() == [event.id for event in events]


async def test_writes_under_way_together_keep_their_order(harness: Harness) -> None:
    """A lane has several batches in flight; a later one must not overtake an earlier one."""
    events = numbered(0, 200)
    await harness.sink.open()

    await asyncio.gather(
        *(harness.sink.write(records(events[n : n + 5], form=harness.sink.format)) for n in range(0, 200, 5))
    )
    await harness.sink.close()

    if harness.ids is not None:
        assert harness.ids() == [event.id for event in events]


async def test_a_repetition_does_no_harm(harness: Harness) -> None:
    """What the lane offers again after a doubt is there at least once, and lines stay whole."""
    events = numbered(0, 10)
    await harness.sink.open()

    for _ in range(3):
        await harness.sink.write(records(events, form=harness.sink.format))
    await harness.sink.close()

    if harness.ids is not None:
        found = harness.ids()
        assert set(found) == {event.id for event in events}
        assert not harness.once or len(found) == len(events)


async def test_a_sink_can_be_closed_and_opened_again(harness: Harness) -> None:
    """A reload closes and opens; what was there before stays, and closing twice is no mistake."""
    for part in (numbered(0, 3), numbered(3, 6)):
        await harness.sink.open()
        await harness.sink.write(records(part, form=harness.sink.format))
        await harness.sink.close()
        await harness.sink.close()

    if harness.ids is not None:
        assert harness.ids() == [event.id for event in numbered(0, 6)]


async def test_nothing_to_write_is_written_at_once(harness: Harness) -> None:
    """An empty share is confirmed like any other."""
    await harness.sink.open()

    assert list(await harness.sink.write(records([], form=harness.sink.format))) == []

    await harness.sink.close()


CHILD = """
import asyncio, sys
from pathlib import Path
from tests.contracts.test_sinks import HARNESSES, numbered
from tests.events.made import records

async def main() -> None:
    sink = HARNESSES[sys.argv[1]](Path(sys.argv[2])).sink
    await sink.open()
    for start in range(0, 10_000_000, 10):
        await sink.write(records(numbered(start, start + 10), form=sink.format))
        print(start + 10, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("word", ["events", "file", "file zstd"])
def test_what_was_confirmed_survives_kill_9(word: str, tmp_path: Path) -> None:
    """No close, no flush, no exit handler: what write returned for is there, and the next process goes on."""
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, word, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    confirmed = 0
    while confirmed < 100:
        confirmed = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    confirmed = max([confirmed, *(int(line) for line in child.stdout.read().split() if line.isdigit())])
    child.stdout.close()
    child.wait()

    harness = HARNESSES[word](tmp_path)
    asyncio.run(_one_more(harness.sink))

    assert harness.ids is not None
    found = harness.ids()
    assert {event.id for event in numbered(0, confirmed)} <= set(found)
    assert made(-1).id in found


async def _one_more(sink: Sink) -> None:
    await sink.open()
    await sink.write(records([made(-1)], form=sink.format))
    await sink.close()
