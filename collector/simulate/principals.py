"""As whom a pretend source asks for Kerberos tickets, and what the sources are called when a keytab decides it.

It knows keytabs, names and where the collector is; no messages and no HTTP.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from collector.auth.binding import endpoint_binding
from collector.auth.credentials import Credentials
from collector.auth.initiator import Initiator, NotAuthenticated
from collector.auth.initiators import Initiators
from collector.auth.keytab import Entry, read_keytab
from collector.errors import OperatorError
from collector.simulate.certificates import MARK, filled, present
from collector.wire.proof import Proof

SHORT = "{SOURCE}"
PRINCIPAL = "{SOURCE}$"
"""The machine account of a domain member: its NetBIOS name and a dollar sign (captured, protocol.md 3.3)."""
NETBIOS = 15
"""Characters of the longest NetBIOS name; Windows cuts longer host names off."""
DESKS = 4
"""Sources of a fleet that ask the KDC at the same moment. Each waits in a thread of the event loop's pool, which has
five at least and looks up host names as well: a KDC that does not answer shall not take them all."""


class Principals:
    """The Kerberos side of a fleet: the principal and the keytab of each source.

    *mechanism* is kerberos or negotiate. In *keytab* and *principal* ``{source}`` is the source's name and
    ``{SOURCE}`` its first label in capitals, as machine accounts are called; a *principal* without realm is in
    the default realm of krb5.conf. Without *keytab* all show the ticket of whoever runs this (kinit).
    """

    def __init__(self, url: str, mechanism: str, keytab: str | None, principal: str | None) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme.lower() == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (5986 if self._secure else 5985)
        self._mechanism = mechanism
        self._keytab = keytab
        self._principal = principal or (PRINCIPAL if keytab else None)
        self._desks = asyncio.Semaphore(DESKS)

    @property
    def shared(self) -> bool:
        """Every source shows the same ticket, so that the collector sees one and the same source."""
        return self._principal is None or self._principal == _named(self._principal, "a.b")

    def names(self, made_up: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """(name, role) of each source: *made_up*, unless the keytabs that are there are of others.

        Raises ``OperatorError`` when there are not enough of them.
        """
        if self._keytab is None or self.shared or not made_up:
            return list(made_up)
        held: Sequence[str] = ()
        if MARK in self._keytab:
            fits = all(Path(filled(self._keytab, name)).exists() for name, _ in made_up)
            found = [] if fits else present(self._keytab)
        else:
            entries = read_keytab(Path(self._keytab))
            held = list(dict.fromkeys(entry.principal for entry in entries))
            fits = {self.principal(name) for name, _ in made_up} <= {*held, *(entry.name for entry in entries)}
            found = [] if fits else self._members(entries)
        if not fits and len(found) < len(made_up):
            raise OperatorError(
                f"keytab {self._keytab}: there are keys of {len(found)} principals like {self._principal}, and "
                f"{len(made_up)} sources; add keys, such as {self.principal(made_up[0][0])}, or give fewer --sources."
                + (f" It holds {', '.join(held[:5])}." if held else "")
            )
        return list(made_up) if fits else [(name, role) for name, (_, role) in zip(found, made_up, strict=False)]

    def principal(self, source: str) -> str | None:
        """The principal of *source*, with a realm where the pattern has one."""
        return _named(self._principal, source) if self._principal is not None else None

    def prove(self, source: str) -> Callable[[], Proof]:
        """What makes the proof of each connection of *source*; they share its tickets.

        Raises ``OperatorError`` where the package gssapi is missing.
        """
        credentials = Credentials(
            mechanism=self._mechanism,
            principal=self.principal(source),
            keytab=filled(self._keytab, source) if self._keytab is not None else None,
        )
        initiators = Initiators(credentials)

        def begin(certificate: bytes | None) -> Initiator:
            try:
                binding = endpoint_binding(certificate) if certificate is not None else None
            except ValueError as error:  # what OpenSSL takes, others may not
                raise NotAuthenticated(f"the certificate of {self._host} cannot be read: {error}") from error
            return initiators.new(self._host, self._port, secure=self._secure, binding=binding)

        return lambda: Proof(begin, self._desks)

    def _members(self, entries: Sequence[Entry]) -> list[str]:
        """Names of machines whose principals the pattern could have made: pc01.corp.example for PC01$@CORP.EXAMPLE."""
        assert self._principal is not None
        wanted = re.compile(re.sub(r"\\\{(?:SOURCE|source)\\\}", "([^/@$]+)", re.escape(self._principal)))
        found: dict[str, None] = {}
        for entry in entries:
            match = wanted.fullmatch(entry.principal) or wanted.fullmatch(entry.name)
            if match is not None:
                name = match[1].lower()
                found[name if "." in name else f"{name}.{entry.realm.lower()}"] = None
        return list(found)


def _named(pattern: str, source: str) -> str:
    return filled(pattern.replace(SHORT, source.partition(".")[0][:NETBIOS].upper()), source)
