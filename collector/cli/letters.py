"""``wef letters``: records that a sink will never take as they are; look at them, offer them again, throw them away.

Beside a running collector the request to offer them goes into the state and the collector answers it there: its
sinks stay its own. Without one the command is the collector for a moment, lock and all.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import click

from collector import telemetry
from collector.cli.output import config_option, json_option, print_json, print_rows
from collector.cli.settings import load_settings, reading_state
from collector.clock import SystemClock, timestamp
from collector.config.settings import CollectorSettings
from collector.errors import Backpressure, OperatorError
from collector.events.days import nanoseconds
from collector.events.times import parse_time
from collector.routing.replay import Direct, Replay
from collector.sinks.base import Surroundings
from collector.sinks.table import SINKS
from collector.store.base import Letter, Store
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder

COLUMNS = ("id", "sink", "reason", "received", "event_id", "record")
OUTCOMES = ("id", "sink", "outcome", "reason")
SHOWN = 100
"""Characters of a record in the table for people; ``--json`` has all of them."""
AT_ONCE = 500
"""Letters marked in one transaction: the running collector's bookmarks wait for it."""
LOOK = 0.1
"""Seconds between two looks whether the running collector has answered."""
NO, UNREACHABLE, WRITE_FAILED, LATER, NOT_PERMITTED = 1, 69, 74, 75, 77


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant: all that are given must agree, the sinks and the reasons are alternatives.

    *reasons* are globs on the whole reason, without regard to case: a far end's reason may quote what a source wrote,
    and half a reason would then select letters that nobody meant. *until* is in nanoseconds since 1970, None: no end.
    """

    sinks: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    until: int | None = None

    def takes(self, letter: Letter) -> bool:
        return (
            (not self.sinks or letter.sink in self.sinks)
            and (not self.reasons or any(fnmatchcase(letter.reason.lower(), glob.lower()) for glob in self.reasons))
            and (self.until is None or nanoseconds(letter.received) <= self.until)
        )


def filter_options(function: Callable[..., None]) -> Callable[..., None]:
    """What ``Filter`` is made of."""
    for option in (
        click.option("--until", metavar="TIME", help="Only letters received not after this (2026-01-31, 7d)."),
        click.option(
            "--reason", "reasons", multiple=True, metavar="GLOB", help="Only with this reason ('computer:*')."
        ),
        click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Only of this sink; repeat for more."),
    ):
        function = option(function)
    return function


def _filter(sinks: Sequence[str], reasons: Sequence[str], until: str | None) -> Filter:
    try:
        end = None if until is None else parse_time(until, SystemClock().now())
    except ValueError as error:
        raise click.UsageError(f"--until: {error}.") from error
    return Filter(tuple(sinks), tuple(reasons), end)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter: delivered, returned (with a new reason), unreachable, waiting or deleted."""

    id: str
    sink: str
    outcome: str
    reason: str = ""


@click.group()
def command() -> None:
    """List the records that a sink rejected or was not offered, offer them again, or throw them away."""


@command.command("list")
@filter_options
@config_option
@json_option
def list_(
    sinks: tuple[str, ...], reasons: tuple[str, ...], until: str | None, config: str | None, as_json: bool
) -> None:
    """One line for each letter, the oldest first."""
    wanted = _filter(sinks, reasons, until)
    settings = load_settings(config)
    print_rows(_rows(settings, wanted, whole=as_json), COLUMNS, as_json=as_json, empty="There is no letter.")


def _rows(settings: CollectorSettings, wanted: Filter, *, whole: bool) -> Iterator[dict[str, Any]]:
    with reading_state(settings) as store:
        for letter in store.letters():
            if not wanted.takes(letter):
                continue
            record = letter.record.decode("utf-8", "replace")
            yield {
                "id": letter.id,
                "sink": letter.sink,
                "reason": letter.reason,
                "received": timestamp(letter.received),
                "event_id": letter.event_id,
                "record": record if whole or len(record) <= SHOWN else f"{record[: SHOWN - 3]}...",
            }


