"""Message encryption: sealed parts in a multipart body ([MS-WSMV] 2.2.9.1), both roles.

The room frames and finds; the keys are a ``Seal`` that somebody hands in, and it knows no
mechanism, no HTTP and no XML. From the outside in: multipart, seal, SLDC, charset.
"""

from __future__ import annotations

from typing import Protocol

from collector.errors import SourceError


class SealError(SourceError):
    """A sealed body that cannot be opened: altered, repeated, out of order, cut, signed only. The connection must end.

    After it the two ends no longer agree on what was sent, so nothing more that comes over this connection counts.
    """


class Seal(Protocol):
    """The session key of one connection. What one end seals the other opens, each message once and in order."""

    @property
    def protocol(self) -> str:
        """``application/HTTP-Kerberos-session-encrypted`` or ``application/HTTP-SPNEGO-session-encrypted``."""

    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        """The token's header, the ciphertext with its padding, and the length of that padding."""

    def unseal(self, header: bytes, sealed: bytes) -> bytes:
        """The plaintext. Raises ``SealError``, also for what is signed and not sealed."""
