"""The calling side of authentication: what pulling and the simulator show to whom they call.

One small promise, the same for every mechanism; it knows no HTTP library. An ``Initiator``
belongs to one connection and is thrown away with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from collector.errors import CollectorError
from collector.wsman.sealing import Seal


class NotAuthenticated(CollectorError):
    """The far end was not convinced, or could not convince us. The text is for an administrator, without tokens."""


class Initiator(Protocol):
    """One connection's proof, from the calling side.

    Ask ``first`` before the first request, and ``answer`` after each reply of the far end until
    ``established``. Both may ask a KDC over the network, so call them in a thread.
    """

    @property
    def established(self) -> bool:
        """Both sides know each other: requests may carry bodies."""

    @property
    def seal(self) -> Seal | None:
        """What bodies must be sealed with; None: they go in clear (inside TLS, or where that is allowed)."""

    def first(self) -> str | None:
        """The Authorization value that goes unasked with the first request; None: nothing does."""

    def answer(self, status: int, challenges: Sequence[str]) -> str | None:
        """The Authorization value of the next request, after a reply with *status* and these WWW-Authenticate values.

        None: nothing more to show. Raises ``NotAuthenticated``.
        """
