"""Kerberos and Negotiate: a ticket in Authorization, the caller and a session key out.

One class for both, because they differ in a word: the scheme, which is mirrored, and the protocol string of
sealed bodies ([MS-WSMV] 2.2.9.1). Inside Negotiate only Kerberos is taken: the NTLM session of a source
names nobody (protocol.md 3.5). The state of a handshake belongs to its connection. It knows no HTTP library and
asks no KDC: the keytab is all that accepting needs.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from collector import telemetry
from collector.auth import reasons
from collector.auth.base import Admitted, Continue, Refused, Verdict, Visitor
from collector.auth.identity import folds_into_another
from collector.auth.keytab import read_keytab
from collector.auth.pac import PacError, account_and_groups, account_name
from collector.auth.tokens import Seen, TokenError, peek
from collector.clock import Clock
from collector.config.settings import ListenerSettings
from collector.errors import OperatorError
from collector.model import Caller
from collector.wsman import sealing

if TYPE_CHECKING:
    from collector.auth.gss import Acceptance, Proof

TOKEN_SIZE = 65536
"""Bytes of a token: Windows makes none above 48,000 (MaxTokenSize, protocol.md 3.4), its settings allow 65,535."""
LONGEST_TEXT = 4 * (TOKEN_SIZE // 3 + 1)  # as base64
_TOO_LONG = f"its token has more than {TOKEN_SIZE} bytes, which no Windows sends"
LONGEST_NAME = 255  # as for certificates: no machine's DNS name is longer
LONGEST_PRINCIPAL = 1024  # letters; a domain takes no longer userPrincipalName ([MS-ADA3])
ACCOUNT_LETTERS = 15  # what Windows keeps of a longer host name in the name of the machine's account
PROTOCOLS = {"kerberos": sealing.KERBEROS, "negotiate": sealing.SPNEGO}
RC4 = frozenset({23, 24})  # rc4-hmac and its export form (RFC 4757)
_COMPONENT = re.compile(r"(?:[^/\\]|\\.)+")
_PRINCIPAL = re.compile(r"((?:[^@\\]|\\.)+)@((?:[^@\\]|\\.)+)")


class KerberosMechanism:
    """The mechanism *name*, ``kerberos`` or ``negotiate``, over one keytab. Raises ``OperatorError``."""

    def __init__(self, name: str, settings: ListenerSettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._gss = _library()
        self._credentials = self._acceptor(settings.keytab)

    @property
    def challenge(self) -> str:
        return self.name.capitalize()

    def profile(self, secure: bool) -> str | None:
        """What a source has to do when it delivers; there is no other word for it ([MS-WSMV] 2.2.4.1)."""
        return f"{'https' if secure else 'http'}/spnego-kerberos"

    def admit(self, visitor: Visitor, authorization: str) -> Verdict | None:
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != self.name:
            return None
        token = _token(text.strip())
        if isinstance(token, Refused):
            return token
        acceptance: Acceptance | Refused = visitor.notes.pop(self.name, None) or self._begin(visitor, token)
        if isinstance(acceptance, Refused):
            return acceptance
        return self._go_on(acceptance, visitor, token)

    def _begin(self, visitor: Visitor, token: bytes) -> Acceptance | Refused:
        """A new handshake, for a token that Kerberos at least might be."""
        try:
            seen = peek(token, ticket=False)
        except TokenError as error:
            return Refused(f"{reasons.NEITHER}: {error}")
        if not seen.offers_kerberos:  # refused before the library sees it: NTLM has ended processes there
            return Refused(_why_no_kerberos(seen))
        acceptance: Acceptance = self._gss.Acceptance(self._credentials, self._binding(visitor))
        return acceptance

    def _go_on(self, acceptance: Acceptance, visitor: Visitor, token: bytes) -> Verdict:
        try:
            out = acceptance.step(token)
            if not acceptance.complete:
                visitor.notes[self.name] = acceptance
                return Continue(self._spelled(out) or self.challenge)
            proof = acceptance.proof()
        except self._gss.GssRefusal as error:
            if error.bindings:
                return Refused(reasons.WRONG_BINDING)
            return Refused(reasons.of_kerberos(error.code, str(error), _closely(token)))
        name = name_of_principal(proof.principal)
        if not _nameable(proof.principal, name):
            return Refused(f"its principal names no machine; a name has 1 to {LONGEST_NAME} printable letters")
        if folds_into_another(proof.principal):
            return Refused(f"its principal {proof.principal[:LONGEST_NAME]!a} is another one's in lower case")
        objection = self._objection(proof, visitor)
        if objection is not None:
            return Refused(f"{name}: {objection}")
        return self._admitted(name, proof, acceptance, visitor, self._spelled(out))

    def _admitted(
        self, name: str, proof: Proof, acceptance: Acceptance, visitor: Visitor, token: str | None
    ) -> Admitted:
        caller = Caller(
            key=proof.principal.lower(),
            name=name,
            principal=proof.principal,
            mechanism=self.name,
            address=visitor.address,
            sids=_sids(proof),
        )
        # the library counts five minutes of clock skew into a ticket's life (MIT krb5, accept_sec_context)
        life = proof.lifetime
        until = self._clock.now() + timedelta(seconds=life) if life is not None else None
        clear = visitor.secure and (proof.bound or self._settings.cbt_hardening == "none")
        return Admitted(caller, token, acceptance.seal(PROTOCOLS[self.name]), until, clear)

    def _objection(self, proof: Proof, visitor: Visitor) -> str | None:
        """What is missing in a proof that Kerberos itself took."""
        strict = self._settings.cbt_hardening == "strict" and visitor.secure
        missing = {
            reasons.ANONYMOUS: proof.anonymous,
            reasons.NOT_MUTUAL: not proof.mutual,
            reasons.NOT_SEALING: not proof.sealing,
            reasons.NOT_ORDERED: not proof.ordered,
            reasons.DCE_STYLE: proof.dce_style,
            reasons.BORROWED: _borrowed(proof),
            reasons.RC4: proof.session_key in RC4 and not self._settings.allow_rc4,
            reasons.NOT_BOUND: strict and not proof.bound,
        }
        return next((reason for reason, lacking in missing.items() if lacking), None)

    def _binding(self, visitor: Visitor) -> bytes | None:
        """What the token must be bound to; over plain http bindings are ignored ([MS-WSMV] 2.2.4.34)."""
        return visitor.binding if visitor.secure and self._settings.cbt_hardening != "none" else None

    def _spelled(self, token: bytes | None) -> str | None:
        return f"{self.challenge} {base64.b64encode(token).decode()}" if token else None

    def _acceptor(self, keytab: Path | None) -> Any:
        assert keytab is not None, "the settings demand a keytab"
        if not read_keytab(keytab):
            raise OperatorError(f"keytab {keytab} holds no key; it should hold those of HTTP/<the name in the policy>.")
        try:
            return self._gss.acceptor_credentials(str(keytab))
        except self._gss.GssRefusal as error:
            raise OperatorError(f"keytab {keytab} cannot be used: {error}.") from error


def name_of_principal(principal: str) -> str:
    """For people and ``{source}``: ``PC01$@CORP`` is pc01, ``host/pc01.corp@CORP`` is pc01.corp (contract.md 3).

    In lower case, because a domain does not spell one machine the same way everywhere (protocol.md 3.4).
    """
    found = _PRINCIPAL.fullmatch(principal)
    components = _COMPONENT.findall(found[1] if found else principal) or [principal]
    return re.sub(r"\\(.)", r"\1", components[min(1, len(components) - 1)]).removesuffix("$").lower()


def _nameable(principal: str, name: str) -> bool:
    """Whether it fits into a log, a file's name and a database: whoever made the account chose the letters."""
    return 0 < len(name) <= LONGEST_NAME and len(principal) <= LONGEST_PRINCIPAL and principal.isprintable()


