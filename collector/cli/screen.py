"""The demo's screen: sources, rate, busiest channels, newest events; a line now and then without a terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections import Counter, deque
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from collector.cli.output import printable
from collector.events.filters import SearchQuery
from collector.events.tail import Tail
from collector.simulate.fleet import Progress

LOOK = 0.5  # seconds between two looks into the store
LINE = 5.0  # seconds between two lines where there is no terminal
NEWEST, BUSIEST = 8, 6
SPAN = 10  # looks over which the rate is averaged


def called() -> str:
    """How this program can be called again from here: by its name if that is on the PATH, else by its path."""
    return "wef" if shutil.which("wef") else shlex.quote(str(Path(sys.argv[0]).absolute()))


class Screen:
    """Shows what the store holds as it arrives. ``progress`` is called often and looks seldom."""

    def __init__(self, folder: Path, events: Path) -> None:
        self._folder = folder
        self._tail = Tail(events, SearchQuery())
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._channels: Counter[str] = Counter()
        self._newest: deque[dict[str, Any]] = deque(maxlen=NEWEST)
        self._samples: deque[tuple[float, int]] = deque(maxlen=SPAN)
        self._stored = 0
        self._next_look = self._next_line = 0.0

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def progress(self, progress: Progress) -> None:
        """Told by the fleet how it goes."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK
        self._look()
        self._samples.append((now, self._stored))
        if self._console.is_terminal:
            self._live.update(self._drawn(progress), refresh=True)
        elif now >= self._next_line:
            self._next_line = now + LINE
            click.echo(
                f"{progress.seconds:6.1f} s  {progress.subscribed}/{progress.sources} sources"
                f"  {self._stored} events stored  {self._rate():.0f} events/s"
            )

    def _look(self) -> None:
        for found in self._tail.news():
            document = orjson.loads(found.document)
            self._stored += 1
            self._channels[document.get("winlog", {}).get("channel", "-")] += 1
            self._newest.appendleft(document)

    def _rate(self) -> float:
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def _drawn(self, progress: Progress) -> Group:
        head = Text.assemble(
            ("wef demo", "bold"),
            f"   {progress.subscribed} of {progress.sources} sources push over HTTPS with client certificates\n",
            f"{self._stored} events stored   {self._rate():.0f} events/s   {progress.acknowledged} acknowledged",
        )
        end = Text(
            f"\nCtrl-C drains and ends. Meanwhile: {called()} events tail --config {self._folder}/collector.toml"
        )
        return Group(head, Text(), self._busiest(), Text(), self._latest(), end)

    def _busiest(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("channel")
        table.add_column("events", justify="right")
        for channel, number in self._channels.most_common(BUSIEST):
            table.add_row(Text(printable(channel)), str(number))
        return table

    def _latest(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("newest", "computer", "channel", "id", "what"):
            table.add_column(column, no_wrap=True)
        for document in self._newest:
            winlog = document.get("winlog", {})
            cells = (
                document.get("@timestamp", "")[11:23],
                winlog.get("computer_name"),
                winlog.get("channel"),
                winlog.get("event_id"),
                winlog.get("task") or winlog.get("provider_name"),
            )
            table.add_row(*(Text(printable(cell)) for cell in cells))
        return table
