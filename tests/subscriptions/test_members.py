"""Who may deliver to a subscription of type push: only the machines that it calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from collector.errors import Backpressure
from collector.model import Caller
from collector.subscriptions.folder import NotEntitled, SubscriptionSet
from collector.subscriptions.members import Members
from collector.subscriptions.sources import FileSources, ListedSources, SourceAddress
from collector.subscriptions.subscription import Audience, Subscription

HOSTS = ("PC01.corp.example", "pc02", "k01.corp", "fileserver-zurich-01.corp.example.", "10.0.0.7", "2001:db8::7")
LISTED = ListedSources(tuple(SourceAddress(host) for host in HOSTS))
PUSH = Subscription("them", "11111111-2222-3333-4444-555555555555", "<QueryList/>", type="push", sources=(LISTED,))
UNREAD = replace(PUSH, sources=(LISTED, FileSources(Path("hosts.txt"))))


def member(account: str, address: str = "10.9.9.9", mechanism: str = "kerberos") -> Caller:
    principal = f"{account}@CORP.EXAMPLE"
    return Caller(principal.lower(), account.lower().removesuffix("$"), principal, mechanism, address)


def shown(*names: str, address: str = "10.9.9.9") -> Caller:
    return Caller(names[0].lower(), names[0], f"CN={names[0]}", "certificate", address, names, "ab" * 20)


@pytest.mark.parametrize(
    "caller",
    [
        member("PC01$"),
        member("pc02$", mechanism="negotiate"),
        member("FILESERVER-ZURI$"),
        member("host/pc01.corp.example"),
        shown("PC01.corp.example"),
        shown("x", "pc01.corp.example"),
        shown("pc01"),
        shown("pc02.dmz.example"),
        member("SRV$", "10.0.0.7"),
        member("SRV$", "::ffff:10.0.0.7"),
        shown("srv", address="2001:db8:0::7"),
        Caller("m:anybody", "anybody", "", "none", "127.0.0.1"),
    ],
)
def test_a_machine_that_is_called_may_deliver(caller: Caller) -> None:
    """By the account of its ticket, a name in its certificate, or the address where it is called by one."""
    assert SubscriptionSet((PUSH,)).require_entitled(PUSH.id, caller) is PUSH


@pytest.mark.parametrize(
    "caller",
    [
        member("PC03$"),
        member("PC01"),  # a person may be called like a machine, and chooses no dollar sign
        member("http/pc01.corp.example"),
        member("host/pc01.dmz.example"),
        member("FILESERVER-ZURICH-01$"),  # no account has more than fifteen letters
        shown("pc01.dmz.example"),
        shown("corp.example"),
        shown("pc0"),
        shown("x.corp.example", "fileserver-zurich-01.corp.example\0"),
        shown("x.corp.example", "file\u017ferver-zurich-01.corp.example"),  # upper case would make an S of it
        shown("x.corp.example", "\u212a01.corp"),  # lower case makes a k of it
        member("\u212a01$"),
        member("SRV$", "10.0.0.8"),
        member("SRV$", "pc02"),
        shown("10.0.0.7"),
    ],
)
def test_who_is_not_called_may_not(caller: Caller) -> None:
    """Whoever can authenticate could write into the log of the domain controllers otherwise."""
    with pytest.raises(NotEntitled, match="it is none of its sources"):
        SubscriptionSet((PUSH,)).require_entitled(PUSH.id, caller)


def test_audience_and_sddl_count_as_well() -> None:
    """They are rules about everybody who delivers; a list of sources does not lift them."""
    denied = replace(PUSH, audience=Audience(deny=("pc01",)))

    with pytest.raises(NotEntitled, match=r"\[audience\] does not name it, or denies it"):
        SubscriptionSet((denied,)).require_entitled(PUSH.id, member("PC01$"))


def test_a_list_that_was_not_read_yet_refuses_nobody_for_good() -> None:
    """DeliveryRefused ends the subscription at the source; 503 lets it come again when the directory answers."""
    subscriptions = SubscriptionSet((UNREAD,))

    assert subscriptions.require_entitled(PUSH.id, member("PC01$"))
    with pytest.raises(Backpressure, match="the sources of subscription them were not listed yet"):
        subscriptions.require_entitled(PUSH.id, member("PC03$"))

    subscriptions.members.put(PUSH.id, [SourceAddress("pc03")], whole=False)
    assert subscriptions.require_entitled(PUSH.id, member("PC03$"))
    with pytest.raises(Backpressure):
        subscriptions.require_entitled(PUSH.id, member("PC01$"))

    subscriptions.members.put(PUSH.id, [SourceAddress("pc03")], whole=True)
    with pytest.raises(NotEntitled):
        subscriptions.require_entitled(PUSH.id, member("PC01$"))


def test_what_was_forgotten_is_what_the_file_says() -> None:
    """A subscription that is switched off and on again begins anew."""
    members = Members()
    members.put(PUSH.id, [], whole=True)
    assert members.include(PUSH, member("PC01$")) is False

    members.forget(PUSH.id)
    members.forget(PUSH.id)
    assert members.include(PUSH, member("PC01$")) is True


def test_nobody_delivers_to_what_is_pulled() -> None:
    """Its events come as answers; what comes unasked is not from there."""
    with pytest.raises(NotEntitled, match="subscription them is of type pull; nobody pushes to it"):
        SubscriptionSet((replace(PUSH, type="pull"),)).require_entitled(PUSH.id, member("PC01$"))
