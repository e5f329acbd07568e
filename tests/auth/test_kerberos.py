"""What the mechanism decides without a KDC: names, groups, keytabs, tokens that never reach the library."""

from __future__ import annotations

import base64
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import collector.auth
from collector.auth import kerberos, reasons
from collector.auth.base import Refused, Visitor
from collector.auth.kerberos import KerberosMechanism, name_of_principal
from collector.auth.tokens import Seen
from collector.clock import ManualClock
from collector.config.settings import ListenerSettings
from collector.errors import OperatorError
from tests.auth.pacs import MACHINE
from tests.listener import domain  # skips where there is no gssapi

assert domain.KRB5
PRINCIPAL = "HTTP/wec.wef.test@WEF.TEST"


def keytab_in(folder: Path) -> Path:
    """A keytab of one made-up AES key, in the file format of MIT Kerberos."""
    service, realm = PRINCIPAL.split("@")

    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    name = (2).to_bytes(2, "big") + text(realm) + b"".join(text(one) for one in service.split("/"))
    entry = name + bytes(4) + bytes(4) + b"\x01" + (18).to_bytes(2, "big") + text("k" * 32)
    path = folder / "http.keytab"
    path.write_bytes(b"\x05\x02" + len(entry).to_bytes(4, "big") + entry)
    return path


def settings(keytab: Path, word: Any = "negotiate") -> ListenerSettings:
    return ListenerSettings.model_construct(transport="http", authentication=[word], keytab=keytab)


def mechanism(folder: Path, word: str = "negotiate") -> KerberosMechanism:
    return KerberosMechanism(word, settings(keytab_in(folder), word), ManualClock())


@pytest.mark.parametrize(
    ("principal", "name"),
    [
        ("pc01$@CORP.EXAMPLE", "pc01"),
        ("PC01$@CORP.EXAMPLE", "pc01"),
        ("host/pc01.corp.example@CORP.EXAMPLE", "pc01.corp.example"),
        ("HTTP/pc01.corp.example/extra@CORP.EXAMPLE", "pc01.corp.example"),
        ("alice@CORP.EXAMPLE", "alice"),
        (r"odd\@name$@CORP.EXAMPLE", "odd@name"),
        (r"odd\/name@CORP.EXAMPLE", "odd/name"),
        ("@", "@"),
    ],
)
def test_a_principal_has_a_name_for_people(principal: str, name: str) -> None:
    """contract.md 3. In lower case: a domain spells PC01$ and pc01$, and files are named after it."""
    assert name_of_principal(principal) == name


NTLM = b"NTLMSSP\0\x01\0\0\0" + bytes(32)
FOREIGN = bytes.fromhex("601a06062b0601050502a010300ea00c300a06082b06010505020101")  # SPNEGO of one mechanism, nobody's


@pytest.mark.parametrize("word", ["kerberos", "negotiate"])
def test_ntlm_never_reaches_the_library(tmp_path: Path, word: str) -> None:
    """One such token has ended processes there (dependencies.md 5.1), and it names nobody (protocol.md 3.5)."""
    visitor = Visitor("192.0.2.7", False)
    verdict = mechanism(tmp_path, word).admit(visitor, f"{word} {base64.b64encode(NTLM).decode()}")

    assert verdict == Refused(reasons.NTLM_ONLY)
    assert "TrustedHosts" in reasons.NTLM_ONLY
    assert visitor.notes == {}


def test_negotiate_without_kerberos_is_told_apart_from_what_is_no_token(tmp_path: Path) -> None:
    """The first is a source's policy, the second somebody's program."""
    found = [
        mechanism(tmp_path).admit(Visitor("192.0.2.7", False), f"Negotiate {base64.b64encode(token).decode()}")
        for token in (FOREIGN, b"hello world")
    ]

    assert found == [Refused(reasons.NO_KERBEROS), Refused(reasons.NEITHER)]