@command.command("replay")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="All letters of this sink; repeat for more.")
@click.option("--all", "every", is_flag=True, help="All letters.")
@click.option(
    "--wait", default=30.0, show_default=True, metavar="SECONDS", help="How long the collector may do nothing."
)
@config_option
@json_option
def replay(
    ids: tuple[str, ...], sinks: tuple[str, ...], every: bool, wait: float, config: str | None, as_json: bool
) -> None:
    """Offer letters to their sinks again, with a running collector or without one.

    A letter is gone when its sink has the record; else it stays, with the new reason. Exit code 0: all are
    delivered, 1: some came back, 69: a sink could not be reached, 75: the collector has not answered yet.
    """
    if bool(ids) + bool(sinks) + every != 1:
        raise click.UsageError("Say which letters: their ids, or --sink NAME, or --all.")
    settings = load_settings(config)
    selected = _selected(settings, ids, Filter(sinks))
    telemetry.configure("error", settings.log.format)  # our stdout is for outcomes
    outcomes = asyncio.run(offer_again(settings, selected, wait))
    _tell(outcomes, as_json=as_json)
    raise click.exceptions.Exit(exit_code(outcomes))


@command.command("delete")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options
@click.option("--all", "every", is_flag=True, help="All letters.")
@config_option
@json_option
def delete(
    ids: tuple[str, ...],
    sinks: tuple[str, ...],
    reasons: tuple[str, ...],
    until: str | None,
    every: bool,
    config: str | None,
    as_json: bool,
) -> None:
    """Throw letters away for good, with a running collector or without one. It asks nothing: look with list first.

    Exit code 0: they are gone, 1: no letter has one of these ids (then none is deleted).
    """
    wanted = _filter(sinks, reasons, until)
    if bool(ids) + (wanted != Filter()) + every != 1:
        raise click.UsageError("Say which letters: their ids, or --sink, --reason and --until, or --all.")
    settings = load_settings(config)
    selected = _selected(settings, ids, wanted)
    telemetry.configure("error", settings.log.format)  # our stdout is for outcomes
    asyncio.run(throw_away(settings, list(selected)))
    _tell([Outcome(identifier, sink, "deleted") for identifier, sink in selected.items()], as_json=as_json)


async def throw_away(settings: CollectorSettings, ids: Sequence[str]) -> None:
    """Return when letters *ids* are gone from the disk. Raises ``OperatorError``."""
    folder = StateFolder(settings.state)
    if not ids:
        return
    running = folder.in_use()  # it asks the state for letters each time, so they may go without its knowledge
    if not running:
        require_owner(folder, os.geteuid())
        folder.lock()
    try:
        store = SqliteStore.open_beside(folder.database) if running else SqliteStore.open(folder.database)
        try:
            for start in range(0, len(ids), AT_ONCE):
                await store.remove_letters(ids[start : start + AT_ONCE])
        except Backpressure as error:
            raise OperatorError(
                f"{error}. What was deleted is gone, the rest is there.", exit_code=WRITE_FAILED
            ) from error
        finally:
            await store.close()
    finally:
        folder.unlock()


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The worst of what happened."""
    found = {outcome.outcome for outcome in outcomes}
    codes = {"unreachable": UNREACHABLE, "waiting": LATER, "returned": NO}
    return next((code for word, code in codes.items() if word in found), 0)


async def offer_again(settings: CollectorSettings, selected: dict[str, str], wait: float) -> list[Outcome]:
    """What became of the *selected* letters (id -> sink). Raises ``OperatorError``."""
    gone = [
        Outcome(identifier, sink, "unreachable", f"the settings have no sink {sink}")
        for identifier, sink in selected.items()
        if sink not in settings.sinks
    ]
    wanted = {identifier: sink for identifier, sink in selected.items() if sink in settings.sinks}
    if not wanted:
        return gone
    folder = StateFolder(settings.state)
    if folder.in_use():
        return [*gone, *await _asked(folder, wanted, wait)]
    require_owner(folder, os.geteuid())
    folder.lock()
    try:
        return [*gone, *await _done(settings, folder, wanted)]
    finally:
        folder.unlock()


def require_owner(folder: StateFolder, user: int) -> None:
    """Files that sinks write have to belong to the collector's user. Raises ``OperatorError`` (77)."""
    owner = folder.path.stat().st_uid
    if user != owner:
        raise OperatorError(
            f"The state folder {folder.path} belongs to user {owner}, and no collector runs: files that this command "
            f"made as user {user} would be closed to the collector. Run it as that user (sudo -u '#{owner}' ...).",
            exit_code=NOT_PERMITTED,
        )


