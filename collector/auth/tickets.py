"""Our own tickets: one for all connections of one set of credentials, renewed before it ends.

It decides when to ask a KDC and when not to; how is ``gss_initiator``'s, and what a failure means ``remedies``'.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from collector.auth import remedies
from collector.auth.credentials import Credentials
from collector.auth.gss import GssRefusal
from collector.auth.gss_initiator import Ticket, password_ticket, stored_ticket
from collector.auth.initiator import NotAuthenticated
from collector.auth.keytab import read_keytab
from collector.clock import Clock
from collector.errors import OperatorError

MARGIN = 300
"""Seconds before its end at which a ticket is too old for a new connection: the clocks may differ as much."""
PAUSE = 5.0
"""Seconds in which a failure answers for those that come after it: hundreds of connections shall not each wait for a
KDC that is away."""
LOCKOUT_PAUSE = 900.0
"""The same after a refused password or key. Active Directory locks accounts after some wrong tries in 30 minutes, often
ten or fewer; two can lock nobody out."""


@dataclass(frozen=True, slots=True)
class _Failure:
    said: str
    until: float
    keytab: int | None


class Tickets:
    """The tickets of one set of credentials. Threads may share it, and wait for each other while the KDC is asked.

    Service tickets are kept with the ticket they were had with, so a target costs one question as long as that lives.
    """

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Ticket | None = None
        self._failure: _Failure | None = None
        # Two caches in turn: the one that is renewed into is not the one that running handshakes look into.
        # Their number is fixed because the library keeps a cache in memory until the process ends.
        self._caches = [f"MEMORY:wef-{uuid.uuid4()}" for _ in range(2)]

    def current(self) -> Ticket:
        """A ticket for a new connection. May ask a KDC, which can take seconds. Raises ``NotAuthenticated``."""
        with self._lock:
            held = self._held
            remaining = held.remaining if held is not None else 0
            if held is not None and remaining > MARGIN:
                return held
            trouble = self._pause() or self._renew()
            if trouble is not None and not remaining:  # an old ticket is better than none
                raise trouble
            assert self._held is not None
            return self._held if self._lasts() else self._let_go(self._held)

    def _renew(self) -> NotAuthenticated | None:
        """Ask for a new ticket; why there is none. The pause counts for those who still have an old one as well."""
        try:
            self._held, self._failure = self._acquired(), None
        except GssRefusal as refusal:
            return self._remember(refusal)
        return None

    def _acquired(self) -> Ticket:
        credentials, negotiate = self._credentials, self._credentials.mechanism == "negotiate"
        if credentials.password is not None:
            assert credentials.account is not None
            return password_ticket(credentials.account, credentials.password, negotiate=negotiate)
        store = {"ccache": credentials.ccache} if credentials.ccache is not None else {}
        if credentials.keytab is not None:
            store = {"client_keytab": credentials.keytab, "ccache": self._caches[0]}
        ticket = stored_ticket(store, credentials.account, negotiate=negotiate)
        self._caches.reverse()
        return ticket

    def _lasts(self) -> bool:
        """A cache belongs to others, who may fill it anew at any time: it is looked at for each connection."""
        return self._credentials.keytab is not None or self._credentials.password is not None

    def _let_go(self, ticket: Ticket) -> Ticket:
        self._held = None
        return ticket

    def _pause(self) -> NotAuthenticated | None:
        failure = self._failure
        if failure is not None and self._clock.monotonic() < failure.until and failure.keytab == self._keytab_age():
            return NotAuthenticated(failure.said)
        return None

    def _remember(self, refusal: GssRefusal) -> NotAuthenticated:
        said = str(refusal)
        refused = self._lasts() and remedies.secret_refused(said)
        text = f"{self._who()} got no ticket: {said}: {self._remedy(said)}"
        if refused:
            text += f". It is not tried again for {LOCKOUT_PAUSE / 60:.0f} minutes, so that the account is not locked"
        pause = LOCKOUT_PAUSE if refused else PAUSE if self._lasts() else 0.0
        self._failure = _Failure(text, self._clock.monotonic() + pause, self._keytab_age())
        return NotAuthenticated(text)

    def _who(self) -> str:
        return self._credentials.account or "whoever runs this"

    def _remedy(self, said: str) -> str:
        """The keytab itself may know better: the library reports a missing file as a missing ticket."""
        remedy = remedies.of_ticket(self._credentials, said)
        if self._credentials.keytab is None or remedies.secret_refused(said):
            return remedy
        try:
            held = {entry.principal for entry in read_keytab(self._keytab())}
        except OperatorError as error:
            return error.problems[0].removesuffix(".")
        wanted = self._who()
        if wanted in held or any(principal.rpartition("@")[0] == wanted for principal in held):
            return remedy
        holds = ", ".join(sorted(held)[:5]) or "none at all"
        return f"keytab {self._keytab()} has no key of {wanted}; it holds {holds}"

    def _keytab(self) -> Path:
        assert self._credentials.keytab is not None
        return Path(self._credentials.keytab.removeprefix("FILE:"))

    def _keytab_age(self) -> int | None:
        """A keytab that was written anew ends a pause at once."""
        if self._credentials.keytab is None:
            return None
        try:
            return self._keytab().stat().st_mtime_ns
        except OSError:
            return None
