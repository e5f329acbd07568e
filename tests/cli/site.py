"""A small site on disk for the tests of commands: certificates, subscriptions, settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.simulate.authority import Issued, issue, make_authority, revocation_list

HOST = "wec.corp.example"
NOW = datetime.now(UTC)  # noqa: TID251 - the commands under test look at the real clock
SUBSCRIPTION = '[[select]]\nchannel = "Security"\n'


def make_keys(
    folder: Path, *, names: tuple[str, ...] = (HOST,), age: timedelta = timedelta(0), crl_age: timedelta = timedelta(0)
) -> Issued:
    """ca.pem, ca.crl, server.pem and server.key in *folder*; *age* moves the server's dates into the past."""
    authority = make_authority("Test CA", NOW)
    server = issue(authority, names, server=True, now=NOW - age)
    (folder / "ca.pem").write_bytes(authority.pem())
    (folder / "ca.crl").write_bytes(revocation_list(authority, [], NOW - crl_age))
    (folder / "server.pem").write_bytes(server.pem())
    (folder / "server.key").write_bytes(server.key_pem())
    (folder / "server.key").chmod(0o600)
    return authority


def make_site(folder: Path, *, listener: str = "", more: str = "", host: str = HOST) -> Path:
    """collector.toml with an HTTPS listener and one subscription; the keys are made by ``make_keys``."""
    (folder / "subscriptions").mkdir(exist_ok=True)
    (folder / "subscriptions" / "one.toml").write_text(f'name = "one"\n{SUBSCRIPTION}')
    path = folder / "collector.toml"
    path.write_text(f"""
min_free = "1KiB"
[subscriptions]
revision = "r1"
[listeners.tls]
transport = "https"
hostname = "{host}"
certificate = "server.pem"
key = "server.key"
client_ca = ["ca.pem"]
{listener}
{more}
""")
    return path
