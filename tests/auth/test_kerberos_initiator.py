"""What the calling side of Kerberos decides, with handshakes that follow a script: no realm has accidents to order.

With a real realm it is tried in ``tests/contracts/test_initiators.py``.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from collector.auth.challenges import LONGEST
from collector.auth.credentials import Credentials, Target
from collector.auth.initiator import Initiator, NotAuthenticated
from collector.wsman.sealing import SPNEGO
from tests.conftest import absent

AES256, RC4 = 18, 23


@dataclass(frozen=True, slots=True)
class Agreed:
    """As ``gss_initiator.Session``."""

    mutual: bool = True
    sealing: bool = True
    session_key: int = AES256


class Script:
    """A handshake that says *out*, one after the other, and is complete after the last. It notes what it was told."""

    principal = "PC01$@CORP"

    def __init__(self, out: Sequence[bytes | None], agreed: Agreed) -> None:
        self._out = list(out)
        self._agreed = agreed
        self.told: list[bytes | None] = []
        self.wanted: dict[str, Any] = {}

    def current(self) -> Script:
        return self

    def begin(self, ticket: object, spn: str, **wanted: Any) -> Script:
        self.wanted = {"spn": spn, **wanted}
        return self

    @property
    def complete(self) -> bool:
        return not self._out

    def step(self, token: bytes | None = None) -> bytes | None:
        self.told.append(token)
        return self._out.pop(0)

    def session(self) -> Agreed:
        return self._agreed

    def seal(self, protocol: str) -> tuple[str, str]:
        return "sealed with", protocol


def calling(script: Script, *, secure: bool = False, binding: bytes | None = None, **more: Any) -> Initiator:
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    from collector.auth.kerberos_initiator import KerberosInitiator

    target = Target("pc.corp.example", 5985, secure, binding)
    return KerberosInitiator(Credentials("negotiate", **more), target, cast("Any", script), cast("Any", script.begin))


def sealing(initiator: Initiator) -> Any:
    """The stand-in for a seal that the script made."""
    return initiator.seal


def established(initiator: Initiator) -> bool:
    """Asked anew each time, which a type checker does not expect of an attribute."""
    return initiator.established


def spelled(token: bytes) -> str:
    return f"Negotiate {base64.b64encode(token).decode()}"


def test_a_negotiation_may_take_several_legs() -> None:
    """A far end that chooses another mechanism or wants the list confirmed asks once more (RFC 4178)."""
    script = Script([b"one", b"three", None], Agreed())
    initiator = calling(script)

    assert initiator.first() == spelled(b"one")
    assert initiator.answer(401, ["Kerberos", spelled(b"two")]) == spelled(b"three")
    assert not established(initiator)
    assert initiator.answer(200, [spelled(b"four")]) is None
    assert established(initiator)
    assert sealing(initiator) == ("sealed with", SPNEGO)
    assert script.told == [None, b"two", b"four"]


def test_mutual_authentication_and_the_binding_are_asked_for() -> None:
    """What the handshake is begun with decides what it can prove."""
    for trusted in ((), ("*.corp.example",)):
        script = Script([b"one"], Agreed())
        calling(script, secure=True, binding=b"bound", trusted_hosts=trusted).first()

        assert script.wanted == {"spn": "HTTP/pc.corp.example@", "mutual": not trusted, "binding": b"bound"}


@pytest.mark.parametrize(
    ("agreed", "said"),
    [
        (Agreed(mutual=False), "without proving who it is"),
        (Agreed(sealing=False), "allow_unencrypted is false"),
        (Agreed(session_key=RC4), "allow_rc4"),
    ],
)
def test_what_was_agreed_is_looked_at_before_a_body_leaves(agreed: Agreed, said: str) -> None:
    """The library completes handshakes that are not what was asked for."""
    initiator = calling(Script([b"one", None], agreed))
    initiator.first()

    with pytest.raises(NotAuthenticated, match=said):
        initiator.answer(200, [spelled(b"two")])

    assert not initiator.established
    assert initiator.seal is None


@pytest.mark.parametrize("more", [{"allow_unencrypted": True}, {"secure": True}])
def test_without_a_seal_bodies_go_where_that_is_allowed(more: dict[str, Any]) -> None:
    """Inside TLS, or because somebody said so."""
    initiator = calling(Script([b"one", None], Agreed(sealing=False)), **more)
    initiator.first()

    initiator.answer(200, [spelled(b"two")])

    assert initiator.established
    assert initiator.seal is None


def test_allow_unencrypted_does_not_open_what_can_be_sealed() -> None:
    """It is for hosts that know no better."""
    initiator = calling(Script([b"one", None], Agreed()), allow_unencrypted=True)
    initiator.first()
    initiator.answer(200, [spelled(b"two")])

    assert sealing(initiator) == ("sealed with", SPNEGO)


def test_a_proof_counts_whatever_the_status_says_about_the_request() -> None:
    """A far end that knows us and has trouble of its own has still proven who it is."""
    initiator = calling(Script([b"one", None], Agreed()))
    initiator.first()
    initiator.answer(500, [spelled(b"two")])

    assert initiator.established


@pytest.mark.parametrize("value", ["Negotiate a", "Negotiate ~~~~", "Negotiate " + (LONGEST + 2) * "A" + "="])
def test_what_is_no_token_never_reaches_the_library(value: str) -> None:
    """Nor does one without end."""
    script = Script([b"one", None], Agreed())
    initiator = calling(script)
    initiator.first()

    with pytest.raises(NotAuthenticated):
        initiator.answer(200, [value])

    assert all(len(token or b"") < LONGEST for token in script.told)


def test_no_error_shows_a_token() -> None:
    """They end in logs, and a token can be shown again."""
    initiator = calling(Script([b"one", b"three", None], Agreed()))
    initiator.first()

    with pytest.raises(NotAuthenticated) as caught:
        initiator.answer(403, [spelled(b"a secret token")])

    assert spelled(b"a secret token").partition(" ")[2] not in str(caught.value)
