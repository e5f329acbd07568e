"""``wef letters``: records that a sink will never take as they are; look at them, and offer them again.

Beside a running collector the request goes into the state and the collector answers it there: its
sinks stay its own. Without one the command is the collector for a moment, lock and all.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import click

from collector import telemetry
from collector.cli.output import config_option, json_option, print_json, print_rows
from collector.cli.settings import load_settings, reading_state
from collector.clock import SystemClock, timestamp
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
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
NO, UNREACHABLE, LATER, NOT_PERMITTED = 1, 69, 75, 77


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter: delivered, returned (with a new reason), unreachable or waiting."""

    id: str
    sink: str
    outcome: str
    reason: str = ""


@click.group()
def command() -> None:
    """List the records that a sink rejected, and offer them again."""


@command.command("list")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Only letters of this sink; repeat for more.")
@config_option
@json_option
def list_(sinks: tuple[str, ...], config: str | None, as_json: bool) -> None:
    """One line for each letter, the oldest first."""
    settings = load_settings(config)
    print_rows(_rows(settings, sinks, whole=as_json), COLUMNS, as_json=as_json, empty="There is no letter.")


def _rows(settings: CollectorSettings, sinks: Sequence[str], *, whole: bool) -> Iterator[dict[str, Any]]:
    with reading_state(settings) as store:
        for letter in store.letters():
            if sinks and letter.sink not in sinks:
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
    selected = _selected(settings, ids, sinks)
    telemetry.configure("error", settings.log.format)  # our stdout is for outcomes
    outcomes = asyncio.run(offer_again(settings, selected, wait))
    if as_json:
        for outcome in outcomes:
            print_json({column: getattr(outcome, column) for column in OUTCOMES})
    else:
        _tell(outcomes)
    raise click.exceptions.Exit(exit_code(outcomes))


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


def _selected(settings: CollectorSettings, ids: Sequence[str], sinks: Sequence[str]) -> dict[str, str]:
    """Letter id -> sink, the oldest first. Raises ``OperatorError`` for an id that no letter has."""
    named = frozenset(ids)
    with reading_state(settings) as store:
        selected = {
            letter.id: letter.sink
            for letter in store.letters()
            if (letter.id in named if named else not sinks or letter.sink in sinks)
        }
    missing = [identifier for identifier in ids if identifier not in selected]
    if missing:
        raise OperatorError(f"There is no letter {', '.join(missing)}; wef letters list shows them all.", exit_code=NO)
    return selected


def _tell(outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        click.echo("There is no such letter.")
        return
    counts = Counter(outcome.outcome for outcome in outcomes)
    left = [outcome for outcome in outcomes if outcome.outcome != "delivered"]
    if left:
        print_rows(({column: getattr(entry, column) for column in OUTCOMES} for entry in left), OUTCOMES, as_json=False)
    click.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
