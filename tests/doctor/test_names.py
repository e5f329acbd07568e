"""Whether the policy's name leads here: each thing that goes wrong with names, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from collector.doctor.names import look_at_name
from tests.doctor.saying import only, severities


@dataclass(frozen=True)
class Zone:
    """A ``Resolver`` with what it is told."""

    forward: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reverse: Mapping[str, str] = field(default_factory=dict)
    ours: frozenset[str] = frozenset({"10.0.0.5", "fd00::5"})

    def addresses(self, host: str) -> Sequence[str]:
        return self.forward.get(host, ())

    def name(self, address: str) -> str | None:
        return self.reverse.get(address)

    def local(self, address: str) -> bool:
        return address in self.ours


HOST = "wec.corp.example"


def test_a_name_that_leads_here_and_back_is_good() -> None:
    """Nothing to do, so nothing to read but one line."""
    zone = Zone({HOST: ["10.0.0.5"]}, {"10.0.0.5": "WEC.corp.example."})

    assert severities(look_at_name(HOST, zone, kerberos=True)) == ["ok"]


def test_a_name_that_leads_to_loopback_says_nothing_of_the_sources() -> None:
    """Debian's installer writes 127.0.1.1 with the machine's full name into /etc/hosts; DNS may have no record."""
    zone = Zone({HOST: ["127.0.1.1"]}, ours=frozenset({"127.0.1.1"}))

    assert severities(look_at_name(HOST, zone, kerberos=True)) == ["warning"]


def test_a_name_that_leads_nowhere_is_a_problem() -> None:
    """0x803381B9 on every source."""
    found = only(look_at_name(HOST, Zone(), kerberos=False), "does not resolve")

    assert found.severity == "problem"
    assert f"Resolve-DnsName {HOST}" in found.remedy


def test_a_name_of_another_machine_may_be_a_load_balancer() -> None:
    """So it is a warning and not a problem."""
    found = only(look_at_name(HOST, Zone({HOST: ["10.9.9.9"]}), kerberos=False), "not this machine")

    assert found.severity == "warning"


def test_a_reverse_record_of_another_name_misleads_some_clients() -> None:
    """MIT's library with rdns asks for a ticket of the name that it finds there."""
    zone = Zone({HOST: ["10.0.0.5"]}, {"10.0.0.5": "old.corp.example"})

    assert "HTTP/old.corp.example" in only(look_at_name(HOST, zone, kerberos=True), "reverse").remedy


@pytest.mark.parametrize(
    ("host", "said", "severity"),
    [("10.0.0.5", "0x8033810B", "problem"), ("fd00::5", "0x8033810B", "problem"),
     ("localhost", "0x8033810E", "warning"), ("wec", "short name", "warning")],
)  # fmt: skip
def test_names_for_which_windows_gets_no_ticket(host: str, said: str, severity: str) -> None:
    """The commonest mistake in a policy; without Kerberos all of these may be right."""
    zone = Zone({host: ["10.0.0.5"]})

    assert only(look_at_name(host, zone, kerberos=True), said).severity == severity
    assert not any(said in finding.text for finding in look_at_name(host, zone, kerberos=False))