def _token(text: str) -> bytes | Refused:
    if not text:
        return Refused("its Authorization has a scheme and no token")
    if len(text) > LONGEST_TEXT:
        return Refused(_TOO_LONG)
    try:
        token = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return Refused("its token is no base64")
    return token if len(token) <= TOKEN_SIZE else Refused(_TOO_LONG)


def _closely(token: bytes) -> Seen | None:
    """For a reason; None when it is such that only the library's words are left."""
    try:
        return peek(token)
    except TokenError:
        return None


def _why_no_kerberos(seen: Seen) -> str:
    if seen.carries == "ntlm" or "NTLM" in seen.mechanisms:
        return reasons.NTLM_ONLY
    return reasons.NO_KERBEROS if seen.kind == "spnego" else reasons.NEITHER


def _sids(proof: Proof) -> frozenset[str] | None:
    """The account's and its groups'; without a PAC, or with one that cannot be read, there are none."""
    if proof.pac is None:
        return None
    try:
        account, groups = account_and_groups(proof.pac)
    except PacError as error:
        telemetry.pac_unreadable(proof.principal, str(error))
        return None
    return groups | {account}


def _borrowed(proof: Proof) -> bool:
    """Whether a ticket calls a machine what is the account of somebody else.

    A domain controller writes the name that was asked for into a ticket, and takes any userPrincipalName for it (seen
    with Samba's): whoever may set one would be ``host/dc01.corp``. The PAC has the account's own name ([MS-PAC] 2.5,
    EffectiveName), in some realms the host's. A user by another name is no machine and stays who it is.
    """
    if proof.pac is None:
        return False
    try:
        account = account_name(proof.pac).lower()
    except PacError:  # ``_sids`` says so
        return False
    claimed = proof.principal.rpartition("@")[0].lower()
    if claimed.startswith("host/"):
        host = claimed.removeprefix("host/")
        label = host.partition(".")[0]
        return account not in {"", claimed, host, f"{label}$", f"{label[:ACCOUNT_LETTERS]}$"}
    return claimed.endswith("$") and account not in {"", claimed}


def _library() -> ModuleType:
    try:
        from collector.auth import gss
    except ImportError as error:  # also when the C library is missing
        raise OperatorError(
            f"authentication kerberos and negotiate need the Python package gssapi ({error}):"
            " pip install 'wef-collector[kerberos]'; on Debian or Ubuntu first"
            " apt install gcc python3-dev libkrb5-dev, or apt install python3-gssapi for the system's Python."
        ) from error
    return gss
