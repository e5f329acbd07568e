"""``wef tls``: certificates for a lab, so that HTTPS can be tried within a minute."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from collector.cli.output import json_option, print_json
from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.simulate.authority import Issued, issue, make_authority, revocation_list

CANNOT_CREATE = 73
SECRET, PUBLIC = 0o600, 0o644
AUTHORITY_NAME = "wef-collector lab CA"
_NAME = re.compile(r"[A-Za-z0-9:](?:[A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")


@click.group()
def command() -> None:
    """Make a lab certificate authority with certificates."""


def _checked(context: click.Context, parameter: click.Parameter, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    for name in (value,) if isinstance(value, str) else value:
        if not _NAME.fullmatch(name):
            raise click.BadParameter(f'"{name}" is no host name or IP address; write one such as wec.lab.example.')
    return value


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--server", required=True, callback=_checked, help="The name (or IP address) that sources will connect to."
)
@click.option(
    "--clients", default=1, show_default=True, type=click.IntRange(0, 10_000), help="How many client certificates."
)
@click.option(
    "--client", "names", multiple=True, callback=_checked, help="A client's name instead; repeat it for several."
)
@json_option
def init(folder: Path, server: str, clients: int, names: tuple[str, ...], as_json: bool) -> None:
    """Make a CA, a server certificate and client certificates in DIR.

    Writes ca.pem, ca.key, ca.crl, server.pem, server.key and clients/NAME.pem, clients/NAME.key.
    For labs: the keys have no passwords. Nothing is ever overwritten.
    """
    chosen = names or tuple(f"client{number}.lab.example" for number in range(1, clients + 1))
    targets = [*_SHARED, *(f"clients/{name}{suffix}" for name in chosen for suffix in (".pem", ".key"))]
    taken = [target for target in targets if (folder / target).exists()]
    if taken:
        raise OperatorError(
            f"{folder} already holds {', '.join(taken[:3])}{' and more' if len(taken) > 3 else ''};"
            " nothing was written. Name an empty folder, or remove it first.",
            exit_code=CANNOT_CREATE,
        )
    authority = make_lab(folder, server, chosen)
    if as_json:
        print_json({
            "folder": str(folder), "thumbprint": authority.thumbprint, "server": server, "clients": list(chosen),
        })  # fmt: skip
    else:
        click.echo(_next_steps(folder, server, chosen, authority))


_SHARED = ("ca.pem", "ca.key", "ca.crl", "server.pem", "server.key")


def make_lab(folder: Path, server: str, clients: Sequence[str]) -> Issued:
    """Write the files of a lab: ca, server and clients/NAME. Raises ``OperatorError`` (73)."""
    now = SystemClock().now()
    authority = make_authority(AUTHORITY_NAME, now)
    try:
        (folder / "clients").mkdir(parents=True, exist_ok=True)
        _write_pair(folder / "ca", authority)
        _write(folder / "ca.crl", revocation_list(authority, [], now), PUBLIC)
        _write_pair(folder / "server", issue(authority, [server], server=True, now=now))
        for name in clients:
            _write_pair(folder / "clients" / name, issue(authority, [name], server=False, now=now))
    except OSError as error:
        raise OperatorError(
            f"{error.filename or folder} cannot be written: {error.strerror}. Name a folder that you may write to.",
            exit_code=CANNOT_CREATE,
        ) from error
    return authority


def _write_pair(stem: Path, issued: Issued) -> None:
    _write(stem.with_name(f"{stem.name}.pem"), issued.pem(), PUBLIC)
    _write(stem.with_name(f"{stem.name}.key"), issued.key_pem(), SECRET)


def _write(path: Path, content: bytes, mode: int) -> None:
    """A new file; a key is never readable for others, not even for a moment."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def _next_steps(folder: Path, server: str, clients: tuple[str, ...], authority: Issued) -> str:
    shown = clients[0] if clients else "NAME"
    count = f"{len(clients)} client certificate{'s' if len(clients) != 1 else ''}"
    return f"""\
A lab CA, a certificate for {server} and {count} are in {folder}.
Thumbprint of the CA (IssuerCA in the policy): {authority.thumbprint}

Next:
1. In collector.toml:

[listeners.tls]
transport = "https"
hostname = "{server}"
certificate = "{folder.absolute() / "server.pem"}"
key = "{folder.absolute() / "server.key"}"
client_ca = ["{folder.absolute() / "ca.pem"}"]
crl = ["{folder.absolute() / "ca.crl"}"]

2. wef gpo shows the policy for the Windows side.
3. On Windows, import ca.pem into the machine's Trusted Root store and, on each source, its own certificate with key:
   openssl pkcs12 -export -in {folder}/clients/{shown}.pem -inkey {folder}/clients/{shown}.key -out {shown}.pfx
   certutil -importpfx {shown}.pfx; then let NETWORK SERVICE read its private key (certlm.msc, Manage Private Keys).
4. Without Windows: wef simulate --url https://{server}:5986 --sources {max(len(clients), 1)} --ca {folder}/ca.pem \\
     --cert '{folder}/clients/{{source}}.pem' --key '{folder}/clients/{{source}}.key'"""
