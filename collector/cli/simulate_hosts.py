"""The part of ``wef simulate`` that is for machines which wait to be pulled: ``--serve`` and what belongs to it.

Other options keep their meaning where they have one for both; what a certificate or a keytab is for is turned round,
because here the machines are the servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from collector.clock import SystemClock
from collector.simulate.fleet import FleetOptions, Progress
from collector.simulate.host_fleet import HostFleet, ServeOptions
from collector.simulate.host_manners import MOODS
from collector.simulate.host_nature import HostNature
from collector.simulate.ledger import Verdict

_SERVING = ("address", "port", "hosts", "host_name", "style", "linger", "mood")


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of ``--serve``, put on *command*."""
    for option in reversed(
        (
            click.option(
                "--serve",
                is_flag=True,
                help="Instead of --url: listen like WinRM, and wait for a collector that pulls.",
            ),
            click.option(
                "--address",
                metavar="ADDRESS",
                default="127.0.0.1",
                show_default=True,
                help="Of --serve: the sources get ports of their own on it. A network such as 127.1.0.0/16: an address"
                " for each, and one port for all.",
            ),
            click.option(
                "--port",
                type=click.IntRange(0, 65535),
                default=0,
                metavar="N",
                help="Of --serve: the first one's. Default: any free ports.",
            ),
            click.option(
                "--hosts",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help='Of --serve: write the URLs there, for sources = { file = "FILE" }.',
            ),
            click.option(
                "--host-name",
                metavar="NAME",
                help="Of --serve: how the URLs call the machines, instead of by address; {source} as above. Kerberos"
                " and certificates go by names.",
            ),
            click.option(
                "--style",
                type=click.Choice(["windows", "openwsman"]),
                default="windows",
                show_default=True,
                help="Of --serve: whose habits the machines have.",
            ),
            click.option(
                "--linger",
                type=click.FloatRange(0, 60),
                default=0.0,
                show_default=True,
                metavar="S",
                help="Of --serve: an event waits so long for company before it is handed over.",
            ),
            click.option(
                "--mood",
                multiple=True,
                metavar="MOOD=SHARE",
                help="Of --serve: that share of requests meets this mood, such as cut-body=0.01. Several times.",
            ),
        )
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was given of ``--serve``."""

    address: str
    port: int
    hosts: Path | None
    host_name: str | None
    style: str
    linger: float
    moods: Mapping[str, float]
    charset: str | None
    ca: str | None
    cert: str | None
    key: str | None
    keytab: str | None
    mechanism: str | None

    def crew(self, population: FleetOptions, *, quiet: bool) -> HostCrew:
        """The machines, made of *population*; unless *quiet* they tell where they are. Raises ``OperatorError``."""
        serve = ServeOptions(
            replace(population, url=""),
            address=self.address,
            port=self.port,
            mechanism=self.mechanism or ("certificate" if self.ca else "none"),
            keytab=_path(self.keytab),
            ca=_path(self.ca),
            certificate=_path(self.cert),
            key=_path(self.key),
            host_name=self.host_name,
            hosts=self.hosts,
            nature=HostNature(style=self.style, linger=self.linger, charset=self.charset),
            moods=self.moods,
        )
        return HostCrew(HostFleet(serve, SystemClock()), self.hosts, quiet=quiet)


class HostCrew:
    """A ``HostFleet`` that tells people where it listens."""

    def __init__(self, fleet: HostFleet, hosts: Path | None, *, quiet: bool) -> None:
        self._fleet = fleet
        self._hosts = hosts
        self._quiet = quiet

    @property
    def notes(self) -> list[str]:
        return self._fleet.notes

    async def run(
        self, on_progress: Callable[[Progress], None] | None = None, stop: asyncio.Event | None = None
    ) -> Verdict:
        return await self._fleet.run(on_progress, stop, self._ready)

    def _ready(self, urls: Sequence[str]) -> None:
        what = f"{len(urls)} machines listen, from {urls[0]} to {urls[-1]}" if len(urls) > 1 else f"{urls[0]} listens"
        if self._hosts is not None:
            what += f"; {self._hosts} has the list"
        elif not self._quiet:
            for url in urls:
                click.echo(url)
        click.echo(f"{what}. Waiting for a collector; Ctrl-C ends it.", err=True)


def taken(given: dict[str, Any]) -> Waiting | None:
    """What of *given* belongs to ``--serve``, taken out of it; None without. Raises ``click.UsageError``."""
    own = {name: given.pop(name) for name in _SERVING}
    context = click.get_current_context()
    told = {name for name in (*own, "charset") if _told(context, name)}
    if not given.pop("serve"):
        if not given["url"]:
            raise click.UsageError("Missing option '--url': where to push to; or give --serve, to wait to be pulled.")
        if told - {"charset"}:
            named = ", ".join(f"--{name.replace('_', '-')}" for name in own if name in told)
            raise click.UsageError(f"{named}: for --serve only.")
        return None
    if given["url"]:
        raise click.UsageError("--url and --serve: the machines push, or they wait to be pulled; give one of them.")
    if given["principal"]:
        raise click.UsageError("--principal: with --serve any key of --keytab will do; leave it out.")
    given["url"] = ""
    mood = own.pop("mood")
    showing = {name: given.pop(name) for name in ("ca", "cert", "key", "keytab", "mechanism")}
    given |= dict.fromkeys(showing)
    charset = given["charset"].lower() if "charset" in told else None
    return Waiting(**own, moods=_moods(mood), charset=charset, **showing)


def _told(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def _moods(given: Sequence[str]) -> dict[str, float]:
    moods: dict[str, float] = {}
    for entry in given:
        mood, _, share = entry.partition("=")
        try:
            moods[mood] = float(share)
        except ValueError:
            moods[mood] = -1.0
        if mood not in MOODS or not 0 < moods[mood] <= 1:
            raise click.BadParameter(
                f"{entry!r} is no mood and share; write for example cut-body=0.01. Moods are: {', '.join(MOODS)}.",
                param_hint="--mood",
            )
    return moods


def _path(value: str | None) -> Path | None:
    return Path(value) if value is not None else None
