"""Which credentials are shown to which directory, and a sentence where none can be: an ``Asks`` for lists of sources.

Two rooms meet here that must not know each other: ``subscriptions.directory`` talks LDAP, ``auth`` has the tickets.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from collector.auth.credentials import Credentials, Target
from collector.clock import Clock
from collector.config.pull import CredentialsSettings
from collector.errors import CollectorError
from collector.subscriptions.sources import DirectorySources, SourceProblem
from collector.wire.access import credentials_of
from collector.wire.tls import tls_context

if TYPE_CHECKING:
    from collector.auth.gss_initiator import Handshake
    from collector.auth.tickets import Tickets
    from collector.subscriptions.directory import Proof

LDAP_MISSING = "the package ldap3 is missing; install wef-collector[ldap]"
SHOWN = ("kerberos", "negotiate")
"""Mechanisms whose credentials a directory can be shown."""


class Directories:
    """Asks directories as those whom the settings name. Threads may share it."""

    def __init__(self, credentials: Mapping[str, CredentialsSettings], clock: Clock) -> None:
        self._written = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._tickets: dict[str, Tickets] = {}

    def __call__(self, listed: DirectorySources) -> Sequence[str]:
        """The values of the attribute. Raises ``SourceProblem``."""
        if trouble := trouble_of(listed, self._written):
            raise SourceProblem(f"{listed.url}: {trouble}")
        name = named(listed, self._written)
        from collector.subscriptions.directory import search  # an extra, and 10 MB that others do without

        try:
            mine = credentials_of(name, self._written[name]) if name is not None else None
            context = tls_context(mine.ca if mine is not None else None, None, None)
            proof = self._proof(listed, name, mine)
        except CollectorError as error:
            raise SourceProblem(f"{listed.url}: {error}") from error
        return search(listed, proof, context, self._clock.monotonic)

    def _proof(self, listed: DirectorySources, name: str | None, mine: Credentials | None) -> Proof:
        from collector.subscriptions.directory import Account

        if name is None or mine is None:
            return None
        if listed.bind == "simple":
            return Account(mine.account or "", mine.password or "")
        tickets = self._tickets_of(name, mine)

        def begin(host: str, served: bytes | None) -> Handshake:
            from collector.auth.binding import endpoint_binding
            from collector.auth.gss_initiator import Handshake

            spn = Target(host, 0, served is not None).spn("ldap")
            binding = endpoint_binding(served) if served is not None else None
            # inside TLS a domain controller refuses whom it should seal for a second time
            return Handshake(tickets.current(), spn, mutual=True, binding=binding, sealing=served is None)

        return begin

    def _tickets_of(self, name: str, mine: Credentials) -> Tickets:
        from collector.auth.tickets import Tickets

        with self._lock:
            if name not in self._tickets:
                self._tickets[name] = Tickets(replace(mine, mechanism="kerberos"), self._clock)
            return self._tickets[name]


def named(listed: DirectorySources, written: Mapping[str, CredentialsSettings]) -> str | None:
    """The name of the credentials that *listed* is asked with: its own, else the only ones there are."""
    if listed.credentials is not None or len(written) != 1:
        return listed.credentials
    only = next(iter(written))
    return only if written[only].mechanism in SHOWN else None


def trouble_of(listed: DirectorySources, written: Mapping[str, CredentialsSettings]) -> str | None:
    """Why *listed* can never be asked with these settings; a sentence without its end."""
    if find_spec("ldap3") is None:
        return LDAP_MISSING
    from collector.subscriptions.directory import mistake_in

    if mistake := mistake_in(listed):
        return mistake
    name = named(listed, written)
    if name is None:
        return None
    if name not in written:
        known = ", ".join(written) or "none"
        return f'there are no credentials "{name}"; there are: {known}'
    mine = written[name]
    if mine.mechanism not in SHOWN:
        return f"credentials {name} are of mechanism {mine.mechanism}; a directory takes {' or '.join(SHOWN)}"
    if listed.bind == "simple" and mine.password is None:
        return f"credentials {name} have no password, and bind simple needs username and password"
    if listed.bind == "kerberos" and find_spec("gssapi") is None:
        return "the package gssapi is missing; install wef-collector[kerberos]"
    return None
