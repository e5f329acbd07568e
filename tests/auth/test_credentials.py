"""Credentials are checked before anybody is called, and each mistake has its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from collector.auth.credentials import Credentials, Target
from collector.errors import OperatorError


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mechanism": "kerberos5"}, 'mechanism: "kerberos5" is none of kerberos, negotiate, certificate, none.'),
        ({"mechanism": "kerberos", "keytab": "k"}, "principal: it is missing"),
        ({"mechanism": "kerberos", "password": "p"}, "username: it is missing"),
        ({"mechanism": "kerberos", "username": "u"}, "password: it is missing"),
        ({"mechanism": "negotiate", "keytab": "k", "ccache": "c", "principal": "p"}, "keytab and ccache: a ticket"),
        ({"mechanism": "negotiate", "principal": "p", "username": "u", "password": "p"}, "they name the same thing"),
        ({"mechanism": "kerberos", "username": "CORP\\joe", "password": "p"}, 'write it as "collector@CORP.EXAMPLE"'),
        ({"mechanism": "certificate"}, "certificate: it is missing"),
        ({"mechanism": "certificate", "certificate": "c", "keytab": "k"}, "keytab: only mechanism kerberos"),
        ({"mechanism": "kerberos", "username": "u", "password": "p\udc80"}, "password: it holds a NUL or bytes"),
        ({"mechanism": "kerberos", "username": "u\0@CORP", "password": "p"}, "username: it holds a NUL or bytes"),
        ({"mechanism": "none", "password": "p"}, "password: only mechanism kerberos"),
        ({"mechanism": "none", "key": "k"}, "key: there is no certificate for it"),
        ({"mechanism": "none", "trusted_hosts": ("http://pc",)}, 'trusted_hosts: "http://pc" names no host'),
        ({"mechanism": "none", "service": "http"}, 'service: "http" is none of HTTP, HOST, WSMAN.'),
    ],
)
def test_what_does_not_fit_together_is_said(given: dict[str, Any], sentence: str) -> None:
    """At start-up, and not when the first source is called at night."""
    with pytest.raises(OperatorError) as caught:
        Credentials(**given)

    assert any(problem.startswith("credentials: ") and sentence in problem for problem in caught.value.problems)


def test_a_password_is_in_no_text() -> None:
    """Values end up in logs and tracebacks."""
    assert "sesame" not in repr(Credentials("kerberos", username="joe@CORP", password="sesame"))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", ["pc", "pc.corp.example", "10.0.0.1"], []),
        (
            "*.dmz.example",
            ["PC.dmz.example", "a.b.DMZ.example."],
            ["dmz.example", "pc.dmz.example.org", "xdmz.example"],
        ),
        ("10.0.*", ["10.0.3.4"], ["110.0.3.4"]),
        ("<local>", ["pc", "PC."], ["pc.corp.example", "10.0.0.1", "::1"]),
        ("<LOCAL>", ["pc"], ["pc.corp.example"]),
        ("[fe80::1]", ["FE80::1"], ["fe80::11"]),
        ("pc.corp", ["PC.corp"], ["pcxcorp", "pc.corp.example"]),
    ],
)
def test_trusted_hosts_are_what_winrm_means_by_them(pattern: str, yes: list[str], no: list[str]) -> None:
    """A list that was copied from Windows must not trust more here than there."""
    credentials = Credentials("none", trusted_hosts=("nobody", pattern))

    assert [host for host in [*yes, *no] if credentials.trusts(host)] == yes


def test_a_service_principal_name_is_spelled_as_the_host_was() -> None:
    """DNS may say what it likes; an empty realm lets the KDC refer us."""
    assert Target("PC01.corp.example.", 5985, secure=False).spn("HTTP") == "HTTP/PC01.corp.example@"
    assert Target("pc", 5985, secure=False, realm="CORP.EXAMPLE").spn("HOST") == "HOST/pc@CORP.EXAMPLE"


def test_a_target_reads_as_its_address() -> None:
    """Errors name it."""
    assert str(Target("pc", 5986, secure=True)) == "https://pc:5986"
    assert str(Target("fe80::1", 5985, secure=False)) == "http://[fe80::1]:5985"
