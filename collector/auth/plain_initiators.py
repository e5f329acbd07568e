"""The initiators without tokens: a client certificate, which TLS shows, and nothing at all on loopback.

Neither has a key to seal with: the one is inside TLS, the other never leaves the machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.auth.credentials import Credentials, Target
from collector.auth.initiator import NotAuthenticated
from collector.wsman.sealing import Seal

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""The scheme of [DSP0226] C.3.5. It is a hint: the far end believes the handshake."""


class CertificateInitiator:
    """An ``Initiator``: both sides have shown their certificates before the first byte of HTTP."""

    established = True
    seal: Seal | None = None

    def __init__(self, credentials: Credentials, target: Target) -> None:
        if not target.secure:  # 0x803380D8: certificates cannot be used with http
            raise NotAuthenticated(f"a certificate is shown inside TLS only, and {target} has none; use https.")
        self._certificate = credentials.certificate

    def first(self) -> str | None:
        return MUTUAL

    def answer(self, status: int, challenges: Sequence[str]) -> str | None:
        if status in (401, 403):
            raise NotAuthenticated(
                f"it does not take the certificate {self._certificate} ({status}). Its issuer must be"
                " known there, and a mapping must exist for it (winrm enumerate winrm/config/service/certmapping)."
            )
        return None


class NoneInitiator:
    """An ``Initiator`` that proves nothing. Loopback only (contract.md 1.3)."""

    established = True
    seal: Seal | None = None

    def __init__(self, target: Target) -> None:
        if not target.loopback:
            raise NotAuthenticated(
                f"mechanism none is for loopback addresses, and {target} is none; use kerberos or certificate."
            )

    def first(self) -> str | None:
        return None

    def answer(self, status: int, challenges: Sequence[str]) -> str | None:
        if status == 401:
            raise NotAuthenticated("it wants a proof of who is calling (401), and mechanism is none.")
        return None