async def _asked(folder: StateFolder, wanted: dict[str, str], wait: float) -> list[Outcome]:
    """Ask the running collector, and wait for its answer as long as it works on it."""
    store = SqliteStore.open_beside(folder.database)
    try:
        await _want(store, wanted)
        clock = SystemClock()
        last, since = "", clock.monotonic()
        while waiting := store.wanted_letters(1, 0):
            if waiting[0].id != last:
                last, since = waiting[0].id, clock.monotonic()
            if clock.monotonic() - since > wait:
                break
            await asyncio.sleep(LOOK)
        return _outcomes(store, wanted)
    finally:
        await store.close()


async def _done(settings: CollectorSettings, folder: StateFolder, wanted: dict[str, str]) -> list[Outcome]:
    """Do what a collector would do, with those of its sinks that it takes."""
    async with AsyncExitStack() as stack:
        store = SqliteStore.open(folder.database)
        stack.push_async_callback(store.close)
        await _want(store, wanted)  # like this the next collector goes on, should we be killed
        takers = {}
        for name in {letter.sink for letter in store.letters() if letter.wanted} & settings.sinks.keys():
            sink = SINKS[settings.sinks[name].type].build(
                name, settings.sinks[name], Surroundings(folder.path, SystemClock())
            )
            try:
                await sink.open()
            except OperatorError as error:
                await store.postpone_letters(name, str(error))
                continue
            stack.push_async_callback(sink.close)
            takers[name] = Direct(sink, settings.sinks[name].patience)
        offering = Replay(store, takers)
        while await offering.round():
            pass
        return _outcomes(store, wanted)


async def _want(store: Store, wanted: dict[str, str]) -> None:
    ids = list(wanted)
    for start in range(0, len(ids), AT_ONCE):
        await store.want_letters(ids[start : start + AT_ONCE])


def _outcomes(store: Store, wanted: dict[str, str]) -> list[Outcome]:
    """What the state says of each letter now; one that is not there any more is with its sink."""
    left = {letter.id: _left(letter) for letter in store.letters() if letter.id in wanted}
    return [left.get(identifier, Outcome(identifier, sink, "delivered")) for identifier, sink in wanted.items()]


def _left(letter: Letter) -> Outcome:
    if letter.wanted:
        return Outcome(letter.id, letter.sink, "waiting", "the collector has not offered it yet; it will")
    if letter.trouble:
        return Outcome(letter.id, letter.sink, "unreachable", letter.trouble)
    return Outcome(letter.id, letter.sink, "returned", letter.reason)


def _selected(settings: CollectorSettings, ids: Sequence[str], wanted: Filter) -> dict[str, str]:
    """Letter id -> sink, the oldest first. Raises ``OperatorError`` for an id that no letter has."""
    named = frozenset(ids)
    with reading_state(settings) as store:
        selected = {
            letter.id: letter.sink
            for letter in store.letters()
            if (letter.id in named if named else wanted.takes(letter))
        }
    missing = [identifier for identifier in ids if identifier not in selected]
    if missing:
        raise OperatorError(f"There is no letter {', '.join(missing)}; wef letters list shows them all.", exit_code=NO)
    return selected


def _tell(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    if as_json:
        for outcome in outcomes:
            print_json({column: getattr(outcome, column) for column in OUTCOMES})
        return
    if not outcomes:
        click.echo("There is no such letter.")
        return
    counts = Counter(outcome.outcome for outcome in outcomes)
    left = [outcome for outcome in outcomes if outcome.outcome not in ("delivered", "deleted")]
    if left:
        print_rows(({column: getattr(entry, column) for column in OUTCOMES} for entry in left), OUTCOMES, as_json=False)
    click.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
