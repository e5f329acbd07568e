"""``wef gpo``: the group policy text that makes Windows machines come to this collector."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import click

from collector.auth.certificate import Authorities, thumbprint
from collector.cli.output import config_option, json_option, print_json
from collector.cli.settings import load_settings
from collector.config.settings import CollectorSettings, ListenerSettings

PATH = "/wsman/SubscriptionManager/WEC"
REFRESH = 1200
"""Seconds between two questions for subscriptions: 1,200 to 14,400 in production (subscriptions.md 5.14)."""
ANY_ADDRESS = ("*", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
POLICY = (
    "Computer Configuration > Policies > Administrative Templates > Windows Components > Event Forwarding >"
    " Configure target Subscription Manager"
)
REGISTRY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\EventLog\EventForwarding\SubscriptionManager"
WHERE = f"""\
Where it goes:
  {POLICY}: Enabled, Show..., one line for each value.
  Without a domain: {REGISTRY}, a REG_SZ named "1" (then "2", ...).
Also on each source:
  gpupdate /force
  the WinRM service running and starting by itself (winrm quickconfig -q)
  NETWORK SERVICE in the group Event Log Readers, for the Security log (restart the machine after it)
A source with several values sends everything to each of them: choose one for each source."""


@click.command()
@click.option("--refresh", default=REFRESH, show_default=True, type=click.IntRange(1, 604_800),
              help="Seconds after which a source asks again; 60 is for tests.")  # fmt: skip
@config_option
@json_option
def command(refresh: int, config: str | None, as_json: bool) -> None:
    """Print the exact policy text for each listener, and where it goes.

    The host is the listener's hostname, else this machine's full name. Over HTTPS there is one
    text for each CA in client_ca: IssuerCA is the CA that issued the source's certificate.
    """
    rows = list(policies(load_settings(config), refresh))
    if as_json:
        for row in rows:
            print_json(row)
        return
    for row in rows:
        click.echo(f"Listener {row['listener']}{_about(row)}:\n  {row['policy']}")
    click.echo(WHERE if rows else "There is no listener; add [listeners.NAME] to the settings.")


def policies(settings: CollectorSettings, refresh: int) -> Iterator[dict[str, Any]]:
    """A row for each listener and client CA. Raises ``OperatorError`` for a CA that cannot be read."""
    for name, listener in settings.listeners.items():
        server = f"Server={base_of(listener)}{PATH},Refresh={refresh}"
        note = ""
        if listener.port == 0 and listener.public_port is None:
            note = "its port is chosen at each start; put the one of the log line listening in place of 0"
        elif listener.authentication == ["none"]:
            note = "authentication none is for trials on this machine only, Windows sources cannot reach it"
        if "certificate" not in listener.authentication:
            yield {"listener": name, "policy": server, "issuer": None, "note": note}
            continue
        for authority in Authorities.load(listener.client_ca).certificates:
            yield {
                "listener": name,
                "policy": f"{server},IssuerCA={thumbprint(authority).upper()}",
                "issuer": authority.subject.rfc4514_string(),
                "note": note,
            }


def base_of(listener: ListenerSettings) -> str:
    """Scheme, host and port under which sources know *listener*, as far as the settings say.

    The host is *hostname*, else the one address it listens on, else this machine's full name.
    """
    host = listener.hostname
    if host is None:
        alone = listener.addresses[0] if len(listener.addresses) == 1 else "*"
        host = socket.getfqdn() if alone in ANY_ADDRESS else alone
    if ":" in host:
        host = f"[{host}]"
    return f"{listener.transport}://{host}:{listener.public_port or listener.port}"


def _about(row: dict[str, Any]) -> str:
    said = [f"for certificates issued by {row['issuer']}"] if row["issuer"] else []
    if row["note"]:
        said.append(row["note"])
    return f" ({'; '.join(said)})" if said else ""
