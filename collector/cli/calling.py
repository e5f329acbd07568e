"""How commands call a Windows machine: HOST and the options that say by which way and as whom.

The settings need not be there; where they are, their ``[credentials]`` and ``[pull]`` count.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import ValidationError

from collector.cli.settings import load_settings
from collector.config.explain import explain
from collector.config.load import VARIABLE, find
from collector.config.paths import Place
from collector.config.pull import CredentialsSettings, Mechanism, PullSettings
from collector.config.settings import CollectorSettings
from collector.errors import OperatorError
from collector.subscriptions.sources import DEFAULT_PORTS, SourceAddress, SourceProblem, parse_source
from collector.wire.access import Access

USAGE = 64
_OWN = ("mechanism", "principal", "keytab", "ccache", "username", "password_file", "certificate", "key", "ca", "trust")
"""Options that are credentials of their own."""
_SPELLED = {"password": "password-file", "trusted_hosts": "trust"}
"""Options that are called otherwise than the setting."""
_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Calling:
    """Whom to call, and as whom: *credentials* are at work in *access*. *settings* None: there are none."""

    url: str
    source: SourceAddress
    credentials: CredentialsSettings
    access: Access
    pull: PullSettings
    settings: CollectorSettings | None

    @property
    def port(self) -> int:
        return self.source.port or DEFAULT_PORTS[self.source.transport or "http"]

    @property
    def secure(self) -> bool:
        return self.source.transport == "https"


def new_id() -> str:
    """A fresh message id, as Windows writes them."""
    return f"uuid:{str(uuid.uuid4()).upper()}"


def calling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """HOST and its options, put on *command*; ``calling_of`` takes what they were given."""
    for option in reversed(
        (
            click.argument("host", metavar="HOST"),
            click.option("--credentials", metavar="NAME", help="A [credentials.NAME] of the settings."),
            click.option("--mechanism", type=click.Choice(get_args(Mechanism)), help="Without settings: as whom."),
            click.option("--principal", metavar="NAME", help="Whose key of --keytab, or whose tickets in --ccache."),
            click.option("--keytab", type=_FILE, metavar="FILE", help="Keys to get a ticket with."),
            click.option(
                "--ccache", metavar="CACHE", help="Tickets that kinit got. Default: those of whoever runs it."
            ),
            click.option("--username", metavar="NAME", help="An account, with --password-file."),
            click.option("--password-file", type=_FILE, metavar="FILE", help="Its password."),
            click.option("--certificate", type=_FILE, metavar="FILE", help="Our certificate, for https."),
            click.option("--key", type=_FILE, metavar="FILE", help="Its key."),
            click.option("--ca", type=_FILE, metavar="FILE", help="Who issued the machine's certificate."),
            click.option(
                "--trust", metavar="PATTERN", multiple=True, help="WinRM's TrustedHosts: ask no proof of these."
            ),
            click.option("--https", is_flag=True, help="Call by https. Default with a certificate."),
            click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Default: 5985, https 5986."),
            click.option("--prefix", metavar="PATH", help="WinRM's URLPrefix. Default: wsman."),
        )
    ):
        command = option(command)
    return command


def calling_of(config: str | None, given: dict[str, Any]) -> Calling:
    """What ``calling_options`` were given, taken out of *given*. Raises ``UsageError`` and ``OperatorError``."""
    host, name = given.pop("host"), given.pop("credentials")
    own = {key: given.pop(key) for key in _OWN}
    https, port, prefix = given.pop("https"), given.pop("port"), given.pop("prefix")
    settings = _settings(config, needed=name is not None)
    pull = settings.pull if settings is not None else PullSettings()
    try:
        source = parse_source(host)
    except SourceProblem as error:
        raise click.UsageError(str(error)) from error
    label, credentials = _credentials(settings, name, {key: value for key, value in own.items() if value})
    secure = https or (source.transport == "https" if source.transport else credentials.mechanism == "certificate")
    source = SourceAddress(
        source.host,
        port or source.port or (pull.https_port if secure else pull.http_port),
        "https" if secure else "http",
        prefix.strip("/") if prefix else source.prefix,
    )
    url = source.url(pull.http_port, pull.https_port, pull.url_prefix)
    try:
        access = Access(label, credentials, pull)
    except OperatorError as error:
        if name is None and any(own.values()):
            raise OperatorError(*(_as_options(text) for text in error.problems), exit_code=USAGE) from error
        raise
    return Calling(url, source, credentials, access, pull, settings)


def _settings(config: str | None, *, needed: bool) -> CollectorSettings | None:
    """The settings, where there are some or some were named."""
    try:
        find(config)
    except OperatorError:
        if needed or config or os.environ.get(VARIABLE):
            raise
        return None
    return load_settings(config)


def _credentials(
    settings: CollectorSettings | None, name: str | None, own: dict[str, Any]
) -> tuple[str, CredentialsSettings]:
    """Those that were named, those of the options, the only ones of the settings, or the tickets of whoever runs us."""
    known = settings.credentials if settings is not None else {}
    if name is not None:
        if own:
            raise click.UsageError(
                f"--credentials {name} says all there is to say; leave out --{_dashed(next(iter(own)))}."
            )
        if name not in known:
            there = ", ".join(known) or "none"
            raise click.UsageError(f"there is no [credentials.{name}] in the settings; there are: {there}.")
        return name, known[name]
    if own:
        return "given", _given(own)
    if len(known) > 1:
        raise click.UsageError(f"the settings have several credentials; say --credentials {' or '.join(known)}.")
    return next(iter(known.items()), ("given", CredentialsSettings(mechanism="kerberos")))


def _given(own: dict[str, Any]) -> CredentialsSettings:
    written = {key: value for key, value in own.items() if key not in ("password_file", "trust")}
    written.setdefault("mechanism", "certificate" if "certificate" in own else "kerberos")
    if "password_file" in own:
        written["password"] = {"file": str(own["password_file"])}
    if "trust" in own:
        written["trusted_hosts"] = list(own["trust"])
    try:
        return CredentialsSettings.model_validate(written, context=Place(Path(), os.environ))
    except ValidationError as error:
        said = [f"--{_dashed(str(where[-1]))}: {text}" for where, text in explain(error, CredentialsSettings)]
        raise click.UsageError(" ".join(said)) from error


def _as_options(text: str) -> str:
    """``at credentials.given.keytab: ...`` as ``--keytab: ...``."""
    return f"--{_dashed(text.removeprefix('at credentials.given.'))}" if text.startswith("at credentials.") else text


def _dashed(name: str) -> str:
    word, colon, rest = name.partition(":")
    return _SPELLED.get(word, word).replace("_", "-") + colon + rest
