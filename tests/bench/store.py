"""How fast the embedded event store takes a month of events, and how fast it is searched.

``python -m tests.bench store [--events N] [--days N] [--folder PATH]``. Written through the sink as a lane does it,
synced; searched as a user does it, with ``wef events search``: *cold* is a new process whose files the system has
forgotten, *new* a new process, *warm* the second time within one. What the command itself takes to start is shown
apart and taken off. Ten million events take about 3 GB; since the searches of a day ask one file, ``--days 2`` shows
what they cost in as dense a store. A folder that was not named is removed at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random

from collector.cli.serve import seldom_look_for_cycles
from collector.clock import SystemClock
from collector.events.filters import parse_query
from collector.events.search import search
from collector.formats import spell
from collector.model import Records
from collector.sinks.events import FOLDER, EventsSink
from tests.bench.measure import Run, measured, measured_here
from tests.bench.month import BATCH, DAYS, FIRST_DAY, ROLES, Month, harvests, machine

AT_ONCE = 64
"""Batches under way."""
_MADE_AT_ONCE = 200
"""Batches made between two measured stretches: making them is not the store's work."""
_SPELLED = 200
WRITE_GOAL = 10.0
"""Microseconds of CPU that an event may cost the store."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One search of a *kind*: the options of ``wef events search``."""

    kind: str
    options: tuple[str, ...]


GOALS = {"computer and hour": 0.2, "event id and day": 1.0, "text over a day": 5.0, "newest 100 with a word": 1.0}
"""Seconds, and the order of the table."""


async def write(folder: Path, events: int, days: int) -> Run:
    """All events of a month through the sink, every batch awaited until it is synced."""
    sink = EventsSink(folder / FOLDER, SystemClock(), age=10 * 365 * 86_400.0, size=2**50)
    await sink.open()
    room, coming = asyncio.Semaphore(AT_ONCE), Month(events, days=days).batches()
    total = Run(0, 0.0, 0.0)

    async def put(records: Records) -> None:
        async with room:
            assert not await sink.write(records)

    while waiting := list(islice(coming, _MADE_AT_ONCE)):
        run = await measured_here(len(waiting) * BATCH, lambda: asyncio.gather(*map(put, waiting)))
        total = Run(total.records + run.records, total.seconds + run.seconds, total.cpu + run.cpu)
    await sink.close()
    return total


def spelled() -> Run:
    """What the format ``stored`` costs beyond the document, which is made for other sinks as well."""
    made = [one for one, _ in harvests(_SPELLED)]
    for one in made:
        spell(one, "winlogbeat")
    return measured(_SPELLED * BATCH, lambda: [spell(one, "stored") for one in made])  # type: ignore[arg-type]


def asks(number: int, days: int) -> list[Ask]:
    """*number* searches of each kind, the same every time."""
    random = Random(number)
    found = []
    for _ in range(number):
        _, short, machines = random.choice(ROLES)
        hour = FIRST_DAY + timedelta(hours=random.randrange(days * 24))
        day = FIRST_DAY + timedelta(days=random.randrange(days))
        a_day = _span(day, timedelta(days=1))
        computer = machine(short, random.randrange(machines))
        event_id = random.choice(("4624", "4625", "4688", "1", "7036", "4104"))
        word = random.choice(("user123", "svc-backup", "10.2.17.", "powershell.exe", "nobody-has-this"))
        found += [
            Ask("computer and hour", ("--computer", computer, *_span(hour, timedelta(hours=1)))),
            Ask("event id and day", ("--event-id", event_id, *a_day)),
            Ask("text over a day", ("--text", word, *a_day)),
            Ask("newest 100 with a word", ("--text", word, "--limit", "100", *a_day)),
        ]
    return sorted(found, key=lambda ask: list(GOALS).index(ask.kind))


def _span(start: datetime, length: timedelta) -> tuple[str, ...]:
    end = start + length - timedelta(microseconds=1)
    return ("--since", f"{start:%Y-%m-%dT%H:%M:%S}Z", "--until", f"{end:%Y-%m-%dT%H:%M:%S.%f}Z")


