"""``wef events``: search and follow what the embedded store holds, with a running collector or without one."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from collector.cli.output import config_option, json_option
from collector.cli.settings import load_settings
from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.events.filters import SearchQuery, parse_query
from collector.events.search import Found, search
from collector.events.tail import Tail
from collector.sinks.events import FOLDER

F = TypeVar("F", bound=Callable[..., Any])

_LOOK = 0.5
"""Seconds between two looks for news: quick enough for eyes, nothing for a disk."""

_NO_INPUT = 65
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_OPTIONS = (
    config_option,
    click.option("--state", type=click.Path(path_type=Path), help="The state folder; then no settings are read."),
    json_option,
    click.option("--format", "form", type=click.Choice(["document", "xml"]), default="document", show_default=True,
                 help="The stored document as a line of JSON, or the event's XML as received."),
    click.option("--since", metavar="TIME", help='Not before: "2026-01-31T08:00:00Z", "2026-01-31", "1h", "7d".'),
    click.option("--until", metavar="TIME", help="Not after; as --since."),
    click.option("--computer", multiple=True, metavar="GLOB", help="Computer names; repeat, or separate by commas."),
    click.option("--channel", multiple=True, metavar="GLOB", help="Channels, such as Security."),
    click.option("--provider", multiple=True, metavar="GLOB", help="Provider names."),
    click.option("--event-id", multiple=True, metavar="N", help='Event ids and ranges: "4624,4720-4729".'),
    click.option("--level", multiple=True, metavar="LEVEL", help="critical, error, ... verbose, or numbers."),
    click.option("--user", multiple=True, metavar="GLOB", help="A user's name or SID, wherever it stands."),
    click.option("--field", multiple=True, metavar="NAME=VALUE", help="A field by its dotted name; all must match."),
    click.option("--text", multiple=True, metavar="WORDS", help="Words that all occur in the document's values."),
)  # fmt: skip


def _filters(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.group()
def command() -> None:
    """Search and follow the events of the embedded store."""


@command.command("search")
@_filters
@click.option("--limit", type=int, default=0, metavar="N", help="The newest N; 0, the default: all.")
def search_(form: str, as_json: bool, **asked: Any) -> None:
    """Print the stored events that match, in order of time, one to a line."""
    folder, query = _where(asked["config"], asked["state"]), _query(asked)
    _print(search(folder, query, xml=form == "xml", report=_complain), form, as_json)


@command.command("tail")
@_filters
@click.option("--limit", type=int, default=None, metavar="N", help="First the newest N that are there; 0: all.")
def tail(form: str, as_json: bool, **asked: Any) -> None:
    """Print matching events as they arrive; with --since or --limit first those that are there."""
    past = asked["limit"] is not None or asked["since"] is not None
    folder, query = _where(asked["config"], asked["state"]), _query({**asked, "limit": asked["limit"] or 0})
    following = Tail(folder, query, xml=form == "xml", report=_complain)
    if past:
        _print(following.past(), form, as_json)
    never = threading.Event()
    while not never.wait(_LOOK):  # ended by Ctrl-C, or by who reads our output going away
        _print(following.news(), form, as_json)


def _where(config: str | None, state: Path | None) -> Path:
    if state is not None and not state.is_dir():
        raise OperatorError(f"--state {state}: there is no such folder.", exit_code=_NO_INPUT)
    return (load_settings(config).state if state is None else state) / FOLDER


def _query(asked: dict[str, Any]) -> SearchQuery:
    return parse_query(
        SystemClock().now(),
        times=(asked["since"], asked["until"]),
        names={name: asked[name] for name in ("computer", "channel", "provider", "user")},
        numbers={name: asked[name] for name in ("event_id", "level")},
        field=asked["field"],
        text=asked["text"],
        limit=asked["limit"],
    )


def _print(events: Iterable[Found], form: str, as_json: bool) -> None:
    out, shown = sys.stdout.buffer, sys.stdout.isatty()
    for found in events:
        line = _line(found, form, as_json)
        out.write((_harmless(line) if shown else line) + b"\n")
    out.flush()


def _line(found: Found, form: str, as_json: bool) -> bytes:
    if form == "document":
        return found.document
    return orjson.dumps({"id": found.id, "xml": found.xml}) if as_json else found.xml.encode("utf-8", "replace")


def _harmless(line: bytes) -> bytes:
    """For a terminal: control characters that an event brought along are shown, not obeyed."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line.decode("utf-8", "replace")).encode()


def _complain(sentence: str) -> None:
    click.echo(f"Passed over, its events are missing here: {sentence}", err=True)
