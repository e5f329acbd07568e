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


class Proving:
    """The requests that come before the first body, for whoever moves them (any HTTP client)::

        proving = Proving(initiator)
        while (authorization := await to_thread(proving.next)) is not None:
            response = await post(b"", {"Authorization": authorization})   # an empty body, the same connection
            await to_thread(proving.take, response.status, response.headers.getall("WWW-Authenticate", []))
        # established: bodies go sealed with initiator.seal, in clear where it is None

    ``next`` and ``take`` raise ``NotAuthenticated``: close the connection. Give every later reply to ``take``
    too: a 401 in mid-session means that the far end has lost the session. A mechanism that is established
    from the start (certificate, none) asks for no empty request; what its ``initiator.first`` says is a
    header for the first request with a body.
    """

    def __init__(self, initiator: Initiator) -> None:
        self._initiator = initiator
        self._asked = False
        self._due: str | None = None

    def next(self) -> str | None:
        """The Authorization value of the next empty request; None: both sides know each other."""
        if self._initiator.established:
            return None
        if not self._asked:
            self._asked = True
            self._due = self._initiator.first()
        due, self._due = self._due, None
        if due is None:
            raise NotAuthenticated("there is nothing more to show, and the far end is not convinced")
        return due

    def take(self, status: int, challenges: Sequence[str]) -> None:
        """The far end's reply: its status and every WWW-Authenticate value it carried."""
        self._due = self._initiator.answer(status, challenges)
