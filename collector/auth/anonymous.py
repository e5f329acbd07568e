"""Authentication none: the source is who it says it is. Loopback addresses only (contract.md 1).

MachineID is a header of the message, so the verdict is only a claim; ``claimed_caller``
makes the caller once the message has been read.
"""

from __future__ import annotations

from collector.auth.base import Claimed, Verdict, Visitor
from collector.model import Caller

LONGEST_NAME = 255  # as for certificates: no machine's DNS name is longer


class NoneMechanism:
    name = "none"
    challenge = None

    def admit(self, visitor: Visitor, authorization: str) -> Verdict | None:
        return Claimed()

    def profile(self, secure: bool) -> str | None:
        return None


def claimed_caller(visitor: Visitor, machine_id: str) -> Caller:
    """Who a message without proof comes from: its MachineID, else the peer's address (contract.md 3)."""
    name = machine_id.strip()[:LONGEST_NAME] or visitor.address
    return Caller(key=name.lower(), name=name, principal=name, mechanism="none", address=visitor.address)
