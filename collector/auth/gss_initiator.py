"""GSS-API from the calling side: tickets out of a keytab, a cache or a password, and handshakes with them.

The other half of ``gss``, and as strict about the package gssapi: import it where an initiator is made. It decides
nothing and explains nothing. Nothing here reads or writes the environment of the process: where a ticket comes from
and where it is kept travels in the credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import gssapi
import gssapi.raw

from collector.auth.gss import KRB5, SPNEGO, GssRefusal, GssSeal, session_key_of, words_of

_PRINCIPAL = gssapi.NameType.kerberos_principal
_FLAG = gssapi.RequirementFlag
_FLAGS = _FLAG.confidentiality | _FLAG.integrity | _FLAG.replay_detection | _FLAG.out_of_sequence_detection
"""What WinRM asks for besides mutual authentication (captured, protocol.md 3.3); no delegation, no DCE style."""
_PROTOCOL_ERRORS = -1765328384  # ERROR_TABLE_BASE_krb5: the numbers of RFC 4120 7.5.9 count from here


class Ticket:
    """A ticket-granting ticket, and with it the service tickets that handshakes have asked for. Threads may share it.

    *negotiate*: for handshakes in SPNEGO, which then contains Kerberos and nothing else.
    """

    def __init__(self, credentials: gssapi.Credentials, *, negotiate: bool) -> None:
        if negotiate:
            gssapi.raw.set_neg_mechs(credentials, [KRB5])  # never NTLM, whatever is installed (dependencies.md 5.1)
        self.credentials = credentials
        self.negotiate = negotiate

    @property
    def principal(self) -> str:
        return str(self.credentials.name)

    @property
    def remaining(self) -> int:
        """Seconds that it is still good for; 0 when it has ended."""
        try:
            return int(self.credentials.lifetime or 0)
        except gssapi.exceptions.GSSError:
            return 0


@dataclass(frozen=True, slots=True)
class Session:
    """What both ends agreed on. *session_key* is an encryption type number (IANA), 0 when unknown."""

    mutual: bool
    sealing: bool
    session_key: int


def stored_ticket(store: Mapping[str, str], principal: str | None, *, negotiate: bool) -> Ticket:
    """The ticket in a *store*: ``ccache``, or ``client_keytab`` and the ``ccache`` to keep it in.

    May ask a KDC. Raises ``GssRefusal``.
    """
    try:
        credentials = gssapi.Credentials(
            name=gssapi.Name(principal, _PRINCIPAL) if principal is not None else None,
            usage="initiate",
            store=dict(store) or None,
            mechs=[SPNEGO if negotiate else KRB5],
        )
        return _usable(Ticket(credentials, negotiate=negotiate))
    except gssapi.exceptions.GSSError as error:
        raise _refusal(error) from None


def password_ticket(principal: str, password: str, *, negotiate: bool) -> Ticket:
    """A new ticket for a *password*, kept in memory as long as somebody holds it. Asks a KDC. Raises ``GssRefusal``."""
    try:
        name = gssapi.Name(principal, _PRINCIPAL)
        mechanism = SPNEGO if negotiate else KRB5
        acquired = gssapi.raw.acquire_cred_with_password(name, password.encode(), mechs=[mechanism], usage="initiate")
        return _usable(Ticket(gssapi.Credentials(base=acquired.creds), negotiate=negotiate))
    except gssapi.exceptions.GSSError as error:
        raise _refusal(error) from None


def _usable(ticket: Ticket) -> Ticket:
    """The library acquires some tickets only when they are looked at; then it raises."""
    ticket.credentials.inquire(lifetime=True)
    return ticket


class Handshake:
    """One handshake with *spn*, as ``Target.spn`` spells it. *mutual*: the other end has to prove itself too.

    *sealing*: bodies shall be sealed with it, which is not asked for where something else does.
    """

    def __init__(self, ticket: Ticket, spn: str, *, mutual: bool, binding: bytes | None, sealing: bool = True) -> None:
        wanted = _FLAGS if sealing else _FLAG.out_of_sequence_detection
        self._context = gssapi.SecurityContext(
            name=gssapi.Name(spn, _PRINCIPAL),
            creds=ticket.credentials,
            mech=SPNEGO if ticket.negotiate else KRB5,
            flags=wanted | _FLAG.mutual_authentication if mutual else wanted,
            usage="initiate",
            channel_bindings=gssapi.raw.ChannelBindings(application_data=binding) if binding else None,
        )

    @property
    def complete(self) -> bool:
        return bool(self._context.complete)

    def step(self, token: bytes | None = None) -> bytes | None:
        """What goes to the other end, None for nothing. The first step may ask a KDC. Raises ``GssRefusal``."""
        try:
            answer: bytes | None = self._context.step(token)
        except gssapi.exceptions.GSSError as error:
            raise _refusal(error) from None  # the original carries the token
        return answer

    def session(self) -> Session:
        """Of a complete handshake. Raises ``GssRefusal`` when it cannot be read."""
        try:
            flags, session_key = int(self._context.actual_flags), session_key_of(self._context)
        except gssapi.exceptions.GSSError as error:
            raise _refusal(error) from None
        return Session(
            mutual=bool(flags & _FLAG.mutual_authentication),
            sealing=bool(flags & _FLAG.confidentiality and flags & _FLAG.integrity),
            session_key=session_key,
        )

    def seal(self, protocol: str) -> GssSeal:
        return GssSeal(self._context, protocol)

    def wrap(self, content: bytes, *, sealed: bool) -> bytes:
        """A token that holds *content*, signed and perhaps sealed (RFC 2743 2.3.3). Raises ``GssRefusal``."""
        try:
            wrapped = self._context.wrap(content, sealed)
        except gssapi.exceptions.GSSError as error:
            raise _refusal(error) from None
        if sealed and not wrapped.encrypted:
            raise GssRefusal("the session can seal nothing")
        return bytes(wrapped.message)

    def unwrap(self, token: bytes) -> bytes:
        """What the other end put into *token*, which nobody changed. Raises ``GssRefusal``."""
        try:
            return bytes(self._context.unwrap(token).message)
        except gssapi.exceptions.GSSError as error:
            raise _refusal(error) from None


def _refusal(error: gssapi.exceptions.GSSError) -> GssRefusal:
    """Inside SPNEGO the minor code is the library's own invention; then only the words tell."""
    minor = error.min_code - 2**32 if error.min_code > 2**31 else error.min_code
    code = minor - _PROTOCOL_ERRORS
    return GssRefusal(words_of(error), code=code if 0 < code < 128 else 0)
