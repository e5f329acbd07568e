"""The gate of one listener: asks its mechanisms in order and remembers who got in.

It knows no mechanism by name. A proof that was shown is judged by the mechanism of its scheme and by
no other: who asked for Kerberos and is let in for its certificate would wait for an answer to its token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from collector.auth.base import Admitted, Claimed, Continue, Mechanism, Refused, Verdict, Visitor
from collector.clock import Clock, timestamp

SCHEMES = ("basic", "credssp", "digest", "kerberos", "negotiate", "ntlm")
"""The schemes that a refusal calls by name; what else stands in Authorization is a stranger's text."""


class Gate:
    """The mechanisms that a listener accepts, in the order of its settings."""

    def __init__(self, mechanisms: Sequence[Mechanism], clock: Clock) -> None:
        self._mechanisms = mechanisms
        self._clock = clock

    @property
    def challenges(self) -> Sequence[str]:
        """One WWW-Authenticate value for each mechanism that has one (contract.md 5)."""
        return [mechanism.challenge for mechanism in self._mechanisms if mechanism.challenge is not None]

    def admit(self, visitor: Visitor, authorization: str) -> Verdict:
        """Who this connection is. A fresh Authorization header is always looked at again.

        It replaces who was known only when its proof is complete. ``Refused`` leaves a stranger behind:
        the connection has to end.
        """
        if not authorization and visitor.caller is not None and visitor.until is None:
            return Admitted(visitor.caller)  # nearly every request: known, and nothing new was shown
        speaking = self._speaking(authorization)
        if not speaking and visitor.caller is not None:
            ended = self._ended(visitor)
            verdict: Verdict = ended if ended is not None else Admitted(visitor.caller)
        else:
            verdict = self._judged(speaking or self._mechanisms, visitor, authorization)
        match verdict:
            case Refused():
                visitor.forget()
            case Admitted(caller) if caller is not visitor.caller:
                visitor.caller, visitor.seal, visitor.until = caller, verdict.seal, verdict.until
                visitor.clear = verdict.clear
            case Admitted() | Claimed() | Continue():
                pass
            case _:
                assert_never(verdict)
        return verdict

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

    def _speaking(self, authorization: str) -> Sequence[Mechanism]:
        """The mechanism whose scheme *authorization* is, if there is one."""
        scheme = _scheme(authorization)
        return [mechanism for mechanism in self._mechanisms if scheme and scheme == (mechanism.challenge or "").lower()]

    def _judged(self, mechanisms: Sequence[Mechanism], visitor: Visitor, authorization: str) -> Verdict:
        reasons = []
        for mechanism in mechanisms:
            verdict = mechanism.admit(visitor, authorization)
            match verdict:
                case None:
                    continue
                case Refused(reason):
                    reasons.append(reason)
                case Admitted() | Claimed() | Continue():
                    return verdict
                case _:
                    assert_never(verdict)
        return Refused("; ".join(reasons) or self._nothing_shown(authorization))

    def _ended(self, visitor: Visitor) -> Refused | None:
        if visitor.until is None or self._clock.now() < visitor.until:
            return None
        return Refused(f"its proof has ended at {timestamp(visitor.until)}; it has to show a fresh one")

    def _nothing_shown(self, authorization: str) -> str:
        wanted = " or ".join(mechanism.name for mechanism in self._mechanisms)
        scheme = _scheme(authorization)
        shown = f"it showed {scheme.capitalize()} only" if scheme in SCHEMES else "it showed no proof of who it is"
        return f"{shown}; this listener takes {wanted}"


def _scheme(authorization: str) -> str:
    return authorization.partition(" ")[0].lower()
