"""Kerberos from the calling side: ``Kerberos`` (a bare ticket) and ``Negotiate`` (the same inside SPNEGO).

The token goes unasked with the first request, and the far end proves itself by its reply: it can only make that
token if it has the service's key ([MS-WSMV] 2.2.9.1, RFC 4120 3.2.4). It knows no HTTP library and no body.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence

from collector.auth import remedies
from collector.auth.challenges import LONGEST, Challenge, read_challenges, token_for
from collector.auth.credentials import Credentials, Target
from collector.auth.gss import GssRefusal
from collector.auth.gss_initiator import Handshake
from collector.auth.initiator import NotAuthenticated
from collector.auth.tickets import Tickets
from collector.wsman import sealing
from collector.wsman.sealing import Seal

_SCHEMES = {"kerberos": ("Kerberos", sealing.KERBEROS), "negotiate": ("Negotiate", sealing.SPNEGO)}
_RC4 = (23, 24)  # arcfour-hmac and its export form (IANA, Kerberos encryption types)


class KerberosInitiator:
    """An ``Initiator``. A host in ``trusted_hosts`` is not asked to prove itself, as with WinRM's TrustedHosts.

    *begin* makes the handshake, as ``Handshake`` does.
    """

    def __init__(
        self, credentials: Credentials, target: Target, tickets: Tickets, begin: Callable[..., Handshake] = Handshake
    ) -> None:
        self._credentials = credentials
        self._target = target
        self._tickets = tickets
        self._begin = begin
        self._scheme, self._protocol = _SCHEMES[credentials.mechanism]
        self._spn = target.spn(credentials.service)
        self._mutual = not credentials.trusts(target.host)
        self._who = credentials.account or "whoever runs this"
        self._handshake: Handshake | None = None
        self._seal: Seal | None = None
        self._established = False

    @property
    def established(self) -> bool:
        return self._established

    @property
    def seal(self) -> Seal | None:
        return self._seal

    def first(self) -> str | None:
        """May ask a KDC. Raises ``NotAuthenticated``: nothing was sent."""
        ticket = self._tickets.current()
        self._who = ticket.principal
        try:
            self._handshake = self._begin(ticket, self._spn, mutual=self._mutual, binding=self._target.binding)
            token = self._handshake.step()
        except GssRefusal as refusal:
            raise self._trouble(f"no ticket was had: {refusal}: {remedies.of_service(str(refusal))}") from None
        assert token is not None
        return self._value(token)

    def answer(self, status: int, challenges: Sequence[str]) -> str | None:
        offered = read_challenges(challenges)
        if self._established:
            if status == 401:
                raise self._trouble("it has lost the session (401 in mid-session); begin again on a new connection")
            return None
        reply = self._step(offered)
        if status == 401:
            if reply is None:
                raise self._trouble(self._unconvinced(offered))
            return self._value(reply)
        self._finish(status, offered)
        return None

    def _step(self, offered: Sequence[Challenge]) -> bytes | None:
        """Give the far end's token to the handshake; what has to go back, None for nothing."""
        token = token_for(self._scheme, offered)
        if not token or self._handshake is None or self._handshake.complete:
            return None
        try:
            return self._handshake.step(self._decoded(token))
        except GssRefusal as refusal:
            remedy = remedies.of_service(str(refusal))
            raise self._trouble(f"its proof of who it is was not accepted: {refusal}: {remedy}") from None

    def _decoded(self, token: str) -> bytes:
        try:
            return base64.b64decode(token[:LONGEST], validate=True)
        except binascii.Error:
            raise self._trouble(f"what follows {self._scheme} in its WWW-Authenticate is no base64") from None

    def _finish(self, status: int, offered: Sequence[Challenge]) -> None:
        """The far end is satisfied. Are we?"""
        taken = 200 <= status < 300 or bool(token_for(self._scheme, offered))
        if self._handshake is None or not self._handshake.complete or not taken:
            raise self._trouble(self._unproven(status, offered))
        try:
            session = self._handshake.session()
        except GssRefusal as refusal:
            raise self._trouble(f"what was agreed cannot be read: {refusal}") from None
        if self._mutual and not session.mutual:
            raise self._trouble(self._unproven(status, offered))
        if session.session_key in _RC4 and not self._credentials.allow_rc4:
            raise self._trouble(
                "the session key is RC4, which has been broken for years: enable AES for both accounts"
                " (msDS-SupportedEncryptionTypes), or set allow_rc4 = true"
            )
        if not self._target.secure:  # inside TLS bodies go in clear (protocol.md 3.1)
            self._seal = self._sealing(session.sealing)
        self._established = True

    def _sealing(self, possible: bool) -> Seal | None:
        if possible and self._handshake is not None:
            return self._handshake.seal(self._protocol)
        if self._credentials.allow_unencrypted:
            return None
        raise self._trouble("the session can seal nothing, and allow_unencrypted is false; use https")

    def _unconvinced(self, offered: Sequence[Challenge]) -> str:
        schemes = list(dict.fromkeys(challenge.scheme for challenge in offered))
        if self._scheme.lower() in schemes:
            return (
                "it does not accept the ticket (401): its own log says why. Usual causes are clocks that differ, a"
                " password of the service's account that changed, or an account that may not log on to it"
            )
        takes = ", ".join(schemes[:5]) or "nothing"
        other = next((name for name in _SCHEMES if name in schemes), None)
        remedy = f"set mechanism = {other}" if other else f"enable {self._scheme} there (winrm/config/service/auth)"
        return f"it does not take {self._scheme} (401), it takes {takes}; {remedy}"

    def _unproven(self, status: int, offered: Sequence[Challenge]) -> str:
        if not 200 <= status < 300 and not token_for(self._scheme, offered):
            return f"it answered {status} instead of taking the ticket; is it a WinRM listener, and not busy?"
        if not self._mutual:  # SPNEGO alone waits for the choice of a mechanism (RFC 4178 4.2.2)
            return f"it answered {status} without the token that ends the negotiation; mechanism = kerberos needs none"
        return (
            f"it answered {status} without proving who it is (mutual authentication). Only a service that has the key"
            " of that name can; a host that shall be believed without it belongs into trusted_hosts"
        )

    def _value(self, token: bytes) -> str:
        return f"{self._scheme} {base64.b64encode(token).decode('ascii')}"

    def _trouble(self, what: str) -> NotAuthenticated:
        return NotAuthenticated(f"{self._who} to {self._spn.removesuffix('@')} at {self._target}: {what}.")
