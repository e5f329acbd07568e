"""The gate: who is asked, who is remembered, and for how long. Its mechanisms here are scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from collector.auth.base import Admitted, Continue, Refused, Verdict, Visitor
from collector.auth.gate import Gate
from collector.clock import ManualClock
from collector.model import Caller

PC = Caller("pc01$@a", "pc01", "pc01$@A", "scripted", "192.0.2.7")
OTHER = Caller("pc02$@a", "pc02", "pc02$@A", "scripted", "192.0.2.7")


@dataclass
class Key:
    """A seal that seals nothing."""

    protocol: str = "scripted"

    def seal(self, plain: bytes) -> tuple[bytes, bytes, int]:
        return b"", plain, 0

    def unseal(self, header: bytes, sealed: bytes | memoryview) -> bytes:
        return bytes(sealed)


@dataclass
class Scripted:
    """Answers one verdict after the other, and remembers what it was asked."""

    script: list[Verdict | None]
    name: str = "scripted"
    challenge: str | None = "Kerberos"
    asked: list[str] = field(default_factory=list)

    def admit(self, visitor: Visitor, authorization: str) -> Verdict | None:
        self.asked.append(authorization)
        return self.script.pop(0)

    def profile(self, secure: bool) -> str | None:
        return None


def test_who_was_admitted_is_not_asked_again() -> None:
    """Authentication belongs to the connection: Windows shows its token once ([MS-WSMV] 2.2.9.1)."""
    mechanism, visitor, key = Scripted([Admitted(PC, "Kerberos abc", Key())]), Visitor("192.0.2.7", False), Key()
    gate = Gate([mechanism], ManualClock())

    assert gate.admit(visitor, "Kerberos xyz") == Admitted(PC, "Kerberos abc", key)
    assert gate.admit(visitor, "") == Admitted(PC)
    assert (visitor.seal, mechanism.asked) == (key, ["Kerberos xyz"])


def test_a_proof_ends_when_its_ticket_ends() -> None:
    """The machine may have been disabled ten hours ago; the source comes again with a fresh ticket at once."""
    clock, visitor = ManualClock(), Visitor("192.0.2.7", False)
    until = clock.now() + timedelta(hours=10)
    gate = Gate([Scripted([Admitted(PC, None, Key(), until)])], clock)
    gate.admit(visitor, "Kerberos xyz")
    clock.advance(36_000 - 1)
    assert isinstance(gate.admit(visitor, ""), Admitted)
    clock.advance(1)
    verdict = gate.admit(visitor, "")

    assert isinstance(verdict, Refused)
    assert "its proof has ended at 2026-01-01T10:00:00" in verdict.reason
    assert (visitor.caller, visitor.seal, visitor.until) == (None, None, None)


def test_a_fresh_proof_replaces_the_old_one_only_when_it_is_complete() -> None:
    """Between two legs the caller is who it was; after the last it is the new one with its own key."""
    script: list[Verdict | None] = [Admitted(PC, None, Key("old")), Continue("Kerberos more"), Admitted(OTHER)]
    visitor = Visitor("192.0.2.7", True)
    gate = Gate([Scripted(script)], ManualClock())
    gate.admit(visitor, "Kerberos 1")
    gate.admit(visitor, "Kerberos 2")
    assert (visitor.caller, visitor.seal) == (PC, Key("old"))
    gate.admit(visitor, "Kerberos 3")

    assert (visitor.caller, visitor.seal) == (OTHER, None)


def test_a_bad_proof_leaves_a_stranger_behind() -> None:
    """Nothing of the old caller, nor of a handshake under way."""
    visitor = Visitor("192.0.2.7", False, notes={"negotiate": "half"})
    gate = Gate([Scripted([Admitted(PC, None, Key()), Refused("replayed")])], ManualClock())
    gate.admit(visitor, "Kerberos 1")

    assert gate.admit(visitor, "kerberos 2") == Refused("replayed")
    assert (visitor.caller, visitor.seal, visitor.notes) == (None, None, {})


def test_a_token_is_judged_by_the_mechanism_of_its_scheme_alone() -> None:
    """Who asks for Kerberos and is let in for a certificate waits for an answer that never comes."""
    certificate, kerberos = Scripted([Admitted(OTHER)], challenge=None), Scripted([Refused("expired")])
    gate = Gate([certificate, kerberos], ManualClock())

    assert gate.admit(Visitor("192.0.2.7", True), "Kerberos xyz") == Refused("expired")
    assert certificate.asked == []
    hint = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
    assert gate.admit(Visitor("192.0.2.7", True), hint) == Admitted(OTHER)


def test_a_scheme_that_nobody_takes_is_named_and_nothing_else_is_quoted() -> None:
    """The rest of that header is a stranger's text, or his password."""
    gate = Gate([Scripted([None, None, None], "kerberos")], ManualClock())
    said = [gate.admit(Visitor("192.0.2.7", True), text) for text in ("Basic dXNlcjpwYXNz", "<b>\x1b[31m x", "")]

    assert said == [
        Refused("it showed Basic only; this listener takes kerberos"),
        Refused("it showed no proof of who it is; this listener takes kerberos"),
        Refused("it showed no proof of who it is; this listener takes kerberos"),
    ]
