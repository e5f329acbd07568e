"""GSS-API as both roles need it: credentials, contexts, seals, and what its errors mean.

The only file that knows the package gssapi, an extra: import it where a mechanism is made, not at start-up.
"""

from __future__ import annotations

import gssapi
import gssapi.raw

from collector.wsman.sealing import SealError

KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")

gssapi.SecurityContext.__DEFER_STEP_ERRORS__ = False  # a bad ticket raises where it is shown, not later


def acceptor_credentials(keytab: str) -> gssapi.Credentials:
    """Kerberos, bare or inside SPNEGO, and nothing else that happens to be installed.

    With the default mechanisms one NTLM token of a stranger ends the process (dependencies.md 5.1).
    """
    credentials = gssapi.Credentials(usage="accept", store={"keytab": keytab}, mechs=[KRB5, SPNEGO])
    gssapi.raw.set_neg_mechs(credentials, [KRB5])
    return credentials


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
        gssapi.raw.wrap_iov(self._context, iov, confidential=True)
        padding = iov[2].value or b""
        return iov[0].value, iov[1].value + padding, len(padding)

    def unseal(self, header: bytes, sealed: bytes) -> bytes:
        try:
            # the sum is a fresh buffer: unwrap decrypts in place (dependencies.md 5.3)
            result = gssapi.raw.unwrap(self._context, header + sealed)
        except gssapi.exceptions.GSSError as error:
            raise SealError(f"a sealed body cannot be opened: {error}") from error
        if not result.encrypted:
            raise SealError("a body was signed and not sealed")
        return bytes(result.message)
