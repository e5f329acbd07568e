"""``wef winrm``: what a Windows machine, or another collector, says of its WinRM; ``winrm`` for Linux, reading only.

Exit 0: answered; 1: an answer that is a fault, or none of WS-Management; 69: not reached; 77: not permitted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import click

from collector.cli.calling import Calling, calling_of, calling_options, new_id
from collector.cli.output import config_option, json_option, print_json, printable
from collector.doctor.asking import Asking, Unbelievable
from collector.doctor.remote import NO_WINRM, Kind, of_fault, of_trouble
from collector.wire.trouble import Trouble
from collector.wsman import calls, names
from collector.wsman.answers import Answer, Enumerated, Got, IdentifyResponse, Pulled, SourceFault
from collector.wsman.config_resource import ConfigNode, config_text, parse_config, write_config
from collector.wsman.xml import XmlError

EXITS: dict[Kind, int] = {"wrong": 1, "unreachable": 69, "denied": 77}
TIMEOUT = 60.0
"""Seconds: MaxTimeoutms of a machine as it is shipped."""
ROUNDS = 1000
"""Pulls of one enumeration: a machine that has no end is not waited for."""
ALIASES = {
    # as winrm has them, with what stands behind them (winrm help alias)
    "winrm/": "http://schemas.microsoft.com/wbem/wsman/1/",
    "wmicimv2/": "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/",
    "wmi/": "http://schemas.microsoft.com/wbem/wsman/1/wmi/",
    "cimv2/": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/",
}
_PAIR = re.compile(r'([A-Za-z_][\w.-]*)=(?:"([^"]*)"|([^+"]*))(?:\+|$)')

resource_argument = click.argument("resource", metavar="[RESOURCE]", default="winrm/config")
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "xml", "json"]),
    default="text",
    show_default=True,
    help="text as winrm prints it, the XML as it came, or one JSON object a line.",
)


@click.group()
def command() -> None:
    """Ask a Windows machine about its WinRM: who it is, how it is set, where it listens. Nothing is changed."""


@command.command("id")
@calling_options
@format_option
@config_option
@json_option
@click.pass_context
def id_(context: click.Context, /, config: str | None, form: str, as_json: bool, **given: Any) -> None:
    """Who answers there, and what it takes as a proof (winrm id)."""

    async def asked(asking: Asking) -> None:
        answer = await asking.ask(lambda _: calls.write_identify(), timeout=TIMEOUT, related=False)
        if not isinstance(answer, IdentifyResponse):
            raise _Fault(answer)
        node = _identity(answer)
        _show(node, write_config(node, namespace=names.IDENTITY), "json" if as_json else form)

    _run(context, calling_of(config, given), asked)


@command.command()
@calling_options
@resource_argument
@format_option
@config_option
@json_option
@click.pass_context
def get(context: click.Context, /, config: str | None, resource: str, form: str, as_json: bool, **given: Any) -> None:
    """One resource, such as winrm/config/service or winrm/config/listener?Address=*+Transport=HTTP (winrm get)."""
    uri, selectors = resource_of(resource)
    calling = calling_of(config, given)
    voice = calls.Voice(calling.url, uri)

    async def asked(asking: Asking) -> None:
        answer = await asking.ask(
            lambda said: calls.write_get(voice, selectors, message_id=said, timeout=TIMEOUT), timeout=TIMEOUT
        )
        if not isinstance(answer, Got):
            raise _Fault(answer)
        _show(parse_config(answer.document), answer.document, "json" if as_json else form)

    _run(context, calling, asked)


@command.command()
@calling_options
@resource_argument
@format_option
@config_option
@json_option
@click.pass_context
def enumerate(
    context: click.Context, /, config: str | None, resource: str, form: str, as_json: bool, **given: Any
) -> None:
    """All of a kind, such as winrm/config/listener (winrm enumerate)."""
    uri, selectors = resource_of(resource)
    if selectors:
        raise click.UsageError(f'"{resource}" chooses one; wef winrm get shows it.')
    calling = calling_of(config, given)

    async def asked(asking: Asking) -> None:
        shown = 0
        async for document in _items(asking, calls.Voice(calling.url, uri)):
            if shown and form == "text" and not as_json:
                click.echo()
            _show(parse_config(document), document, "json" if as_json else form)
            shown += 1

    _run(context, calling, asked)


def resource_of(written: str) -> tuple[str, Sequence[tuple[str, str]]]:
    """The URI and the selectors of a resource as winrm takes it. Raises ``UsageError``."""
    name, mark, chosen = written.partition("?")
    uri = name.rstrip("/")
    if "://" not in uri:
        short = next((alias for alias in ALIASES if f"{uri}/".lower().startswith(alias)), None)
        if short is None:
            known = ", ".join(alias.rstrip("/") for alias in ALIASES)
            raise click.UsageError(f'"{written}" is no resource; write winrm/config, a URI, or one below {known}.')
        uri = (ALIASES[short] + f"{uri}/"[len(short) :]).rstrip("/")
    selectors, at = [], 0
    while at < len(chosen):
        pair = _PAIR.match(chosen, at)
        if pair is None:
            raise click.UsageError(f'"{chosen}": write selectors as Address=*+Transport=HTTP.')
        selectors.append((pair[1], pair[2] if pair[2] is not None else pair[3]))
        at = pair.end()
    if mark and not selectors:
        raise click.UsageError(f'"{written}": behind ? there should be selectors, such as Address=*+Transport=HTTP.')
    return uri, selectors


class _Fault(Exception):
    """Another answer than the one that was asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(type(answer).__name__)
        self.answer = answer


