"""``wef setup``: makes the far ends of sinks ready - topics, templates - or shows what is missing there.

Nothing is changed without ``--apply``, and never by ``wef serve``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click
import orjson

from collector.cli.output import F, config_option, json_option, print_json, print_rows, printable
from collector.cli.settings import load_settings
from collector.config.explain import nearest
from collector.config.settings import CollectorSettings, SinkSettings
from collector.errors import OperatorError
from collector.query.query_list import parse_query_list
from collector.sinks.findings import Change, Finding, Found, Refused, Setup
from collector.subscriptions.folder import load_folder

COLUMNS = ("sink", "object", "name", "state", "difference")
DIFFERENCES = 1
ROUNDS = 3
"""A change can show the next one: a template that is new to a stream that exists. No chain is longer."""
_DONE = {"missing": "was missing; made", "different": "changed"}

Kind = TypeVar("Kind", bound=SinkSettings)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asked for."""

    apply: bool
    dry_run: bool
    as_json: bool


@click.group()
def command() -> None:
    """Make the topics or templates that the sinks need, or show what is missing."""


def _options(function: F) -> F:
    for option in (
        json_option,
        click.option("--dry-run", is_flag=True, help="Also print what --apply would send, and send nothing."),
        click.option("--apply", is_flag=True, help="Make what is missing, change what is different."),
        click.option("--sink", "sink", metavar="NAME", default=None, help="Only this sink. Default: all of the type."),
        config_option,
    ):
        function = option(function)
    return function


@command.command()
@_options
@click.pass_context
def kafka(
    context: click.Context, config: str | None, sink: str | None, apply: bool, dry_run: bool, as_json: bool
) -> None:
    """Topics: whether they are there and take what the sink sends. Exit 1: differences are left."""
    from collector.sinks.kafka.settings import KafkaSettings
    from collector.sinks.kafka.setup import KafkaSetup
    from collector.sinks.kafka.wanted import Subscribed

    settings = load_settings(config)
    subscriptions = load_folder(settings.subscriptions.path, settings.subscriptions.revision)
    subscribed = [
        Subscribed(one.name, parse_query_list(one.query).channels) for one in subscriptions.all if one.enabled
    ]

    def make(name: str, own: KafkaSettings) -> Setup:
        return KafkaSetup(name, own, subscribed)

    context.exit(_run(_chosen(settings, KafkaSettings, sink), make, _wanted(apply, dry_run, as_json)))


@command.command()
@_options
@click.pass_context
def elasticsearch(
    context: click.Context, config: str | None, sink: str | None, apply: bool, dry_run: bool, as_json: bool
) -> None:
    """Templates and lifecycle, of OpenSearch too. Exit 1: differences are left."""
    from collector.sinks.elasticsearch.settings import ElasticsearchSettings
    from collector.sinks.elasticsearch.setup import ElasticsearchSetup
    from collector.sinks.elasticsearch.sharing import require_harmony

    settings = load_settings(config)
    chosen = _chosen(settings, ElasticsearchSettings, sink)
    require_harmony(_chosen(settings, ElasticsearchSettings, None))
    context.exit(_run(chosen, ElasticsearchSetup.of, _wanted(apply, dry_run, as_json)))


def _wanted(apply: bool, dry_run: bool, as_json: bool) -> Wanted:
    if apply and dry_run:
        raise click.UsageError("--apply sends and --dry-run does not; give one of them.")
    return Wanted(apply, dry_run, as_json)


def _chosen(settings: CollectorSettings, kind: type[Kind], name: str | None) -> dict[str, Kind]:
    """The sinks of one type, by name. Raises ``OperatorError`` (78) when there is none."""
    found = {own: sink for own, sink in settings.sinks.items() if isinstance(sink, kind)}
    word = kind.model_fields["type"].default
    if not found:
        raise OperatorError(f'The settings have no sink of type "{word}"; write [sinks.NAME] with type = "{word}".')
    if name is None:
        return found
    if name not in found:
        raise OperatorError(f'There is no sink "{name}" of type "{word}". {nearest(name, list(found))}')
    return {name: found[name]}


def _run(sinks: dict[str, Kind], make: Callable[[str, Kind], Setup], wanted: Wanted) -> int:
    """Look at each of *sinks*, change what was asked for, print. The exit code."""
    rows: list[dict[str, Any]] = []
    changes: list[Change] = []
    left = False
    for name, settings in sinks.items():
        found = asyncio.run(_far_end(name, settings, make, wanted))
        rows += [_row(name, one.finding) for one in found]
        changes += [one.change for one in found if one.change is not None]
        left = left or any(one.finding.state in ("missing", "different") for one in found)
    print_rows(rows, COLUMNS, as_json=wanted.as_json)
    if wanted.dry_run:
        for change in changes:
            _print_change(change, as_json=wanted.as_json)
    if not wanted.as_json:
        click.echo(_verdict(left, wanted))
    return DIFFERENCES if left else 0


async def _far_end(name: str, settings: Kind, make: Callable[[str, Kind], Setup], wanted: Wanted) -> Sequence[Found]:
    setup = make(name, settings)
    try:
        return await (applied(setup) if wanted.apply else setup.inspect())
    finally:
        await setup.close()


async def applied(setup: Setup) -> Sequence[Found]:
    """What is found after everything that setup may change was changed; what was done is told."""
    done: dict[tuple[str, str], Finding] = {}
    refused: dict[tuple[str, str], Finding] = {}
    found = await setup.inspect()
    for _ in range(ROUNDS):
        changes = [(one.finding, one.change) for one in found if one.change is not None]
        changes = [(finding, change) for finding, change in changes if _key(finding) not in refused]
        if not changes:
            break
        for finding, change in changes:
            try:
                await setup.perform(change)
                done[_key(finding)] = finding
            except Refused as error:
                refused[_key(finding)] = replace(finding, difference=str(error))
        found = await setup.inspect()
    left = {_key(one.finding) for one in found}
    gone = [Found(replace(old, state="right", difference="removed")) for key, old in done.items() if key not in left]
    return [*(_told(one, done, refused) for one in found), *gone]


def _told(one: Found, done: dict[tuple[str, str], Finding], refused: dict[tuple[str, str], Finding]) -> Found:
    key = _key(one.finding)
    if one.finding.state == "right" and key in done and not one.finding.difference:
        return Found(replace(one.finding, difference=_DONE[done[key].state]))
    if one.change is not None and key in refused:
        return replace(one, finding=refused[key])
    return one


def _key(finding: Finding) -> tuple[str, str]:
    return finding.object, finding.name


def _row(sink: str, finding: Finding) -> dict[str, Any]:
    return {
        "sink": sink,
        "object": finding.object,
        "name": finding.name,
        "state": finding.state,
        "difference": finding.difference,
    }


def _print_change(change: Change, *, as_json: bool) -> None:
    """As one pastes it into a console: the request, then its body."""
    if as_json:
        print_json({"verb": change.verb, "target": change.target, "body": change.body})
        return
    click.echo(f"\n{change.verb} {printable(change.target)}")
    if change.body is not None:
        click.echo(orjson.dumps(change.body, option=orjson.OPT_INDENT_2).decode())


def _verdict(left: bool, wanted: Wanted) -> str:
    if not left:
        return "Everything is as it should be."
    return "Differences are left." if wanted.apply else "Something is missing or different; --apply changes it."
