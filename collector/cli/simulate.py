"""``wef simulate``: be a fleet of Windows sources that push to a collector, and say how it went."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar

from collector.cli import simulate_hosts as hosts
from collector.cli.output import json_option, print_json, printable
from collector.clock import SystemClock
from collector.config.units import parse_duration
from collector.simulate import fleet
from collector.simulate.charset import CHARSETS
from collector.simulate.ledger import Verdict
from collector.simulate.population import MECHANISMS


def _seconds(value: str) -> float:
    """Seconds as a number, or a duration as in collector.toml."""
    with contextlib.suppress(ValueError):
        seconds = float(value)
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        return parse_duration(value)
    except ValueError:
        problem = f'{value!r} is no duration; write seconds (20, 0.5) or "500ms", "30s", "15m", "12h"'
        raise click.BadParameter(problem) from None


class Crew(Protocol):
    """A fleet that can be run: one that pushes, or one that waits."""

    @property
    def notes(self) -> list[str]:
        """Sentences for people: what kept the verdict from being ok."""

    async def run(
        self, on_progress: Callable[[fleet.Progress], None] | None = None, stop: asyncio.Event | None = None
    ) -> Verdict: ...


_POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command()
@click.option("--url", metavar="URL", help="Where to ask for subscriptions: the Server of the policy.")
@hosts.options
@click.option(
    "--sources",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="How many sources. Default: each Computer of the file, else 10.",
)
@click.option(
    "--events",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='JSON lines with a field "xml", plain or .gz. Default: made-up events.',
)
@click.option(
    "--evtx",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Instead: the events of a Windows event log file, in the forwarder's style (needs the package evtx).",
)
@click.option(
    "--rate",
    type=_POSITIVE,
    metavar="R",
    help="Events/s of the whole fleet. Default: a file at once, else one for each source.",
)
@click.option(
    "--duration",
    type=_seconds,
    metavar="S",
    help="How long. Default: until all of the file is acknowledged, else until Ctrl-C.",
)
@click.option(
    "--charset",
    type=click.Choice(CHARSETS, case_sensitive=False),
    default="utf-16",
    show_default=True,
    help="Of the messages.",
)
@click.option(
    "--compression",
    type=click.Choice(["offer", "sldc", "none"], case_sensitive=False),
    default="offer",
    show_default=True,
    help="offer: as the subscription says.",
)
@click.option(
    "--ca",
    metavar="FILE",
    help="PEM: who issued the collector's certificate. Default: the system's authorities (with --serve: no"
    " certificate is asked for).",
)
@click.option(
    "--cert",
    metavar="FILE",
    help="PEM: the sources' certificate; {source} is the source's name (with --serve: one for all, and https).",
)
@click.option("--key", metavar="FILE", help="PEM: its key; {source} as above. Default: in the file of --cert.")
@click.option(
    "--mechanism",
    type=click.Choice(MECHANISMS, case_sensitive=False),
    help="How the sources prove who they are. Default: certificate with --cert, else none.",
)
@click.option(
    "--keytab",
    metavar="FILE",
    help="Kerberos keys of the sources; {source} as above, or one file for all. Default: your own ticket (kinit)."
    " With --serve: the keys of HTTP/<host in the URL>.",
)
@click.option(
    "--principal",
    metavar="NAME",
    help="Whose keys: {SOURCE} is the name up to its first dot in capitals. Default: {SOURCE}$, the machine account.",
)
@click.option(
    "--channel-default",
    default="Application",
    show_default=True,
    metavar="NAME",
    help="The channel of events that name none.",
)
@click.option(
    "--refresh",
    type=_seconds,
    default="20",
    show_default=True,
    metavar="S",
    help="Between two Enumerates: Refresh of the policy.",
)
@click.option(
    "--retry-interval",
    type=_seconds,
    default="5",
    show_default=True,
    metavar="S",
    help="The most between two attempts, whatever ConnectionRetry says.",
)
@click.option(
    "--give-up",
    type=_seconds,
    default="60",
    show_default=True,
    metavar="S",
    help="End when nothing was acknowledged for so long, but failures.",
)
@click.option(
    "--history",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    metavar="N",
    help="Made-up events in each log before it is subscribed.",
)
@click.option(
    "--bookmark-event/--no-bookmark-event",
    default=True,
    show_default=True,
    help="Send event 111 when starting without a bookmark, as Windows 11.",
)
@click.option(
    "--oversized",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Of made-up events: too large for an envelope, so that DroppedEvents markers take their places.",
)
@click.option(
    "--reboots",
    type=click.IntRange(0, 1_000_000),
    default=0,
    show_default=True,
    metavar="N",
    help="So many times in the run a source says good-bye, goes, and comes back.",
)
@click.option(
    "--crashes",
    type=click.IntRange(0, 1_000_000),
    default=0,
    show_default=True,
    metavar="N",
    help="The same without a good-bye: its connections vanish in the middle of a body.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="For made-up events.")
@json_option
def command(as_json: bool, **given: Any) -> int:  # fmt: skip
    """Be a fleet of Windows sources that push to a collector, or with --serve one that waits to be pulled.

    Ends with a verdict: ok, and exit code 0, only when every event that was to be sent is acknowledged.
    Ctrl-C ends it in good order, a second Ctrl-C at once.
    """
    waiting = hosts.taken(given)
    options = _options(given)
    crew = _pushing(options) if waiting is None else waiting.crew(options, quiet=as_json)
    verdict = asyncio.run(_run(crew, options.duration))
    for note in crew.notes:
        click.echo(printable(note), err=True)
    if as_json:
        print_json(asdict(verdict))
    else:
        click.echo(_sentence(verdict))
    return 0 if verdict.ok else 1


def _pushing(options: fleet.FleetOptions) -> Crew:
    crew = fleet.Fleet(options, SystemClock())
    if crew.shares_one_identity:
        click.echo(
            "One identity for several sources: the collector sees one source. Use {source} in --cert or --keytab.",
            err=True,
        )
    return crew


def _options(given: dict[str, Any]) -> fleet.FleetOptions:
    greets = given.pop("bookmark_event")
    return fleet.FleetOptions(**{**given, "greets": greets, "charset": given["charset"].lower()})


async def _run(crew: Crew, duration: float | None) -> Verdict:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    running = asyncio.ensure_future(_shown(crew, stop, duration))

    def asked() -> None:
        if stop.is_set():
            running.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    try:
        return await running
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _shown(crew: Crew, stop: asyncio.Event, duration: float | None) -> Verdict:
    with _bar(duration) as tell:
        return await crew.run(tell, stop)


@contextlib.contextmanager
def _bar(duration: float | None) -> Iterator[Callable[[fleet.Progress], None] | None]:
    """A progress bar on stderr when that is a terminal: of the file, else of *duration*, else none but numbers."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        _Bar(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("subscribing", total=None, counts="")

        def tell(now: fleet.Progress) -> None:
            of_file = now.total is not None
            rate = now.acknowledged / now.seconds if now.seconds else 0.0
            bar.update(
                task,
                description=f"{now.subscribed}/{now.sources} sources",
                total=now.total if of_file else duration,
                completed=now.acknowledged if of_file else min(now.seconds, duration or 0.0),
                counts=f"{now.acknowledged:,} of {now.total or now.logged:,} acknowledged  {rate:,.0f}/s",
            )

        yield tell


class _Bar(BarColumn):
    """A bar of one width, so that the numbers beside it stand still; nothing where no end is known."""

    def __init__(self) -> None:
        super().__init__(bar_width=12)

    def render(self, task: Task) -> ProgressBar:
        bar = super().render(task)
        return bar if task.total else ProgressBar(total=1, completed=0, width=0)


def _sentence(verdict: Verdict) -> str:
    rate = verdict.acknowledged / verdict.seconds if verdict.seconds else 0.0
    return (
        f"{'ok' if verdict.ok else 'NOT ok'}: {verdict.acknowledged:,} of {verdict.sent:,} events acknowledged in "
        f"{verdict.seconds:.1f} s ({rate:,.0f}/s), {verdict.duplicates:,} sent again, {verdict.refused:,} refused."
    )
