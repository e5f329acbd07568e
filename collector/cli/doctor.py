"""``wef doctor``: looks at keytabs, certificates, listeners and Windows' numbers, and says what to do.

Exit 0: nothing is wrong (warnings are not wrong); 1: there is a problem; 64 usage; 65 a file that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click

from collector.auth.keytab import KeytabError
from collector.cli.gpo import base_of
from collector.cli.output import config_option, json_option, print_json, printable
from collector.cli.settings import load_settings
from collector.clock import SystemClock
from collector.config.settings import CollectorSettings, ListenerSettings
from collector.doctor import rounds
from collector.doctor.codes import Explanation, NoNumber, explain, family_of
from collector.doctor.findings import Finding, problem, sick
from collector.doctor.listeners import look_at_ready
from collector.doctor.pile import UNREADABLE, Pile
from collector.doctor.probes import SystemResolver, ready
from collector.doctor.tickets import Asking
from collector.errors import OperatorError

WRONG = 1
MANY = 5
"""Explanations printed in full; a word that fits more is answered with a list."""

_PATH = click.Path(path_type=Path)
name_option = click.option(
    "--name", metavar="HOST", default=None, help="The name in the policy, if not the listener's."
)
as_option = click.option(
    "--as",
    "principal",
    metavar="PRINCIPAL",
    default=None,
    help="Who asks for a ticket, such as PC01$@CORP.EXAMPLE. Default: the accounts of the keytab.",
)
client_option = click.option(
    "--client-keytab",
    metavar="FILE",
    type=_PATH,
    default=None,
    help="The key of --as. Default: the tickets of kinit.",
)


@click.group()
def command() -> None:
    """Look at keytabs, certificates, listeners and error codes, and say what to do."""


@command.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=_PATH)
@name_option
@as_option
@client_option
@config_option
@json_option
@click.pass_context
def keytab(
    context: click.Context,
    files: tuple[Path, ...],
    name: str | None,
    principal: str | None,
    client_keytab: Path | None,
    config: str | None,
    as_json: bool,
) -> None:
    """What a keytab holds, whether the policy's name fits, and whether a ticket can be had and accepted.

    Without FILE: the keytabs of the settings.
    """
    asking = _asking(principal, client_keytab)
    if files:
        found = _named_keytabs(files, [name] if name else [], asking)
    else:
        found = _configured_keytabs(load_settings(config), name, asking)
    _say(context, found, as_json=as_json, nothing="No listener has a keytab.")


@command.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=_PATH)
@name_option
@click.option("--client", metavar="FILE", type=_PATH, default=None, help="Would this client certificate be let in?")
@config_option
@json_option
@click.pass_context
def cert(
    context: click.Context,
    files: tuple[Path, ...],
    name: str | None,
    client: Path | None,
    config: str | None,
    as_json: bool,
) -> None:
    """Dates, names, purposes, chains, keys and revocation lists; the IssuerCA for the policy.

    Without FILE: those of the settings. FILEs may be certificates, keys and revocation lists, in any order.
    """
    if files:
        found = rounds.of_pile(Pile.of([*files, client] if client else files), name, SystemClock())
    else:
        found = _configured_certificates(load_settings(config), name, client)
    _say(context, found, as_json=as_json, nothing="No listener has certificates.")


@command.command()
@click.argument("listeners", metavar="[NAME]...", nargs=-1)
@as_option
@client_option
@config_option
@json_option
@click.pass_context
def listener(
    context: click.Context,
    listeners: tuple[str, ...],
    principal: str | None,
    client_keytab: Path | None,
    config: str | None,
    as_json: bool,
) -> None:
    """Meet a running listener as a source does: name, port, TLS, answer, ticket, sealed request."""
    settings = load_settings(config)
    unknown = [name for name in listeners if name not in settings.listeners]
    if unknown:
        there = ", ".join(settings.listeners) or "none"
        raise click.UsageError(f"there is no listener {unknown[0]}; there are: {there}.")
    chosen = {name: settings.listeners[name] for name in listeners or settings.listeners}
    found = _visited(settings, chosen, _asking(principal, client_keytab))
    _say(context, found, as_json=as_json, nothing="There is no listener; add [listeners.NAME] to the settings.")


@command.command(context_settings={"ignore_unknown_options": True})
@click.argument("numbers", metavar="N...", nargs=-1, required=True)
@json_option
@click.pass_context
def code(context: click.Context, numbers: tuple[str, ...], as_json: bool) -> None:
    """Explain a number of Windows: 0x80338126, 2150859046, -2144108250, 5, an event id, or a symbol's name."""
    known = True
    for number in numbers:
        try:
            found = explain(number)
        except NoNumber as error:
            raise click.UsageError(str(error)) from error
        _explain(number, found, as_json=as_json)
        known = known and bool(found)
    if not known:
        context.exit(WRONG)


