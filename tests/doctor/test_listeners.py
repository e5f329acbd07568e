"""Listeners judged by what they answered; that the answers are seen right is in tests/cli/test_doctor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from collector.clock import ManualClock
from collector.config.paths import Place
from collector.config.settings import ListenerSettings
from collector.doctor.findings import sick
from collector.doctor.listeners import look_at_listener, look_at_ready
from collector.doctor.probes import Reached, dialled
from collector.simulate.authority import Issued, issue, make_authority
from tests.doctor.saying import only, severities

NOW = ManualClock().now()
AUTHORITY = make_authority("Test CA", NOW)
GOOD = Reached(
    "10.0.0.5", 5985, open=True, version="wef-collector", status=401, challenges=("Kerberos", "Negotiate")
)  # fmt: skip


def http(*authentication: str, address: str = "10.0.0.5") -> ListenerSettings:
    return ListenerSettings.model_validate({
        "transport": "http", "address": address, "authentication": list(authentication),
        **({} if authentication == ("none",) else {"keytab": Path("http.keytab")}),
    }, context=Place())  # fmt: skip


def test_a_listener_that_answers_as_it_should_is_good() -> None:
    """Open, ours, and nobody gets in without proof."""
    assert severities(look_at_listener("domain", http("kerberos", "negotiate"), [GOOD])) == ["ok", "ok"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Reached("10.0.0.5", 5985, trouble="Connection refused"), "nobody listens there: Connection refused"),
        (replace(GOOD, trouble="timed out"), "does not talk http: timed out"),
        (replace(GOOD, version=""), "does not answer Identify"),
        (replace(GOOD, version="Microsoft Corporation OS: 10.0.20348"), "says that it is Microsoft Corporation"),
        (replace(GOOD, status=500), "answers 500 to a request without proof"),
        (replace(GOOD, challenges=("Basic realm=x",)), "it offers Basic, the settings say Kerberos, Negotiate"),
        (replace(GOOD, challenges=()), "it offers no scheme"),
    ],
)
def test_what_is_wrong_with_a_listener(seen: Reached, said: str) -> None:
    """Each with the next thing to type."""
    found = only(look_at_listener("domain", http("kerberos", "negotiate"), [seen]), said)

    assert found.severity == "problem"
    assert found.remedy


def test_a_listener_without_proof_needs_no_401() -> None:
    """Authentication none is for loopback, and takes everybody."""
    seen = replace(GOOD, status=200, challenges=())

    assert not sick(look_at_listener("lab", http("none", address="127.0.0.1"), [seen]))


def tls(folder: Path, issued: Issued) -> ListenerSettings:
    (folder / "server.pem").write_bytes(issued.pem())
    return ListenerSettings.model_validate(
        {"transport": "https", "certificate": "server.pem", "key": "server.key", "client_ca": ["ca.pem"]},
        context=Place(folder),
    )


def test_a_certificate_that_was_replaced_and_not_reloaded(tmp_path: Path) -> None:
    """The file is new, and sources still see the old one expire."""
    old, new = (issue(AUTHORITY, ["wec.corp.example"], server=True, now=NOW) for _ in range(2))
    seen = replace(GOOD, certificate=old.certificate.public_bytes(Encoding.DER), challenges=())

    assert "SIGHUP" in only(look_at_listener("tls", tls(tmp_path, new), [seen]), "it serves the certificate").remedy
    assert not sick(look_at_listener("tls", tls(tmp_path, old), [seen]))


@pytest.mark.parametrize(("status", "severity"), [(200, "ok"), (503, "problem"), (None, "warning")])
def test_readyz(status: int | None, severity: str) -> None:
    """A collector that is draining answers too."""
    assert look_at_ready(status, "127.0.0.1:9598").severity == severity


def test_any_address_is_reached_over_loopback() -> None:
    """Nobody can connect to an asterisk."""
    assert dialled(["*"]) == ["127.0.0.1", "::1"]
    assert dialled(["0.0.0.0", "::", "10.0.0.5", "127.0.0.1"]) == ["127.0.0.1", "::1", "10.0.0.5"]
