"""Keytabs judged by what is in them: each finding provoked once. Trying them is in test_tickets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collector.auth.keytab import Entry
from collector.doctor.findings import sick
from collector.doctor.keytabs import Shown, look_at_keytab, names, recipe, unopened
from tests.doctor.saying import only, severities

REALM, HOST = "CORP.EXAMPLE", "wec.corp.example"
AES, AES128, RC4, DES = 18, 17, 23, 3
PRIVATE = 0o100640


def key(name: str = f"HTTP/{HOST}", kvno: int = 3, number: int = AES, realm: str = REALM) -> Entry:
    return Entry(tuple(name.split("/")), realm, kvno, number, datetime(2026, 3, 1, tzinfo=UTC))


def test_it_says_what_the_file_holds() -> None:
    """Principals, newest key versions, types and dates, in one line."""
    entries = [key(), key(number=AES128), key(kvno=2), key("wec$")]

    found = only(look_at_keytab("keytab x", entries, PRIVATE), "it holds")

    assert found.text == (
        f"it holds HTTP/{HOST}@{REALM} (version 3, and 2: aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96;"
        f" 2026-03-01); wec$@{REALM} (version 3: aes256-cts-hmac-sha1-96; 2026-03-01)."
    )


def test_an_empty_file_is_a_problem_with_a_recipe() -> None:
    """ktutil writes one without complaint."""
    assert "ktpass /princ" in only(look_at_keytab("keytab x", [], PRIVATE), "empty").remedy


@pytest.mark.parametrize("mode", [0o100644, 0o100660, 0o100602])
def test_a_keytab_that_others_can_read_is_a_problem(mode: int) -> None:
    """Whoever has it is the collector."""
    assert only(look_at_keytab("keytab x", [key()], mode), "others can").severity == "problem"


def test_keys_of_broken_ciphers_only_are_a_problem() -> None:
    """RC4 sessions are refused, so no source would get in."""
    entries = [key(number=RC4), key(number=DES)]

    assert only(look_at_keytab("keytab x", entries, PRIVATE), "only RC4").severity == "problem"
    assert only(look_at_keytab("keytab x", entries, PRIVATE, allow_rc4=True), "only RC4").severity == "warning"
    assert not sick(look_at_keytab("keytab x", [*entries, key()], PRIVATE))


def test_several_realms_are_told() -> None:
    """A keytab for two forests is right, and each is looked at for the name."""
    entries = [key(), key(realm="B.EXAMPLE")]

    assert "B.EXAMPLE, CORP.EXAMPLE" in only(look_at_keytab("keytab x", entries, PRIVATE), "realms").text
    assert severities(names("keytab x", entries, HOST)) == ["ok", "warning", "ok", "warning"]


def test_a_missing_name_says_what_is_held_instead() -> None:
    """design.md, Tone: the sentence that ends an evening of searching."""
    http, host = names("keytab http.keytab", [key(f"host/{HOST}")], HOST)

    assert f"{http.subject}: {http.text}" == (
        f"keytab http.keytab: no key for HTTP/{HOST}@{REALM}.\n"
        f"  It holds: host/{HOST}@{REALM}. Clients ask for HTTP/<the name in the policy>."
    )
    assert http.severity == "problem"
    assert host.severity == "ok"


def test_a_missing_host_name_is_for_newer_windows_only() -> None:
    """Windows Server 2025 asks for HOST/ (protocol.md 3.4)."""
    http, host = names("keytab x", [key()], HOST)

    assert http.severity == "ok"
    assert host.severity == "warning"
    assert "Windows Server 2025" in host.text


def test_letters_may_differ() -> None:
    """Our acceptor has no name, so every key of the file is tried; the difference is shown all the same."""
    found = only(names("keytab x", [key(f"http/{HOST}")], HOST), "letters differ")

    assert found.severity == "ok"


def test_the_key_of_an_account_may_open_its_names() -> None:
    """What samba-tool and adcli export; the file alone cannot say."""
    assert severities(names("keytab x", [key("wec$")], HOST)) == ["warning", "warning"]


def test_a_name_whose_ticket_was_opened_is_not_missing() -> None:
    """What was tried counts more than how it is spelled."""
    opened = {f"HTTP/{HOST}@{REALM}"}

    assert severities(names("keytab x", [key(f"HTTP/alias.{HOST}")], HOST, opened)) == ["ok", "warning"]


def ticket(kvno: int | None = 3, encryption: str = "aes256-cts-hmac-sha1-96", service: str = f"HTTP/{HOST}") -> Shown:
    return Shown(service, REALM, kvno, encryption)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (ticket(service="HTTP/other.corp.example"), "the name is missing"),
        (ticket(kvno=4), "the account's password was changed after it was made"),
        (ticket(kvno=2), "the file has 3 already"),
        (ticket(encryption="arcfour-hmac"), "closed with arcfour-hmac, the file has aes256-cts-hmac-sha1-96 only"),
        (ticket(), "is not the KDC's"),
        (ticket(kvno=None), "is not the KDC's"),
    ],
)
def test_a_ticket_that_was_not_opened_is_explained(shown: Shown, said: str) -> None:
    """Five different mistakes, which Kerberos calls by nearly the same name."""
    found = unopened("keytab x", [key()], shown, "decrypt integrity check failed")

    assert found.severity == "problem"
    assert said in found.text
    assert found.remedy


def test_a_keytab_with_very_many_names_is_read_in_one_breath() -> None:
    """A megabyte holds 37,000; each with each would take minutes."""
    entries = [key(f"HTTP/wec{number}", realm=f"R{number}") for number in range(20_000)]
    looked = []  # how often a name was spelled

    class Counting(Entry):
        @property
        def principal(self) -> str:
            looked.append(1)
            return super().principal

    counting = [Counting(one.components, one.realm, one.kvno, one.number, one.made) for one in entries]
    found = [*look_at_keytab("keytab x", counting, PRIVATE), *names("keytab x", counting, HOST)]

    assert len(looked) < 10 * len(entries)
    assert all(len(finding.text) < 4000 for finding in found)
    assert len(found) < 60


def test_a_name_that_a_shell_would_obey_gets_into_no_command_line() -> None:
    """Remedies are pasted into shells of administrators, and anybody may have made the file."""
    evil = "x$(touch${IFS}/tmp/x);rm"
    entries = [key(f"HTTP/{evil}"), key("other;id", realm="A.EXAMPLE")]
    found = [*names("keytab x", entries, evil), unopened("keytab x", entries, Shown(f"HTTP/{evil}", REALM, 9, ""), "")]

    assert len(found) == 5
    assert not [finding.remedy for finding in found if "$(" in finding.remedy or ";id" in finding.remedy]


def test_the_recipe_writes_no_second_keytab_of_a_joined_machine() -> None:
    """adcli and msktutil change the machine's password and read the old one from the file that they write (their
    manuals, --host-keytab and --keytab): any other file fails, or takes the machine out of the domain."""
    lines = [line for line in recipe(HOST, REALM).splitlines() if "adcli" in line or "msktutil" in line]

    assert len(lines) == 2
    assert all("keytab=" not in line and "--keytab" not in line for line in lines)