def commanded(folder: Path, options: Sequence[str]) -> float:
    """Seconds of ``wef events search`` as a process of its own, its answer thrown away."""
    run = (sys.executable, "-m", "collector", "events", "search", "--state", str(folder), *options)
    begun = time.perf_counter()
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def forget(folder: Path) -> None:
    """Ask the system to drop what it remembers of the files."""
    for path in folder.rglob("*.sqlite"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def answered(folder: Path, ask: Ask) -> tuple[int, float]:
    """Answers and seconds of the same search within this process."""
    given = dict(zip(ask.options[::2], ask.options[1::2], strict=True))
    query = parse_query(
        datetime(2026, 2, 1, tzinfo=UTC),
        times=(given.get("--since"), given.get("--until")),
        names={"computer": [given[name] for name in ("--computer",) if name in given]},
        numbers={"event_id": [given[name] for name in ("--event-id",) if name in given]},
        text=[given[name] for name in ("--text",) if name in given],
        limit=int(given.get("--limit", 0)),
    )
    begun = time.perf_counter()
    number = sum(1 for _ in search(folder / FOLDER, query))
    return number, time.perf_counter() - begun


def searched(folder: Path, number: int, days: int) -> bool:
    """Prints the table of searches; whether every median of the cold ones is within its goal."""
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    start = statistics.median(commanded(empty, ()) for _ in range(5))
    print(f"start of the command {start:.3f} s, taken off below")
    print(
        f"{'search, seconds':26} {'answers':>16} {'cold':>7} {'p99':>7} {'new':>7} {'p99':>7} {'warm':>7} {'goal':>5}"
    )
    met = True
    questions = asks(number, days)
    for kind, goal in GOALS.items():
        rows = [_times(folder, ask, start) for ask in questions if ask.kind == kind]
        answers = [row[0] for row in rows]
        cold, new, warm = ([row[column] for row in rows] for column in (1, 2, 3))
        middle = statistics.median(cold)
        met = met and middle < goal
        shown = f"{min(answers)}-{max(answers)}"
        print(
            f"{kind:26} {shown:>16} {middle:7.3f} {_p99(cold):7.3f} {statistics.median(new):7.3f} {_p99(new):7.3f} "
            f"{statistics.median(warm):7.3f} {goal:5.1f}",
            flush=True,
        )
    return met


def _times(folder: Path, ask: Ask, start: float) -> tuple[int, float, float, float]:
    forget(folder)
    cold, new = commanded(folder, ask.options) - start, commanded(folder, ask.options) - start
    answers, _ = answered(folder, ask)
    return answers, cold, new, answered(folder, ask)[1]


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, len(times) * 99 // 100)]


def compare(folder: Path, events: int, number: int, days: int) -> bool:
    """Prints both tables."""
    seldom_look_for_cycles()
    met = True
    if not (folder / FOLDER).exists():
        spelling, run = spelled(), asyncio.run(write(folder, events, days))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        cost = run.cpu / run.records * 1e6
        print(f"{run.records} events over {days} days: {run.rate:,.0f} events/s, {size / run.records:.0f} bytes each")
        print(f"CPU us/event: spelling {spelling.cpu / spelling.records * 1e6:.2f}, store {cost:.2f}", flush=True)
        met = cost <= WRITE_GOAL
    return searched(folder, number, days) and met if number else met


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench store", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=DAYS, help="make only the first so many days of the month")
    parser.add_argument("--searches", type=int, default=7, help="of each kind")
    parser.add_argument("--folder", type=Path, help="kept; when it holds a store, that one is searched")
    asked = parser.parse_args(arguments)
    if asked.folder is not None:
        asked.folder.mkdir(parents=True, exist_ok=True)
        met = compare(asked.folder, asked.events, asked.searches, asked.days)
    else:
        with tempfile.TemporaryDirectory() as place:
            met = compare(Path(place), asked.events, asked.searches, asked.days)
    print(f"goals {'met' if met else 'missed'}")
    return 0 if met else 1
