"""``wef check``: would it start, would sources be served, would anything be lost by the settings.

It listens on nothing, writes nothing and connects to nobody.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import click

from collector.cli.check_calls import look_at_calls
from collector.cli.keys import key_problems
from collector.cli.output import config_option, json_option, print_json, printable
from collector.cli.settings import load_settings
from collector.cli.version import engine_of
from collector.clock import Clock, SystemClock
from collector.config.load import find
from collector.config.settings import CollectorSettings, ListenerSettings
from collector.errors import OperatorError
from collector.kernel import selection
from collector.pull.references import nothing_can_come
from collector.sinks.kafka.settings import KafkaSettings
from collector.sinks.kafka.topics import TopicTemplate
from collector.subscriptions.folder import SubscriptionSet, load_folder

CONFIGURATION = 78
CHOSEN_BY_SOURCES = frozenset({"channel", "computer", "source"})
"""Placeholders of a topic whose names come out of events or certificates."""


@dataclass(slots=True)
class Findings:
    """What was found: *problems* stop the collector or its sources, *warnings* are worth a thought, *notes* to know."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    summary: str = ""


@click.command()
@config_option
@json_option
@click.pass_context
def command(context: click.Context, config: str | None, as_json: bool) -> None:
    """Check settings, subscriptions, files and keys. Exit 0: good, perhaps with warnings; 78: problems."""
    findings = check(config, SystemClock())
    if as_json:
        for severity, texts in (
            ("problem", findings.problems),
            ("warning", findings.warnings),
            ("note", findings.notes),
        ):
            for text in texts:
                print_json({"severity": severity, "text": text.strip()})
    else:
        for text in findings.problems:
            click.echo(_safe(text))
        for text in findings.warnings:
            click.echo(f"warning: {_safe(text)}")
        for text in findings.notes:
            click.echo(_safe(text))
        if findings.summary:
            click.echo(findings.summary)
    if findings.problems:
        context.exit(CONFIGURATION)


def check(config: str | None, clock: Clock) -> Findings:
    """Everything that can be found without starting. Raises ``OperatorError`` when there are no settings at all."""
    findings = Findings()
    path = find(config)
    try:
        settings = load_settings(str(path))
    except OperatorError as error:
        findings.problems.extend(error.problems)
        return findings
    loaded = _subscriptions(settings, clock, findings)
    subscriptions = loaded or SubscriptionSet(())
    _check_listeners(settings, clock, findings)
    if loaded is not None and (said := nothing_can_come(settings, loaded.all)):
        findings.problems.append(said)
    calls = look_at_calls(settings, subscriptions.all, clock.now())
    findings.problems.extend(calls.problems)
    findings.warnings.extend(calls.warnings)
    findings.notes.extend(calls.notes)
    findings.warnings.extend(_sink_warnings(settings))
    findings.warnings.extend(_state_warnings(settings))
    findings.notes.extend(
        f"sink {name}: engine {engine}" for name, sink in settings.sinks.items() if (engine := engine_of(sink))
    )
    if not findings.problems:
        enabled = sum(entry.enabled for entry in subscriptions.all)
        findings.summary = (
            f"{path} is good: {_count(len(settings.listeners), 'listener')}, {_count(len(settings.sinks), 'sink')},"
            f" {_count(len(subscriptions.all), 'subscription')} ({enabled} enabled)."
        )
    return findings


def _subscriptions(settings: CollectorSettings, clock: Clock, findings: Findings) -> SubscriptionSet | None:
    """None: there are some that cannot be read."""
    try:
        loaded = load_folder(settings.subscriptions.path, settings.subscriptions.revision)
    except OperatorError as error:
        findings.problems.extend(error.problems)
        return None
    findings.warnings.extend(loaded.warnings)
    today = clock.now().strftime("%Y-%m-%dT%H:%M:%S")
    findings.warnings.extend(
        f"{entry.origin}: it expired on {entry.expires}; sources will not subscribe to it."
        for entry in loaded.all
        if entry.enabled and entry.expires is not None and entry.expires < today
    )
    if selection.active() == "pure":
        findings.warnings.extend(
            f"{entry.origin}: it asks for SLDC, of which the pure kernel ({selection.reason()}) reads 10 MB a second at"
            ' best; build the compiled one, or say compression = "none".'
            for entry in loaded.all
            if entry.enabled and entry.compression == "sldc"
        )
    return loaded


def _check_listeners(settings: CollectorSettings, clock: Clock, findings: Findings) -> None:
    taken: dict[tuple[str, int], str] = {}
    if settings.monitoring.port:
        taken[settings.monitoring.address, settings.monitoring.port] = "monitoring"
    for name, listener in settings.listeners.items():
        problems, warnings = key_problems(name, listener, clock.now())
        findings.problems.extend(problems)
        findings.warnings.extend(f"listener {name}: {text}" for text in warnings)
        findings.problems.extend(_port_problems(name, listener, taken))


def _port_problems(name: str, listener: ListenerSettings, taken: dict[tuple[str, int], str]) -> Iterator[str]:
    """Two may not listen on one address and port; ``*`` is every address."""
    for address in listener.addresses if listener.port else ():
        for (other, port), owner in taken.items():
            if port == listener.port and (address == other or "*" in (address, other)):
                yield f"at listeners.{name}.port: {owner} listens on port {port} already; give each its own."
                break
        taken[address, listener.port] = f"listeners.{name}"


def _sink_warnings(settings: CollectorSettings) -> Iterator[str]:
    if not any(sink.takes_everything for sink in settings.sinks.values()):
        yield (
            "at sinks: every one has match, exclude or sample, so an event may be taken by none of them; it is"
            " acknowledged and gone. A sink without these keys takes what is left."
        )
    if not any(sink.required for sink in settings.sinks.values()):
        yield "at sinks: none is required, so events are acknowledged that no sink has kept."
    for name, sink in settings.sinks.items():
        if isinstance(sink, KafkaSettings) and sink.missing_topic == "wait":
            chosen = sorted(TopicTemplate(sink.topic).fields & CHOSEN_BY_SOURCES)
            if chosen:
                yield (
                    f"at sinks.{name}.topic: sources choose what {{{chosen[0]}}} stands for, and the sink waits for a"
                    ' topic that is not there: one odd name stops it. Use {dataset}, or missing_topic = "letter".'
                )


def _state_warnings(settings: CollectorSettings) -> Iterator[str]:
    """The state folder may not be there yet; then it is the nearest folder above it that counts."""
    folder = settings.state
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        yield f"at state: {folder} is a file; name a folder."
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"at state: {settings.state} cannot be written by the user who runs this check."
    free = shutil.disk_usage(folder).free
    if free < settings.min_free:
        yield (
            f"at min_free: the disk of {settings.state} has {free // 2**20} MiB free, less than min_free"
            f" ({settings.min_free // 2**20} MiB): every batch would be refused with 503."
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _safe(text: str) -> str:
    return "\n".join(printable(line) if line.strip() else line for line in text.splitlines())
