"""What can go wrong between us and a far end, in one error: a word for the state, a sentence for the person.

It knows no HTTP library and no mechanism.
"""

from __future__ import annotations

from typing import Literal, get_args

from collector.errors import CollectorError

Reason = Literal[
    "dns",
    "refused",
    "unreachable",
    "timeout",
    "tls",
    "certificate",
    "authentication",
    "ticket",
    "http",
    "sealing",
    "too-large",
    "charset",
    "cut",
]
REASONS: tuple[str, ...] = get_args(Reason)


class Trouble(CollectorError):
    """No answer that can be believed. ``str()`` is a sentence that begins with the URL.

    *reason* is one of REASONS, fit for a metric label. *sent*: the far end may have acted on the request; False: it
    certainly has not seen it. *status* is the HTTP status where there was one, else 0. The connection is closed.
    """

    def __init__(self, reason: Reason, message: str, *, sent: bool, status: int = 0) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.sent = sent
        self.status = status
