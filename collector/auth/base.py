"""What a mechanism is given and what it answers.

Authentication belongs to the connection: what a mechanism learns is kept in the
``Visitor`` of that connection, and later requests of the connection need no proof
([MS-WSMV] 2.2.9.1). A mechanism never sees a body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from collector.model import Caller
from collector.wsman.sealing import Seal


@dataclass(slots=True, weakref_slot=True, eq=False)
class Visitor:
    """One connection: where it came from, what TLS proved, and who it turned out to be.

    *certificate* is the client's leaf certificate in DER, already verified by the handshake,
    or None. *binding* is the channel binding of the certificate that we served (RFC 5929,
    ``tls-server-end-point:...``), None without TLS. *caller* is set once a mechanism is satisfied,
    *seal* with it where the mechanism has a session key, *clear*: its bodies may come in clear all the same,
    *until* is when its proof ends (None: with the connection). *notes* are a mechanism's own.
    It must not refer to the transport, which keeps it for as long as the connection lasts.
    """

    address: str
    secure: bool
    certificate: bytes | None = None
    binding: bytes | None = None
    caller: Caller | None = None
    seal: Seal | None = None
    clear: bool = True
    until: datetime | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def forget(self) -> None:
        """Whatever was proven, and every handshake under way: from now on this is a stranger."""
        self.caller = self.seal = self.until = None
        self.clear = True
        self.notes.clear()


@dataclass(frozen=True, slots=True)
class Admitted:
    """The caller is known. *token* goes back in WWW-Authenticate where the mechanism has one.

    *seal*, *clear* and *until* become those of the ``Visitor``.
    """

    caller: Caller
    token: str | None = None
    seal: Seal | None = None
    until: datetime | None = None
    clear: bool = True


@dataclass(frozen=True, slots=True)
class Claimed:
    """Nothing is proven and nothing has to be: the message says who it is (loopback only)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not this one. *reason* is for the log and the administrator, never with token bytes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Continue:
    """One more leg: 401 with this WWW-Authenticate value."""

    challenge: str


Verdict = Admitted | Claimed | Refused | Continue


class Mechanism(Protocol):
    """One way to prove who is calling.

    *challenge* is its WWW-Authenticate value for a 401 and the scheme that it answers in Authorization,
    None when it has none.
    """

    @property
    def name(self) -> str: ...

    @property
    def challenge(self) -> str | None: ...

    def admit(self, visitor: Visitor, authorization: str) -> Verdict | None:
        """A verdict; None when nothing in this request concerns this mechanism.

        *authorization* is the Authorization header, ``""`` when there is none.
        """

    def profile(self, secure: bool) -> str | None:
        """The security profile for the offer's Policy ([MS-WSMV] 2.2.4.1); None: no Policy."""