async def _items(asking: Asking, voice: calls.Voice) -> AsyncIterator[str]:
    """The XML of every item; the machine gives them in portions."""
    answer = await asking.ask(
        lambda said: calls.write_resource_enumerate(voice, message_id=said, timeout=TIMEOUT), timeout=TIMEOUT
    )
    if not isinstance(answer, Enumerated):
        raise _Fault(answer)
    for item in answer.items:
        yield item
    context, ended = answer.context, answer.ended
    for _ in range(ROUNDS):
        if ended or not context:
            return

        def write(said: str, at: str = context) -> str:
            return calls.write_resource_pull(voice, at, message_id=said, timeout=TIMEOUT, max_elements=1000)

        more = await asking.ask(write, timeout=TIMEOUT)
        if not isinstance(more, Pulled):
            raise _Fault(more)
        for item in more.pieces:
            yield item
        context, ended = more.context or context, more.ended
    raise Unbelievable(f"{asking.url}: it has gone on for {ROUNDS} answers; there is no end to it", 200)


def _run(context: click.Context, calling: Calling, asked: Callable[[Asking], Awaitable[None]]) -> None:
    """Ask, and turn what goes wrong into sentences and an exit code."""
    delay = calling.pull.network_delay

    async def asking() -> None:
        async with calling.access.connection(calling.url, timeout=TIMEOUT + delay) as connection:
            await asked(Asking(calling.url, connection, new_id, delay))

    try:
        asyncio.run(asking())
    except Trouble as trouble:
        kind, remedy = of_trouble(trouble, calling.credentials.mechanism)
        _complain(str(trouble), remedy)
        context.exit(EXITS[kind])
    except Unbelievable as error:
        _complain(str(error), NO_WINRM)
        context.exit(EXITS["denied" if error.status in (401, 403) else "wrong"])
    except XmlError as error:
        _complain(f"{calling.url}: what it sent is no XML that can be read: {error}", "")
        context.exit(EXITS["wrong"])
    except _Fault as error:
        answer = error.answer
        if not isinstance(answer, SourceFault):
            _complain(f"{calling.url}: it answers something else ({type(answer).__name__})", "")
            context.exit(EXITS["wrong"])
        kind, said, remedy = of_fault(answer)
        _complain(f"{calling.url}: {said}", remedy)
        context.exit(EXITS[kind])


def _complain(said: str, remedy: str) -> None:
    click.echo(printable(said), err=True)
    if remedy:
        click.echo("  -> " + remedy.replace("\n", "\n     "), err=True)


def _identity(answer: IdentifyResponse) -> ConfigNode:
    profiles = [ConfigNode("SecurityProfileName", names.SECURITY_PROFILE + profile) for profile in answer.profiles]
    known = [
        ConfigNode("ProtocolVersion", names.WSMAN),
        ConfigNode("ProductVendor", answer.vendor),
        ConfigNode("ProductVersion", answer.version),
    ]
    if profiles:
        known.append(ConfigNode("SecurityProfiles", children=profiles))
    return ConfigNode("IdentifyResponse", children=known)


def _show(node: ConfigNode, xml: str, form: str) -> None:
    match form:
        case "json":
            print_json({node.name: as_value(node)})
        case "xml":
            click.echo(xml)
        case _:
            click.echo(config_text(node), nl=False)


def as_value(node: ConfigNode) -> Any:
    """*node* for JSON: a text, or an object; elements of one name are a list. A policy's value says so."""
    if not node.children:
        return node.text if node.source is None else {"value": node.text, "source": node.source}
    found: dict[str, Any] = {}
    for child in node.children:
        value = as_value(child)
        if child.name in found:
            before = found[child.name]
            found[child.name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[child.name] = value
    return found
