"""Which principal a pretend source is, and what sources are called when a keytab decides it."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.errors import OperatorError
from collector.simulate.fleet import Fleet, FleetOptions
from collector.simulate.principals import Principals
from tests.auth.test_keytab import entry

URL = "http://wec.corp.example:5985/wsman/SubscriptionManager/WEC"
MADE_UP = [("ws-0001.corp.example", "workstation"), ("srv-0001.corp.example", "server")]


def keytab(path: Path, *names: str) -> str:
    path.write_bytes(b"\x05\x02" + b"".join(entry(name) for name in names))
    return str(path)


def fleet_of(keytab: str | None, principal: str | None = None) -> Principals:
    return Principals(URL, "kerberos", keytab, principal)


@pytest.mark.parametrize(
    ("pattern", "principal"),
    [
        (None, "WS-0001$"),
        ("{SOURCE}$@CORP.EXAMPLE", "WS-0001$@CORP.EXAMPLE"),
        ("host/{source}", "host/ws-0001.corp.example"),
        ("svc@CORP.EXAMPLE", "svc@CORP.EXAMPLE"),
    ],
)
def test_a_source_is_called_as_its_machine_account(tmp_path: Path, pattern: str | None, principal: str) -> None:
    """Captured: WIN10$@WINDOMAIN.LOCAL is the machine win10.windomain.local."""
    assert fleet_of(keytab(tmp_path / "a", "WS-0001$"), pattern).principal("ws-0001.corp.example") == principal


def test_long_names_are_cut_as_windows_cuts_them(tmp_path: Path) -> None:
    """A machine account has the NetBIOS name, 15 characters at most."""
    assert fleet_of(keytab(tmp_path / "a", "X$")).principal("a-very-long-machine.corp") == "A-VERY-LONG-MAC$"


def test_one_keytab_may_hold_the_keys_of_the_whole_fleet(tmp_path: Path) -> None:
    """One file to make and to carry; its other keys do no harm."""
    shared = fleet_of(keytab(tmp_path / "a", "HTTP/wec.corp.example", "WS-0001$", "SRV-0001$"))

    assert shared.names(MADE_UP) == MADE_UP
    assert not shared.shared


def test_sources_take_the_names_that_a_keytab_of_real_machines_has(tmp_path: Path) -> None:
    """Who exported real machine accounts need not know what a made-up fleet is called."""
    real = fleet_of(keytab(tmp_path / "a", "PC01$", "PC01$", "host/pc01.corp.example", "PC02$"))

    assert real.names(MADE_UP) == [("pc01.corp.example", "workstation"), ("pc02.corp.example", "server")]
    assert real.principal("pc02.corp.example") == "PC02$"


def test_a_keytab_for_each_source_is_found_by_its_name(tmp_path: Path) -> None:
    """As with certificates."""
    for name in ("pc1.corp.example", "pc2.corp.example"):
        keytab(tmp_path / f"{name}.keytab", "PC1$")

    assert [name for name, _ in fleet_of(str(tmp_path / "{source}.keytab")).names(MADE_UP)] == [
        "pc1.corp.example",
        "pc2.corp.example",
    ]


def test_too_few_keys_are_told_at_once_and_with_the_name_that_is_missing(tmp_path: Path) -> None:
    """Before anything is sent, and not as a failure of one source among hundreds."""
    few = keytab(tmp_path / "few.keytab", "PC01$")

    with pytest.raises(OperatorError, match=r"few\.keytab: there are keys of 1 principals .* WS-0001\$"):
        fleet_of(few).names(MADE_UP)


def test_a_keytab_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The file, and why."""
    with pytest.raises(OperatorError, match=r"none\.keytab"):
        fleet_of(str(tmp_path / "none.keytab")).names(MADE_UP)


def test_one_ticket_for_several_sources_is_noticed(tmp_path: Path) -> None:
    """A collector would see one and the same source; the command says so."""
    path = keytab(tmp_path / "a", "PC01$")
    options = {"url": URL, "sources": 2, "mechanism": "kerberos"}

    assert Fleet(FleetOptions(**options), SystemClock()).shares_one_identity  # type: ignore[arg-type]
    assert fleet_of(path, "PC01$").shared
    assert not fleet_of(path).shared


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keytab": "a"}, "--mechanism kerberos or negotiate"),
        ({"mechanism": "none", "principal": "a"}, "--mechanism kerberos or negotiate"),
        ({"mechanism": "kerberos", "cert": "a.pem"}, "one identity"),
        ({"mechanism": "certificate"}, "there is no --cert"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, str], said: str) -> None:
    """Which one was meant?"""
    with pytest.raises(OperatorError, match=said):
        FleetOptions(URL, **options)  # type: ignore[arg-type]
