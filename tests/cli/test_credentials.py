"""``wef check`` on [credentials.NAME]: files that cannot be read or do not fit are found before anybody is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.cli.credentials import credential_problems
from collector.config.paths import Place
from collector.config.pull import CredentialsSettings
from collector.simulate.authority import issue, make_authority
from tests.servers.kdc import Kdc

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def found(folder: Path, **written: Any) -> tuple[list[str], list[str]]:
    return credential_problems("dmz", CredentialsSettings.model_validate(written, context=Place(folder)), NOW)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """ca.pem, client.pem and its client.key, and a key of somebody else's."""
    authority = make_authority("Lab CA", NOW - timedelta(days=10))
    client, other = (issue(authority, [name], server=False, now=NOW) for name in ("a.lab.example", "b.lab.example"))
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    (tmp_path / "client.pem").write_bytes(client.pem())
    for name, issued in (("client.key", client), ("other.key", other)):
        (tmp_path / name).write_bytes(issued.key_pem())
        (tmp_path / name).chmod(0o600)
    return tmp_path


def test_a_certificate_with_its_key_is_fine(files: Path) -> None:
    """Nothing to say is the usual case."""
    assert found(files, mechanism="certificate", certificate="client.pem", key="client.key", ca="ca.pem") == ([], [])


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Not only the first."""
    problems, _ = found(tmp_path, mechanism="certificate", certificate="a.pem", key="a.key", ca="ca.pem")

    assert problems == [
        f"at credentials.dmz.{key}: {tmp_path / name} cannot be read: No such file or directory."
        for key, name in (("certificate", "a.pem"), ("key", "a.key"), ("ca", "ca.pem"))
    ]


def test_a_key_of_another_certificate_is_found(files: Path) -> None:
    """Renewed the one, forgot the other."""
    problems, _ = found(files, mechanism="certificate", certificate="client.pem", key="other.key")

    assert len(problems) == 1
    assert problems[0].startswith("at credentials.dmz.certificate: ")
    assert "cannot be used" in problems[0]


def test_dates_rights_and_what_is_allowed_are_told(files: Path) -> None:
    """What works today and not next month, and what works too well."""
    (files / "client.key").chmod(0o644)
    certificate = {"mechanism": "certificate", "certificate": "client.pem", "key": "client.key"}
    settings = CredentialsSettings.model_validate(
        {**certificate, "trusted_hosts": ["*"], "allow_unencrypted": True}, context=Place(files)
    )

    soon = credential_problems("dmz", settings, NOW + timedelta(days=800))
    over = credential_problems("dmz", settings, NOW + timedelta(days=900))

    assert soon[0] == []
    assert [text.split(":")[0] for text in soon[1]] == [
        f"at credentials.dmz.{key}" for key in ("certificate", "key", "allow_unencrypted", "trusted_hosts")
    ]
    assert "in 25 days" in soon[1][0]
    assert "has expired on 2028-08-03" in over[0][0]


def test_a_keytab_holds_the_key_of_the_principal(kdc: Kdc, kerberos_library: None) -> None:
    """The most common mistake: the keytab of the service, or another spelling."""
    keytab = kdc.keytab("checked")
    keytab.chmod(0o600)

    def said(principal: str) -> list[str]:
        return found(Path(), mechanism="kerberos", keytab=str(keytab), principal=principal)[0]

    assert said(kdc.full("checked")) == []
    assert said("checked") == []
    assert said("Checked")[0] == (
        f"at credentials.dmz.keytab: {keytab} has no key of Checked (there is one of checked@WEF.TEST, spelled"
        " otherwise); it holds checked@WEF.TEST."
    )
    assert "has no key of other@WEF.TEST; it holds checked@WEF.TEST" in said("other@WEF.TEST")[0]


def test_what_contradicts_itself_is_told_as_serve_would(tmp_path: Path) -> None:
    """One set of sentences for both."""
    assert found(tmp_path, mechanism="kerberos", username="a")[0] == [
        "at credentials.dmz.password: it is missing; a username needs one (a principal has a keytab or a ccache)."
    ]