def test_another_scheme_is_no_business_of_this_mechanism(tmp_path: Path) -> None:
    """Each answers its own; the gate asks the others."""
    assert mechanism(tmp_path, "kerberos").admit(Visitor("192.0.2.7", False), "Negotiate abcd") is None


@pytest.mark.parametrize("content", [None, b"", b"\x05\x02", b"no keytab at all"])
def test_a_keytab_that_cannot_serve_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    """At the start and by name, not with the first source at night."""
    path = tmp_path / "http.keytab"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperatorError, match=r"keytab .*http\.keytab"):
        KerberosMechanism("kerberos", settings(path), ManualClock())


def test_a_missing_library_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gssapi is an extra: who configures Kerberos without it learns what to install."""
    monkeypatch.delitem(sys.modules, "collector.auth.gss", raising=False)
    monkeypatch.delattr(collector.auth, "gss", raising=False)
    monkeypatch.setitem(sys.modules, "gssapi", None)
    with pytest.raises(OperatorError, match=r"pip install 'wef-collector\[kerberos\]'.*python3-gssapi"):
        mechanism(tmp_path)


def test_groups_that_cannot_be_read_leave_a_caller_without_any(tmp_path: Path) -> None:
    """It is still who it is; audiences that ask for groups do not take it, and the log says why."""
    from collector.auth.gss import Proof

    proof = Proof("pc01$@A", 1, True, True, False, False, False, 18, b"\x01\x10\x08\x00cut short", True)
    with capture_logs() as lines:
        assert kerberos._sids(proof) is None
    assert kerberos._sids(replace(proof, pac=None)) is None

    assert [(line["event"], line["principal"]) for line in lines] == [("groups unreadable", "pc01$@A")]


@pytest.mark.parametrize(
    ("principal", "borrowed"),
    [
        ("SRV02$@AD.TEST", False),
        ("srv02$@ad.test", False),
        ("host/srv02.ad.test@AD.TEST", False),
        ("alice@AD.TEST", False),
        ("SRV01$@AD.TEST", True),
        ("host/srv01.ad.test@AD.TEST", True),
        ("HOST/srv02.other.test@AD.TEST", False),
        ("host/srv02x.ad.test@AD.TEST", True),
    ],
)
def test_a_machine_is_the_account_that_its_ticket_was_issued_to(principal: str, borrowed: bool) -> None:
    """Whoever may set a userPrincipalName gets tickets that say host/dc01.corp, with the groups of its own account."""
    from collector.auth.gss import Proof

    proof = Proof(principal, 1, True, True, False, False, False, 18, MACHINE, True)

    assert kerberos._borrowed(proof) is borrowed
    assert not kerberos._borrowed(replace(proof, pac=None))
    assert not kerberos._borrowed(replace(proof, pac=MACHINE[:40]))


def test_a_reason_names_the_ticket_and_the_remedy() -> None:
    """Which name, which key version, which encryption: what one compares with the keytab."""
    seen = Seen("kerberos", realm="CORP", service="HTTP/wec.corp", kvno=7, enctype="arcfour-hmac")

    assert "for HTTP/wec.corp@CORP (key version 7, arcfour-hmac)" in reasons.of_kerberos(44, "", seen)
    assert "NTP" in reasons.of_kerberos(37, "", None)
    assert reasons.of_kerberos(60, "Generic error", seen) == "its token was not accepted: Generic error"
    assert all("{" not in reasons.of_kerberos(code, "", seen) for code in range(100))


def test_every_reason_fits_into_a_line_of_the_log() -> None:
    """telemetry cuts a text after 500 characters; the remedy stands at the end."""
    seen = Seen("kerberos", realm="R" * 40, service="HTTP/" + "w" * 60, kvno=1, enctype="aes256-cts-hmac-sha1-96")

    assert max(len(reasons.of_kerberos(code, "", seen)) for code in range(100)) < 500
    assert max(len(value) for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)) < 500
