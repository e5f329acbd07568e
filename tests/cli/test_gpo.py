"""``wef gpo``: the text that is pasted into the policy. A wrong letter and no machine ever comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.simulate.authority import make_authority
from tests.cli.running import wef
from tests.cli.site import NOW, make_keys, make_site


def test_https_names_the_ca_that_issued_the_sources_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """protocol.md 13.1: form, order and the 40 hex digits; then where it goes."""
    authority, path = make_keys(tmp_path), make_site(tmp_path)

    ended = wef(capsys, "gpo", "--config", path)

    assert ended.code == 0
    lines = [line.strip() for line in ended.out.splitlines()]
    assert (
        "Server=https://wec.corp.example:5986/wsman/SubscriptionManager/WEC,Refresh=1200,"
        f"IssuerCA={authority.thumbprint}"
    ) in lines
    assert "Configure target Subscription Manager" in ended.out
    assert r"HKLM\SOFTWARE\Policies\Microsoft\Windows\EventLog\EventForwarding\SubscriptionManager" in ended.out


def test_every_client_ca_has_a_text_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source gets the one of the CA that issued its certificate, during a renewal both."""
    first, second = make_keys(tmp_path), make_authority("Test CA", NOW)
    (tmp_path / "ca.pem").write_bytes(first.pem() + second.pem())

    rows = wef(capsys, "gpo", "--config", make_site(tmp_path), "--refresh", 60, "--json").rows

    assert [row["policy"].rpartition(",IssuerCA=")[2] for row in rows] == [first.thumbprint, second.thumbprint]
    assert all(",Refresh=60," in row["policy"] for row in rows)


def test_the_public_port_is_the_one_that_sources_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind a load balancer the listener's own port is nobody's business."""
    make_keys(tmp_path)
    path = make_site(tmp_path, listener="port = 15986\npublic_port = 443", host="fe80::1")

    (row,) = wef(capsys, "gpo", "--config", path, "--json").rows

    assert row["policy"].startswith("Server=https://[fe80::1]:443/wsman/")


def test_plain_http_has_no_issuer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says that real sources cannot come."""
    make_keys(tmp_path)
    path = make_site(
        tmp_path, more='[listeners.lab]\ntransport = "http"\naddress = "127.0.0.1"\nauthentication = ["none"]'
    )  # fmt: skip

    row = wef(capsys, "gpo", "--config", path, "--json").rows[1]

    assert row["policy"] == "Server=http://127.0.0.1:5985/wsman/SubscriptionManager/WEC,Refresh=1200"
    assert "trials on this machine only" in row["note"]


def test_a_ca_that_cannot_be_read_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a policy without IssuerCA."""
    ended = wef(capsys, "gpo", "--config", make_site(tmp_path))

    assert ended.code == 78
    assert "client_ca" in ended.err
    assert ended.out == ""
