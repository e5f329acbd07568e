"""``wef match``: which sinks take an event, and why; which subscriptions would select it.

It asks what the running collector asks (the compiled terms of ``routing.match``, the compiled queries, the
names that sinks make) and decides nothing itself. It connects to nobody and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import click
import orjson

from collector.cli.destination import Way, destination
from collector.cli.normalize import BAD_INPUT, read_texts
from collector.cli.output import config_option, json_option, print_json, printable
from collector.cli.settings import load_settings
from collector.clock import Clock, SystemClock
from collector.config.settings import CollectorSettings, SinkSettings
from collector.errors import OperatorError
from collector.formats import FORMATS, spell
from collector.model import Batch, Caller, Key, SubscriptionRef
from collector.normalize import Harvest, harvest
from collector.query.matcher import Matcher
from collector.query.query_list import parse_query_list
from collector.routing.match import Taking
from collector.subscriptions.folder import load_folder

NOBODY = "-"
"""The subscription of an event that none selects."""


@dataclass(frozen=True, slots=True)
class _Site:
    """What the settings say, compiled: the sinks with what they take, the enabled subscriptions with their queries."""

    sinks: Mapping[str, tuple[SinkSettings, Taking]]
    subscriptions: Mapping[str, Matcher]
    clock: Clock


@click.command()
@config_option
@json_option
@click.option("--subscription", metavar="NAME", help="It came through this one. Default: the first that selects it.")
@click.option("--source", metavar="NAME", help="This source sent it. Default: the event's Computer.")
@click.argument("file")
def command(config: str | None, as_json: bool, subscription: str | None, source: str | None, file: str) -> None:
    """Say which sinks take the events in FILE ("-": standard input), where to, and by which terms of the settings.

    FILE is what wef normalize reads: event XML, or JSON lines with a field "xml". Exit 0: at least one sink
    takes each event; 1: there is an event that none takes; 65: no event can be read.
    """
    site = _site(load_settings(config), subscription, SystemClock())
    taken, number = True, 0
    for number, found in enumerate(_events(site, file, subscription, source), 1):
        taken = taken and found["taken"]
        if as_json:
            print_json(found)
        else:
            click.echo(("\n" if number > 1 else "") + "\n".join(_said(found)))
    if not number:
        raise OperatorError(f"{file}: there is no event in it.", exit_code=BAD_INPUT)
    raise click.exceptions.Exit(0 if taken else 1)


def _site(settings: CollectorSettings, subscription: str | None, clock: Clock) -> _Site:
    loaded = load_folder(settings.subscriptions.path, settings.subscriptions.revision)
    names = [entry.name for entry in loaded.all]
    if subscription is not None and subscription not in names:
        near = get_close_matches(subscription, names, 1)
        right = f'Did you mean "{near[0]}"?' if near else f"There are: {', '.join(names) or 'none'}."
        raise click.UsageError(f'There is no subscription "{subscription}" in {settings.subscriptions.path}. {right}')
    return _Site(
        {name: (sink, Taking.compile(sink.match, sink.exclude, sink.sample)) for name, sink in settings.sinks.items()},
        {
            entry.name: Matcher.compile(parse_query_list(entry.query), clock.now)
            for entry in loaded.all
            if entry.enabled
        },
        clock,
    )


def _events(site: _Site, file: str, subscription: str | None, source: str | None) -> Iterator[dict[str, Any]]:
    """What becomes of each event, one object for each. What no event can be read from is refused with 65."""
    unread = 0
    readable = False
    for text in read_texts(file):
        found = harvest(_batch(text, site.clock.now()))
        for row, key in enumerate(found.keys):
            if not readable and found.flaws["unparsable"]:
                unread += 1
                continue
            readable = True
            yield _judged(site, found, row, subscription, source or key.computer)
    if unread and not readable:
        raise OperatorError(f"{file}: it holds no event that can be read; expected <Event ...>.", exit_code=BAD_INPUT)


def _judged(site: _Site, found: Harvest, row: int, subscription: str | None, source: str) -> dict[str, Any]:
    key = Key(*found.keys[row])
    selecting = [name for name, matcher in site.subscriptions.items() if matcher.selects(found.texts[row], key.channel)]
    through = subscription or next(iter(selecting), NOBODY)
    way = Way(through, source, found.batch.received, key, found.ids[row])
    document = orjson.loads(spell(found, "winlogbeat").record(row))
    sinks = [_at_sink(name, *entry, way, document) for name, entry in site.sinks.items()]
    return {
        "event_id": found.ids[row],
        "computer": key.computer,
        "channel": key.channel,
        "provider": key.provider,
        "code": key.event_id,
        "level": key.level,
        "record_id": document.get("winlog", {}).get("record_id"),
        "subscription": through,
        "source": source,
        "subscriptions": [_at_subscription(name, matcher, name in selecting, key.channel)
                          for name, matcher in site.subscriptions.items()],
        "sinks": sinks,
        "taken": any(sink["takes"] for sink in sinks),
    }  # fmt: skip


def _at_subscription(name: str, matcher: Matcher, selects: bool, channel: str) -> dict[str, Any]:
    unsure = [clause.reason for clause in matcher.unsupported if clause.channel.lower() == channel.lower()]
    return {"subscription": name, "selects": selects, "unsupported": unsure}


def _at_sink(name: str, sink: SinkSettings, taking: Taking, way: Way, document: Mapping[str, Any]) -> dict[str, Any]:
    said = taking.explain(way.key, way.event_id, way.subscription, (way.source.lower(), way.source))
    structured = FORMATS[getattr(sink, "format", "winlogbeat")].structured
    dropped = [field for field in sink.drop_fields if structured and _holds(document, field)]
    return {
        "sink": name,
        "type": sink.type,
        "takes": said.takes,
        "reasons": said.reasons,
        "destination": destination(sink, way) if said.takes else None,
        "dropped": dropped if said.takes else [],
    }


def _holds(document: Mapping[str, Any], field: str) -> bool:
    """Whether a dotted name is there and can be dropped; ``wef.event_id`` never is."""
    found: Any = document
    for part in field.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return False
        found = found[part]
    return field != "wef.event_id"


def _batch(text: str, received: datetime) -> Batch:
    """One event as if it had just come: what decides is handed on beside it."""
    nobody = Caller(NOBODY, NOBODY, NOBODY, "none", "127.0.0.1")
    return Batch(nobody, SubscriptionRef(NOBODY, NOBODY, NOBODY, NOBODY), received, [text], "wef match")


def _said(found: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    record = f", record {found['record_id']}" if found["record_id"] else ""
    yield printable(f"{found['channel']} {found['code']} of {found['computer']}{record} (id {found['event_id']})")
    yield printable(f'  as if source "{found["source"]}" sent it through subscription "{found["subscription"]}"')
    for entry in found["subscriptions"]:
        unsure = (
            f" (not all of its query can be judged here: {entry['unsupported'][0]})" if entry["unsupported"] else ""
        )
        verb = "selects it" if entry["selects"] else "does not select it"
        yield printable(f"  subscription {entry['subscription']}: {verb}{unsure}")
    for entry in found["sinks"]:
        yield printable(f"  sink {entry['sink']} ({entry['type']}): {'takes it' if entry['takes'] else 'leaves it'}")
        yield from (f"      {printable(line)}" for line in _details(entry))
    if not found["taken"]:
        yield "  No sink takes it: it would be acknowledged, counted and gone."


def _details(entry: Mapping[str, Any]) -> Sequence[str]:
    lines = [*entry["reasons"]]
    if entry["destination"]:
        lines.append("to " + ", ".join(f"{word} {value}" for word, value in entry["destination"].items()))
    if entry["dropped"]:
        lines.append(f"without {', '.join(entry['dropped'])}")
    return lines
