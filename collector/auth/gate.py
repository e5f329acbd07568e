"""The gate of one listener: asks its mechanisms in order and remembers who got in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from collector.auth.base import Admitted, Claimed, Continue, Mechanism, Refused, Verdict, Visitor


class Gate:
    """The mechanisms that a listener accepts, in the order of its settings."""

    def __init__(self, mechanisms: Sequence[Mechanism]) -> None:
        self._mechanisms = mechanisms

    @property
    def challenges(self) -> Sequence[str]:
        """One WWW-Authenticate value for each mechanism that has one (contract.md 5)."""
        return [mechanism.challenge for mechanism in self._mechanisms if mechanism.challenge is not None]

    def admit(self, visitor: Visitor, authorization: str) -> Verdict:
        """Who this connection is. A fresh Authorization header is always looked at again."""
        if visitor.caller is not None and not self._renews(authorization):
            return Admitted(visitor.caller)
        reasons = []
        for mechanism in self._mechanisms:
            verdict = mechanism.admit(visitor, authorization)
            match verdict:
                case None:
                    continue
                case Refused(reason):
                    reasons.append(reason)
                case Admitted(caller):
                    visitor.caller = caller
                    return verdict
                case Claimed() | Continue():
                    return verdict
                case _:
                    assert_never(verdict)
        return Refused("; ".join(reasons) or self._nothing_shown())

    def profile(self, name: str, secure: bool) -> str | None:
        """The security profile of the mechanism called *name*, for the offer's Policy."""
        for mechanism in self._mechanisms:
            if mechanism.name == name:
                return mechanism.profile(secure)
        return None

    def profiles(self, secure: bool) -> list[str]:
        """Every profile this listener accepts, for Identify ([DSP0226] 11)."""
        found = (mechanism.profile(secure) for mechanism in self._mechanisms)
        return list(dict.fromkeys(profile for profile in found if profile is not None))

    def _renews(self, authorization: str) -> bool:
        return bool(authorization) and any(mechanism.challenge is not None for mechanism in self._mechanisms)

    def _nothing_shown(self) -> str:
        wanted = " or ".join(mechanism.name for mechanism in self._mechanisms)
        return f"it showed no proof of who it is; this listener takes {wanted}"