def _asking(principal: str | None, client_keytab: Path | None) -> Asking:
    if client_keytab is not None and principal is None:
        raise click.UsageError("--client-keytab needs --as: whose key of that file is it?")
    return Asking(principal, client_keytab)


def host_of(settings: ListenerSettings) -> str:
    """The host that ``wef gpo`` prints for this listener."""
    return urlsplit(base_of(settings)).hostname or ""


def _named_keytabs(files: Sequence[Path], hosts: Sequence[str], asking: Asking) -> Iterator[Finding]:
    for path in files:
        try:
            yield from rounds.of_keytab(path, hosts, asking, SystemClock(), SystemResolver())
        except KeytabError as error:
            raise OperatorError(*error.problems, exit_code=UNREADABLE) from error


def _configured_keytabs(settings: CollectorSettings, name: str | None, asking: Asking) -> Iterator[Finding]:
    for one in settings.listeners.values():
        if one.keytab is None:
            continue
        try:
            yield from rounds.of_keytab(
                one.keytab, [name or host_of(one)], asking, SystemClock(), SystemResolver(), allow_rc4=one.allow_rc4
            )
        except KeytabError as error:
            yield problem(f"keytab {one.keytab}", error.problems[0], "Make it, and name it in the listener's keytab.")


def _configured_certificates(settings: CollectorSettings, name: str | None, client: Path | None) -> Iterator[Finding]:
    for one in settings.listeners.values():
        if one.transport != "https":
            continue
        try:
            if client is not None:
                yield from rounds.of_client(client, one, SystemClock())
            else:
                yield from rounds.of_tls(one, name or host_of(one), SystemClock())
        except OperatorError as error:
            for sentence in error.problems:
                yield problem("file", sentence, "Name a file that is there and that the service's user may read.")


def _visited(settings: CollectorSettings, chosen: dict[str, ListenerSettings], asking: Asking) -> Iterator[Finding]:
    monitoring = settings.monitoring
    if chosen and monitoring.port:
        where = f"{monitoring.address}:{monitoring.port}"
        yield look_at_ready(ready(monitoring.address, monitoring.port), where)
    for name, one in chosen.items():
        yield from rounds.of_listener(name, one, host_of(one), asking, SystemClock(), SystemResolver())


def _say(context: click.Context, findings: Iterable[Finding], *, as_json: bool, nothing: str) -> None:
    """Each as soon as it is found: a KDC that does not answer takes its time."""
    said: list[Finding] = []
    for finding in findings:
        if finding in said:  # two listeners often share a keytab
            continue
        said.append(finding)
        if as_json:
            print_json({
                "severity": finding.severity, "subject": finding.subject, "text": finding.text,
                "remedy": finding.remedy,
            })  # fmt: skip
        else:
            click.echo(f"{finding.severity:8} {_shown(finding.subject)}: {_shown(finding.text)}")
            if finding.remedy:
                click.echo("         -> " + _shown(finding.remedy))
    if not said and not as_json:
        click.echo(nothing)
    if sick(said):
        context.exit(WRONG)


def _shown(text: str) -> str:
    """Lines after the first are indented; what a file holds cannot drive the terminal."""
    return "\n            ".join(printable(line) for line in text.splitlines())


def _explain(number: str, found: Sequence[Explanation], *, as_json: bool) -> None:
    family = family_of(number) if not found else None
    for one in found or ([family] if family is not None else []):
        if as_json:
            print_json({
                "code": number, "number": one.number, "symbol": one.symbol, "family": one.family, "fault": one.fault,
                "meaning": one.meaning, "cause": one.cause, "remedy": one.remedy, "known": bool(found),
            })  # fmt: skip
        elif len(found) > MANY:
            click.echo(f"{one.spellings}  {one.symbol}: {one.meaning}")
        else:
            click.echo(_paragraph(number, one, known=bool(found)))
    if found or family is not None:
        return
    if as_json:
        print_json({"code": number, "known": False})
    else:
        click.echo(f"{printable(number)} is not known. On Windows, net helpmsg NUMBER shows the text of Win32 errors.")


def _paragraph(number: str, one: Explanation, *, known: bool) -> str:
    head = (
        f"{one.symbol}  ({one.spellings})" if known else f"{printable(number)} is not in our tables ({one.spellings})."
    )
    lines = [head, f"  {one.meaning}"]
    if one.fault:
        lines.append(f"  SOAP fault: {one.fault}")
    if one.cause:
        lines.append(f"  Usual cause: {one.cause}")
    if one.remedy:
        lines.append(f"  What to do: {one.remedy}")
    return "\n".join(lines)
