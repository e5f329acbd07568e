"""How many connections there are, in all and from each address, and who may still come in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from collector import telemetry
from collector.config.settings import Limits


@dataclass(slots=True)
class Turnstile:
    """Counts the connections of all listeners, from their first moment: a handshake counts as well."""

    limits: Limits
    open: int = 0
    by_address: Counter[str] = field(default_factory=Counter)

    def enter(self, listener: str, address: str) -> Seat | None:
        """A place for one more connection; None, and counted, when a limit forbids it."""
        forbidden = self._forbidden(address)
        if forbidden is not None:
            telemetry.connection_refused(listener, address, forbidden)
            return None
        self.open += 1
        self.by_address[address] += 1
        telemetry.connection_opened(listener)
        return Seat(self, listener, address)

    def leave(self, address: str) -> None:
        self.open -= 1
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]

    def _forbidden(self, address: str) -> str | None:
        if self.open >= self.limits.connections:
            return "connections"
        if self.by_address[address] >= self.limits.connections_per_address:
            return "connections_per_address"
        return None


@dataclass(slots=True)
class Seat:
    """One connection's place. Given back once, however often it is left.

    *checks*: it is a proxy's own, which looks perhaps only whether somebody listens.
    """

    turnstile: Turnstile
    listener: str
    address: str
    taken: bool = True
    checks: bool = False

    def leave(self) -> None:
        if self.taken:
            self.taken = False
            self.turnstile.leave(self.address)
            telemetry.connection_closed(self.listener)
