"""Tickets had from a real KDC and opened with keytabs that fit, and that do not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from collector.auth.keytab import KeytabError, read_keytab
from collector.clock import Clock, ManualClock, SystemClock
from collector.doctor.findings import Finding
from collector.doctor.tickets import Asking, Trial, clocks, issued_at
from tests.conftest import absent
from tests.doctor.saying import only
from tests.servers.kdc import Kdc

ASKER = "doctor$"


@pytest.fixture
def asking(kdc: Kdc) -> Asking:
    try:
        import collector.auth.gss  # noqa: F401
    except ImportError:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    return Asking(kdc.full(ASKER), kdc.keytab(ASKER))


def run(keytab: Path, host: str, asking: Asking, clock: Clock | None = None) -> tuple[Sequence[Finding], set[str]]:
    trial = Trial("keytab x", keytab, read_keytab(keytab), host, clock or SystemClock())
    return list(trial.run(asking)), trial.opened


def copied(kdc: Kdc, principal: str, target: Path) -> Path:
    """The keytab of *principal* as it is now, in a file of the test's own."""
    kdc.keytab(principal)
    target.write_bytes(kdc.keytab(principal).read_bytes())
    return target


def test_a_ticket_is_had_and_opened(kdc: Kdc, asking: Asking) -> None:
    """The whole way of a source, without the source; the clocks are compared on the way."""
    found, opened = run(kdc.keytab("HTTP/good.wef.test"), "good.wef.test", asking)

    said = only(found, "and the keytab opens it")
    assert said.text.startswith("a ticket for HTTP/good.wef.test@WEF.TEST (version 1, aes256-cts-hmac-sha1-96) was had")
    assert only(found, "agrees with the KDC's").severity == "ok"
    assert only(found, "HOST/good.wef.test").severity == "warning"
    assert opened == {"HTTP/good.wef.test@WEF.TEST"}


def test_without_an_asker_the_keytabs_own_accounts_ask(kdc: Kdc, asking: Asking) -> None:
    """Where the service's name is an account's name too, no second keytab is needed."""
    found, _ = run(kdc.keytab("HTTP/own.wef.test"), "own.wef.test", Asking())

    assert "was had as HTTP/own.wef.test@WEF.TEST" in only(found, "and the keytab opens it").text


def test_a_key_of_another_name_opens_it_when_the_key_is_the_same(kdc: Kdc, asking: Asking, tmp_path: Path) -> None:
    """Letters, names and realms do not matter to an acceptor without a name; in a domain one account has many."""
    keytab = copied(kdc, "HTTP/letters.wef.test", tmp_path / "x.keytab")
    keytab.write_bytes(keytab.read_bytes().replace(b"HTTP", b"http"))

    _, opened = run(keytab, "letters.wef.test", asking)

    assert opened == {"HTTP/letters.wef.test@WEF.TEST"}


def test_a_password_that_changed_after_the_keytab_was_made_is_named(kdc: Kdc, asking: Asking, tmp_path: Path) -> None:
    """The commonest of all: ktpass was run twice, or the machine account's password rolled over."""
    keytab = copied(kdc, "HTTP/changed.wef.test", tmp_path / "x.keytab")
    kdc.administer("cpw -randkey HTTP/changed.wef.test")

    found, opened = run(keytab, "changed.wef.test", asking)

    said = only(found, "password was changed")
    assert "with version 2, the file has 1" in said.text
    assert "ktpass /princ HTTP/changed.wef.test@WEF.TEST" in said.remedy
    assert opened == set()
    assert "Its key is not the KDC's" in only(run(keytab, "changed.wef.test", Asking())[0], "no ticket").text


def test_a_keytab_of_another_service_is_named(kdc: Kdc, asking: Asking) -> None:
    """Somebody copied the file of the neighbour."""
    kdc.keytab("HTTP/mine.wef.test")

    found, _ = run(kdc.keytab("HTTP/neighbour.wef.test"), "mine.wef.test", asking)

    assert only(found, "the name is missing").severity == "problem"


def test_a_name_that_is_not_registered_is_a_problem_of_the_directory(kdc: Kdc, asking: Asking) -> None:
    """No keytab helps where the KDC has never heard of the name."""
    found, _ = run(kdc.keytab("HTTP/other.wef.test"), "unheard.wef.test", asking)

    said = only(found, "HTTP/unheard.wef.test")
    assert said.severity == "problem"
    assert "setspn -S HTTP/unheard.wef.test" in said.remedy


def test_an_asker_that_the_realm_does_not_know(kdc: Kdc, asking: Asking, tmp_path: Path) -> None:
    """With --as it is a typing error; without, it is how Active Directory answers a service's name."""
    keytab = copied(kdc, "HTTP/ad.wef.test", tmp_path / "x.keytab")
    kdc.administer("delprinc -force HTTP/ad.wef.test")

    by_itself = only(run(keytab, "ad.wef.test", Asking())[0], "no ticket could be had")
    by_name = only(run(keytab, "ad.wef.test", Asking("HTTP/ad.wef.test@WEF.TEST", keytab))[0], "no ticket could be had")

    assert (by_itself.severity, by_name.severity) == ("warning", "problem")
    assert "--as ACCOUNT@REALM" in by_itself.remedy


def test_an_asker_without_a_key_is_named(kdc: Kdc, asking: Asking) -> None:
    """The library says only that there is no cache."""
    found, _ = run(kdc.keytab("HTTP/good.wef.test"), "good.wef.test", Asking("nobody@WEF.TEST", asking.keytab))

    assert "has no key of that name" in only(found, "no ticket could be had as nobody@WEF.TEST").text


def test_a_realm_without_a_kdc(kdc: Kdc, asking: Asking, tmp_path: Path) -> None:
    """krb5.conf is wrong on the collector: the first thing to know, and not to be asked twice."""
    keytab = copied(kdc, "HTTP/good.wef.test", tmp_path / "x.keytab")
    keytab.write_bytes(keytab.read_bytes().replace(b"WEF.TEST", b"WEF.NONE"))

    (said,) = run(keytab, "good.wef.test", Asking())[0]

    assert said.severity == "problem"
    assert "/etc/krb5.conf" in said.remedy


@pytest.mark.parametrize(("late", "severity"), [(-1200, "problem"), (1200, "problem"), (60, "warning")])
def test_clocks_that_differ_are_told_with_how_much(kdc: Kdc, asking: Asking, late: int, severity: str) -> None:
    """More than five minutes and no ticket is accepted; nobody thinks of the clock first."""
    clock = ManualClock(SystemClock().now() + timedelta(seconds=late))

    said = only(run(kdc.keytab("HTTP/good.wef.test"), "good.wef.test", asking, clock)[0], "the KDC's;")

    assert said.severity == severity
    assert ("ahead of" if late > 0 else "behind") in said.text


@pytest.mark.parametrize("cache", [b"", b"\x05\x04", b"\x05\x04\x00\x00" + b"\x00" * 12 + b"\xff" * 8, b"\x05\x03rest"])
def test_a_cache_that_cannot_be_read_is_no_finding(cache: bytes) -> None:
    """The library wrote it; another format is none of the administrator's business."""
    assert list(clocks(cache, 0.0)) == []


def test_a_truncated_cache_has_one_exception() -> None:
    """As for keytabs."""
    with pytest.raises(KeytabError):
        issued_at(b"\x05\x04\x00\x00" + b"\x00" * 11)
