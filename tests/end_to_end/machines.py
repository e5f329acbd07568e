"""Pretend machines that wait to be pulled, in a thread of their own, and a collector that calls them.

As with ``load``: what the machines logged and what they consider handed over is the truth. A machine considers handed
over what another Pull, or a Subscribe with a bookmark behind it, came after. It must not know where events are put.
"""

from __future__ import annotations

import asyncio
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

from collector.clock import SystemClock
from collector.simulate.host_door import Served
from collector.simulate.host_fleet import HostFleet, ServeOptions
from collector.simulate.ledger import Verdict
from collector.simulate.source import Source
from tests.end_to_end.load import Load, Name, event_name
from tests.end_to_end.stage import PATIENCE, Stage, json_lines, wef

Entered = TypeVar("Entered")
CHANNELS = ("Security", "System", "Application")


class _Waiting:
    """A ``HostFleet`` as ``Load`` knows fleets. *manner* is called when all listen, before anybody asks them."""

    def __init__(self, fleet: HostFleet, manner: Callable[[Sequence[Served]], None]) -> None:
        self.fleet = fleet
        self.ready = threading.Event()
        self._manner = manner

    @property
    def notes(self) -> Sequence[str]:
        return self.fleet.notes

    @property
    def sources(self) -> Mapping[str, Source]:
        return self.fleet.population.sources

    async def run(self, *, stop: asyncio.Event) -> Verdict:
        return await self.fleet.run(None, stop, self._listening)

    def _listening(self, urls: Sequence[str]) -> None:
        self._manner(list(self.fleet.machines.values()))
        self.ready.set()


class Machines(Load):
    """As *options* has them; they begin to log when all of them are subscribed."""

    def __init__(
        self, options: ServeOptions, manner: Callable[[Sequence[Served]], None] = lambda machines: None
    ) -> None:
        self._waiting = _Waiting(HostFleet(options, SystemClock()), manner)
        super().__init__(self._waiting)

    def start(self) -> Machines:
        """They listen when it returns, and the file with their URLs is written."""
        super().start()
        assert self._waiting.ready.wait(PATIENCE), "the machines do not listen"
        return self

    @property
    def urls(self) -> Mapping[str, str]:
        """By folded name."""
        return self._waiting.fleet.urls

    @property
    def served(self) -> Mapping[str, Served]:
        """The machines by folded name; to be looked at within ``ask`` while they live."""
        return self._waiting.fleet.machines

    def key(self, name: str) -> str:
        """How the collector calls the machine of that folded *name*."""
        return self.urls[name].partition("//")[2]

    def enter(self, context: AbstractAsyncContextManager[Entered]) -> Entered:
        """Something beside the machines, in their thread; it ends with them."""
        return asyncio.run_coroutine_threadsafe(context.__aenter__(), self._loop).result(PATIENCE)

    def under_way(self) -> frozenset[Name]:
        """What went out with the last answers and is not yet considered handed over."""
        return self.ask(
            lambda: frozenset(
                event_name(served.host.source, record.xml)
                for served in self.served.values()
                for kept in served.host.subscriptions.values()
                for sequence in kept.handed
                if (record := served.host.source.log.record(sequence)) is not None
            )
        )


def calling(
    folder: Path, *, sinks: str, settings: str = "", subscription: str = "", lists: Sequence[str] = ("hosts",)
) -> Stage:
    """A collector in *folder* without any listener, which pulls from those in the *lists*, as ``hosts_of`` has them."""
    stage = Stage(folder)
    selects = "\n".join(f'[[select]]\nchannel = "{channel}"' for channel in CHANNELS)
    files = ", ".join(f'{{ file = "{name}.txt" }}' for name in lists)
    (folder / "subscriptions").mkdir(exist_ok=True)
    (folder / "subscriptions" / "pulled.toml").write_text(
        f'name = "pulled"\ntype = "pull"\nsources = [{files}]\nread_existing_events = true\n{subscription}\n{selects}\n'
    )
    (folder / "collector.toml").write_text(
        textwrap.dedent(f"""\
            min_free = "10MiB"
            {settings}
            [monitoring]
            port = {stage.monitoring}
            """)
        + sinks
    )
    return stage


def hosts_of(folder: Path, name: str = "hosts") -> Path:
    """Where ``calling`` expects the list of machines of that *name*."""
    (folder / "subscriptions").mkdir(exist_ok=True)
    return folder / "subscriptions" / f"{name}.txt"


def documents(stage: Stage) -> list[dict[str, Any]]:
    """Everything in the embedded store."""
    return json_lines(wef("events", "search", "--limit", "0", "--json", folder=stage.folder).stdout)


def sources(stage: Stage) -> dict[str, dict[str, Any]]:
    """``wef sources list`` by key."""
    return {row["key"]: row for row in json_lines(wef("sources", "list", "--json", folder=stage.folder).stdout)}
