"""``wef pull``: looking, before a subscription is written, whether a machine can be pulled from.

Exit 0: all is well (warnings are no harm); 1: the answer is no; 69: the machine is not reached; 77: not permitted.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import click

from collector.cli.calling import Calling, calling_of, calling_options, new_id
from collector.cli.output import config_option, json_option, print_json, printable
from collector.cli.winrm import EXITS
from collector.clock import SystemClock
from collector.doctor.pulling import Far, Rehearsal, Seen, Step
from collector.model import Caller
from collector.query.query_list import QueryProblems, query_list_of
from collector.subscriptions.folder import load_folder
from collector.subscriptions.offers import make_offer
from collector.subscriptions.subscription import Subscription
from collector.wire.tls import tls_context
from collector.wsman.messages import Offer

SHOWN = 20
"""Events printed for people; the others are counted. --json has all."""
CHANNEL = "Security"
"""The one that most is wanted of, and that needs a right of its own."""
NAME = "wef-pull-test"


@click.group()
def command() -> None:
    """Try whether events can be pulled from a machine."""


@command.command()
@calling_options
@click.option("--channel", "channels", metavar="CHANNEL", multiple=True, help="Several times. Default: Security.")
@click.option("--query", metavar="XPATH", default="*", help="What to select of the channels. Default: all.")
@click.option("--subscription", metavar="NAME", help="The query and the delivery of this subscription instead.")
@click.option("--existing", is_flag=True, help="Begin with what its log holds, not with what happens from now on.")
@click.option("--seconds", type=click.FloatRange(0, 3600), default=30.0, show_default=True, help="How long to pull.")
@config_option
@json_option
@click.pass_context
def test(
    context: click.Context,
    /,
    config: str | None,
    channels: tuple[str, ...],
    query: str,
    subscription: str | None,
    existing: bool,
    seconds: float,
    as_json: bool,
    **given: Any,
) -> None:
    """Name, port, TLS, who it is, whether we are let in, its settings, subscribe, pull, unsubscribe: what each says.

    Nothing is kept: no bookmark is saved, and a collector that pulls from the machine is not disturbed.
    """
    calling = calling_of(config, given)
    offer = _offered(calling, subscription, channels, query, existing=existing)
    code = asyncio.run(_rehearsed(_rehearsal(calling, offer, seconds), as_json=as_json))
    context.exit(code)


def _offered(calling: Calling, name: str | None, channels: tuple[str, ...], query: str, *, existing: bool) -> Offer:
    """What is subscribed to, under a name of its own. A channel that cannot be read is not passed over in silence."""
    if name is None:
        try:
            listed = query_list_of([(channel, query) for channel in channels or (CHANNEL,)])
        except QueryProblems as error:
            raise click.UsageError(f"--query, --channel: {error}.") from error
        subscription = Subscription(NAME, str(uuid.uuid4()), listed.xml())
    else:
        if channels or query != "*":
            raise click.UsageError(f"--subscription {name} has its own channels and query; leave the others out.")
        subscription = _found(calling, name)
    nobody = Caller(calling.source.key, calling.source.host, calling.source.host, "pull", "")
    offer = make_offer(subscription, nobody, "", None, None)
    return replace(
        offer,
        name=NAME,
        identifier=str(uuid.uuid4()),
        ignore_channel_error=False,
        read_existing_events=existing,
    )


def _found(calling: Calling, name: str) -> Subscription:
    if calling.settings is None:
        raise click.UsageError(f"--subscription {name}: there are no settings, so there are no subscriptions.")
    known = load_folder(calling.settings.subscriptions.path, calling.settings.subscriptions.revision).all
    found = next((one for one in known if one.name == name), None)
    if found is None:
        there = ", ".join(one.name for one in known) or "none"
        raise click.UsageError(f'there is no subscription "{name}"; there are: {there}.')
    return found


def _rehearsal(calling: Calling, offer: Offer, seconds: float) -> Rehearsal:
    written, delay = calling.credentials, calling.pull.network_delay
    files = [str(path) if path is not None else None for path in (written.ca, written.certificate, written.key)]
    far = Far(
        calling.url,
        calling.source.host.removesuffix("."),
        calling.port,
        tls_context(*files) if calling.secure else None,
        calling.access.proves(calling.url),
        written.mechanism,
    )
    return Rehearsal(
        far,
        lambda: calling.access.connection(calling.url, timeout=60.0 + delay),
        offer,
        seconds,
        delay,
        SystemClock(),
        new_id,
    )


async def _rehearsed(rehearsal: Rehearsal, *, as_json: bool) -> int:
    """Say each step as soon as it is made; the exit code."""
    code, seen = 0, 0
    async with aclosing(rehearsal.steps()) as steps:
        async for made in steps:
            if isinstance(made, Seen):
                seen += 1
                _say_event(made, seen, as_json=as_json)
                continue
            _say(made, as_json=as_json)
            if made.kind is not None and not code:
                code = EXITS[made.kind]
    return code


def _say(step: Step, *, as_json: bool) -> None:
    severity = "problem" if step.kind is not None else "warning" if step.warning else "ok"
    if as_json:
        print_json({"step": step.name, "severity": severity, "text": step.text, "remedy": step.remedy})
        return
    click.echo(f"{severity:8} {step.name}: {printable(step.text)}")
    if step.remedy:
        click.echo("         -> " + step.remedy.replace("\n", "\n            "))


def _say_event(event: Seen, number: int, *, as_json: bool) -> None:
    if as_json:
        print_json({
            "step": "event", "time": event.time, "channel": event.channel, "event_id": event.event_id,
            "computer": event.computer, "provider": event.provider, "record": event.record,
        })  # fmt: skip
    elif number <= SHOWN:
        words = (event.time, event.channel, event.event_id, event.computer, event.provider)
        click.echo(f"           {'  '.join(printable(word) for word in words)}")
    elif number == SHOWN + 1:
        click.echo("           ...")
