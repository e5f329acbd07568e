"""GSS-API as both roles need it: credentials, handshakes, seals, and what its errors mean.

With ``gss_initiator`` the only file that knows the package gssapi, an extra: import it where a mechanism is made,
not at start-up.
It decides nothing: what a proof must hold and how a refusal is told is in ``kerberos`` and ``reasons``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import gssapi
import gssapi.raw

from collector.errors import CollectorError
from collector.wsman.sealing import SealError

KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
_SESSION_KEY = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2.5.5")  # GSS_C_INQ_SSPI_SESSION_KEY
_KEY_TYPES = bytes.fromhex("2a864886f71201020204")  # 1.2.840.113554.1.2.2.4.<encryption type>
_LOGON_INFO = b"urn:mspac:logon-info"
_CHANNEL_BOUND = 2048  # GSS_C_CHANNEL_BOUND_FLAG
_KRB_ERROR = re.compile(rb"\x03\x00\x7e.*?\xa6\x03\x02\x01(.)", re.DOTALL)  # RFC 4121 4.1; RFC 4120 5.9.1, error-code

gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False  # a bad ticket raises where it is shown, not later


class GssRefusal(CollectorError):
    """A token was not accepted. *code* is Kerberos' error number (RFC 4120 7.5.9), 0 when there is none.

    *bindings*: the token is good and belongs to another TLS connection. The text is the library's own, without tokens.
    """

    def __init__(self, text: str, *, code: int = 0, bindings: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.bindings = bindings


@dataclass(frozen=True, slots=True)
class Proof:
    """What a finished handshake has shown.

    *lifetime* is in seconds from now, None without end; *session_key* the encryption type number of the key that
    seals (IANA), 0 when unknown; *pac* the logon information of the ticket, signed by the realm, or None;
    *ordered*: what is sealed is taken once and in order, which the client has to ask for.
    """

    principal: str
    lifetime: int | None
    mutual: bool
    sealing: bool
    dce_style: bool
    anonymous: bool
    bound: bool
    session_key: int
    pac: bytes | None
    ordered: bool


def acceptor_credentials(keytab: str) -> gssapi.Credentials:
    """Kerberos, bare or inside SPNEGO, and nothing else that happens to be installed.

    With the default mechanisms one NTLM token of a stranger ends the process (dependencies.md 5.1). The handle reads
    the keytab again for each handshake, so a rotated key needs no restart. Raises ``GssRefusal``.
    """
    try:
        credentials = gssapi.Credentials(usage="accept", store={"keytab": keytab}, mechs=[KRB5, SPNEGO])
        gssapi.raw.set_neg_mechs(credentials, [KRB5])
    except gssapi.exceptions.GSSError as error:
        raise GssRefusal(words_of(error)) from None
    return credentials


class Acceptance:
    """One handshake from the accepting side. *binding* is what the client must have bound its token to, or None.

    It calls the raw layer: the comfortable one inspects signatures with each call, which costs as much as a ticket.
    """

    def __init__(self, credentials: gssapi.Credentials, binding: bytes | None) -> None:
        self._credentials = credentials
        self._bindings = gssapi.raw.ChannelBindings(application_data=binding) if binding else None
        self._result: Any = None

    @property
    def complete(self) -> bool:
        return self._result is not None and not self._result.more_steps

    def step(self, token: bytes) -> bytes | None:
        """What goes back to the client, None for nothing. Raises ``GssRefusal``: the handshake is over."""
        begun = self._result.context if self._result is not None else None
        try:
            self._result = gssapi.raw.accept_sec_context(token, self._credentials, begun, self._bindings)
        except gssapi.exceptions.GSSError as error:
            raise _refusal(error) from None  # the original carries the token
        answer: bytes | None = self._result.token
        return answer

    def proof(self) -> Proof:
        """Of a complete handshake. Raises ``GssRefusal`` when it cannot be read."""
        flag, flags = gssapi.RequirementFlag, int(self._result.flags)
        try:
            name = gssapi.raw.display_name(self._result.initiator_name, False).name.decode("utf-8")
            session_key, pac = session_key_of(self._result.context), self._logon_info()
        except gssapi.exceptions.GSSError as error:
            raise _refusal(error) from None
        except UnicodeDecodeError:  # with replacements two of them would be one source
            raise GssRefusal("its principal is no UTF-8") from None
        return Proof(
            principal=name,
            lifetime=self._result.lifetime,
            mutual=bool(flags & flag.mutual_authentication),
            sealing=bool(flags & flag.confidentiality and flags & flag.integrity),
            dce_style=bool(flags & flag.dce_style),
            anonymous=bool(flags & flag.anonymity),
            bound=bool(flags & _CHANNEL_BOUND),
            session_key=session_key,
            pac=pac,
            ordered=bool(flags & flag.out_of_sequence_detection),
        )

    def seal(self, protocol: str) -> GssSeal:
        return GssSeal(self._result.context, protocol)

    def _logon_info(self) -> bytes | None:
        try:
            found = gssapi.raw.get_name_attribute(self._result.initiator_name, _LOGON_INFO)
        except gssapi.exceptions.GSSError:  # a realm without PACs
            return None
        values = list(found.values)
        return bytes(values[0]) if found.authenticated and values else None


def session_key_of(context: gssapi.SecurityContext) -> int:
    """The encryption type of the key that seals (IANA), 0 when unknown.

    It comes as the last arc of an object identifier beside the key; the key itself is let go.
    """
    _, identifier, *_ = gssapi.raw.inquire_sec_context_by_oid(context, _SESSION_KEY)
    return identifier[-1] if identifier[:-1] == _KEY_TYPES and identifier[-1] < 128 else 0


class GssSeal:
    """A ``Seal`` over an established security context. *protocol* as ``Seal`` says."""

    def __init__(self, context: gssapi.SecurityContext, protocol: str) -> None:
        self._context = context
        self.protocol = protocol

    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        kind = gssapi.raw.IOVBufferType
        iov = gssapi.raw.IOV(
            (kind.header, True, None), (kind.data, False, plain), (kind.padding, True, None), std_layout=False
        )
        try:
            gssapi.raw.wrap_iov(self._context, iov, confidential=True)
        except gssapi.exceptions.GSSError as error:
            raise SealError(f"a body cannot be sealed: {words_of(error)}") from None
        padding = iov[2].value or b""
        return iov[0].value, iov[1].value + padding, len(padding)

    def unseal(self, header: bytes, sealed: bytes | memoryview) -> bytes:
        try:
            # the sum is a fresh buffer: unwrap decrypts in place (dependencies.md 5.3)
            result = gssapi.raw.unwrap(self._context, header + sealed)
        except gssapi.exceptions.GSSError as error:
            raise SealError(f"a sealed body cannot be opened: {words_of(error)}") from None
        if not result.encrypted:
            raise SealError("a body was signed and not sealed")
        return bytes(result.message)


def _refusal(error: gssapi.exceptions.GSSError) -> GssRefusal:
    """Inside SPNEGO the minor code is the library's own invention, so the number is read from its KRB-ERROR."""
    found = _KRB_ERROR.search(error.token or b"")
    bindings = isinstance(error, gssapi.exceptions.BadChannelBindingsError)
    return GssRefusal(words_of(error), code=found[1][0] if found else 0, bindings=bindings)


def words_of(error: gssapi.exceptions.GSSError) -> str:
    """What the library says, without its numbers: the mechanism's text, else the general one."""
    text = str(error)
    major, _, minor = text.partition(", Minor (")
    said = minor.partition("): ")[2]
    useful = said if said and said not in ("Success", "Unknown error") else major.partition("): ")[2] or text
    return "".join(letter if letter.isprintable() else "?" for letter in useful)[:160]
