"""Whose events a caller may bring, and what becomes of the others."""

from __future__ import annotations

import pytest

from collector.delivery.spoofing import LONGEST_SHOWN, Mark, Quarantine, Reject, fitting, judge, objection
from collector.model import Caller, Key
from collector.subscriptions.subscription import Spoofing

MEMBER = Caller("pc01$@corp.example", "pc01", "PC01$@CORP.EXAMPLE", "kerberos", "192.0.2.1")
LONG = Caller("verylonghostnam$@corp.example", "verylonghostnam", "VERYLONGHOSTNAM$@CORP.EXAMPLE", "kerberos", "")
SERVICE = Caller("host/ws9.corp.example@r", "ws9.corp.example", "host/ws9.corp.example@R", "kerberos", "192.0.2.1")
WHOLE = Caller(
    "verylonghostnam.corp.example", "verylonghostnam.corp.example", "verylonghostnam.corp.example", "certificate", "",
)  # fmt: skip
LONGER = Caller(
    "host/verylonghostname17.corp.example@corp.example", "verylonghostname17.corp.example",
    "host/verylonghostname17.corp.example@CORP.EXAMPLE", "kerberos", "",
)  # fmt: skip
USER = Caller("dc01@corp.example", "dc01", "dc01@CORP.EXAMPLE", "negotiate", "192.0.2.1")
OTHERS = Caller("http/ws9.corp.example@r", "ws9.corp.example", "HTTP/ws9.corp.example@R", "kerberos", "192.0.2.1")
CERTIFIED = Caller(
    "ws-1.dmz.example", "WS-1.dmz.example", "WS-1.dmz.example", "certificate", "192.0.2.7",
    names=("WS-1.dmz.example", "alias.other.example"),
)  # fmt: skip
CLAIMED = Caller("192.0.2.7", "192.0.2.7", "192.0.2.7", "none", "192.0.2.7")


@pytest.mark.parametrize(
    ("caller", "computer"),
    [
        (MEMBER, "PC01"),
        (MEMBER, "pc01.corp.example"),
        (MEMBER, " PC01.Corp.Example. "),
        (MEMBER, "PC01.sites.corp.example"),
        (LONG, "VeryLongHostName17.corp.example"),
        (WHOLE, "VERYLONGHOSTNAM"),
        (LONGER, "VERYLONGHOSTNAM"),
        (LONGER, "verylonghostname17"),
        (SERVICE, "WS9.corp.example"),
        (SERVICE, "WS9"),
        (CERTIFIED, "ws-1.DMZ.example"),
        (CERTIFIED, "WS-1"),
        (CERTIFIED, "alias.other.example"),
        (CERTIFIED, "ALIAS"),
        (CERTIFIED, "ws-1.sites.corp.example"),
        (CLAIMED, "192.0.2.7"),
    ],
)
def test_what_a_machine_calls_itself_fits(caller: Caller, computer: str) -> None:
    """A host has a short name, a long one and more domains than its realm; a wrong alarm would end the use of all."""
    assert fitting(caller, ["sites.corp.example"])(computer)


@pytest.mark.parametrize(
    ("caller", "computer"),
    [
        (MEMBER, "PC02"),
        (MEMBER, "PC01.evil.example"),
        (MEMBER, "pc01.corp.example.evil.example"),
        (MEMBER, "PC011"),
        (MEMBER, "corp.example"),
        (MEMBER, ""),
        (MEMBER, "  "),
        (LONG, "verylonghostna.corp.example"),
        (LONG, "verylonghostnam2.evil.example"),
        (WHOLE, "verylonghostnam2.corp.example"),
        (WHOLE, "verylonghostnam2"),
        (LONGER, "verylonghostnam.corp.example"),
        (LONGER, "verylonghostname18"),
        (CERTIFIED, "ws-1.other.example"),
        (CLAIMED, "192"),
        (USER, "dc01"),
        (USER, "DC01.corp.example"),
        (OTHERS, "ws9.corp.example"),
    ],
)
def test_anything_else_does_not(caller: Caller, computer: str) -> None:
    """Computer decides in which machine's history an event is read, and a domain controller's is worth a lie.

    Long ones: nobody cuts the names in certificates, so another machine may well be called like this one and more.
    The last ones: whoever may make user accounts may call one like a machine; the account of a machine ends with $.
    """
    assert not fitting(caller, ["sites.corp.example"])(computer)


def keys(*computers: str) -> list[Key]:
    return [Key(0, computer, "Security", "P", "1", 0) for computer in computers]


def test_each_policy_does_what_its_name_says() -> None:
    """One bad event in a batch is pointed at, taken out, or the end of it."""
    found = keys("PC01", "DC01", "pc01.corp.example", "")

    assert judge(Spoofing(), MEMBER, found) is None
    assert judge(Spoofing("tag"), MEMBER, found) == Mark([1, 3])
    assert judge(Spoofing("quarantine"), MEMBER, found) == Quarantine([1, 3])
    assert judge(Spoofing("reject"), MEMBER, found) == Reject([1, 3])
    assert judge(Spoofing("reject"), MEMBER, keys("PC01", "pc01")) is None


def test_an_event_that_names_no_machine_ends_no_subscription() -> None:
    """A log that holds one mangled event would be refused with every attempt again, and nobody would read the rest."""
    assert judge(Spoofing("reject"), MEMBER, keys("PC01", "", " ")) == Quarantine([1, 2])


@pytest.mark.parametrize("glob", ["PC01$@*", "pc01", "*@corp.example"])
def test_a_relay_brings_what_it_likes(glob: str) -> None:
    """A Windows collector that forwards, for the time of a migration."""
    assert judge(Spoofing("reject", relays=(glob,)), MEMBER, keys("DC01", "")) is None
    assert judge(Spoofing("reject", relays=("pc02", "*@other.example")), MEMBER, keys("DC01")) == Reject([0])


def test_a_user_that_is_called_like_a_relay_is_none() -> None:
    """Whoever may make user accounts would else speak for every machine; by its whole principal it may be named."""
    assert judge(Spoofing("reject", relays=("dc01",)), USER, keys("PC02")) == Reject([0])
    assert judge(Spoofing("reject", relays=("DC01$@*", "dc01")), USER, keys("PC02")) == Reject([0])
    assert judge(Spoofing("reject", relays=("dc01@corp.example",)), USER, keys("PC02")) is None


def test_the_objection_names_both_and_is_short() -> None:
    """It stands in the log, in wef sources and in wef letters; what a stranger wrote must not fill them."""
    said = objection(MEMBER, "X" * 5000)

    assert said == f"computer: the event says '{'X' * LONGEST_SHOWN}', its caller is PC01$@CORP.EXAMPLE"
    assert objection(MEMBER, " ") == "computer: the event names no machine, its caller is PC01$@CORP.EXAMPLE"
