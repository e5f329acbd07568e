"""Who gets a subscription. A wrong answer shows a query to strangers, or loses a machine's events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.model import Caller
from collector.subscriptions.audience import in_audience, meant_for, why_not
from collector.subscriptions.subscription import Audience, Subscription
from tests.subscriptions.callers import caller

KERBEROS = caller(
    "pc01$@corp.example", name="pc01", principal="PC01$@CORP.EXAMPLE", issuer=None, mechanism="kerberos",
    sids=frozenset({"S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-515"}),
)  # fmt: skip
NEGOTIATE = replace(KERBEROS, mechanism="negotiate")
NOBODY = caller("pc03", name="pc03", issuer=None, mechanism="none")
CERTIFICATE = caller("pc02.corp.example", name="pc02.corp.example", names=("pc02.corp.example", "alias.dmz.example"))


def test_an_empty_audience_is_everybody() -> None:
    """contract.md 2."""
    assert in_audience(Audience(), KERBEROS)
    assert in_audience(Audience(), CERTIFICATE)


@pytest.mark.parametrize("glob", ["pc01", "PC01", "PC01$@CORP.EXAMPLE", "*@corp.example", "pc0?", "*"])
def test_globs_match_key_and_name_without_case(glob: str) -> None:
    """Principals are spelled in every case, by the KDC and by people."""
    assert in_audience(Audience(allow=(glob,)), KERBEROS)


@pytest.mark.parametrize("glob", ["*.dmz.example", "ALIAS.*", "pc02.*"])
def test_globs_match_every_alternative_name(glob: str) -> None:
    """contract.md 3: a certificate has several names, and any of them may be meant."""
    assert in_audience(Audience(allow=(glob,)), CERTIFICATE)


@pytest.mark.parametrize("glob", ["pc0", "pc011", "corp.example", "*.corp.example.evil", "pc03*"])
def test_a_glob_is_about_the_whole_name(glob: str) -> None:
    """Otherwise pc01 would be let in by what was written for pc0."""
    assert not in_audience(Audience(allow=(glob,)), CERTIFICATE)


def test_deny_wins() -> None:
    """One exception in a domain is the usual case."""
    assert not in_audience(Audience(("*",), ("pc01",)), KERBEROS)
    assert not in_audience(Audience(("alias.dmz.example",), ("pc02.*",)), CERTIFICATE)
    assert in_audience(Audience(deny=("pc01",)), CERTIFICATE)


def test_issuers_of_a_wecutil_file_bind_certificates() -> None:
    """A certificate of another CA that we trust for other subscriptions is not meant."""
    subscription = Subscription("s", "i", "q", issuers=("ab" * 20,))

    assert meant_for(subscription, CERTIFICATE)
    assert not meant_for(subscription, caller(issuer="cd" * 20))
    assert meant_for(subscription, KERBEROS)


COMPUTERS = Subscription("s", "i", "q", sddl="O:NSG:BAD:P(D;;GA;;;S-1-5-21-1-2-3-1105)(A;;GA;;;DC)S:")


@pytest.mark.parametrize("member", [KERBEROS, NEGOTIATE], ids=["kerberos", "negotiate"])
def test_a_descriptor_is_for_domain_members(member: Caller) -> None:
    """AllowedSourceDomainComputers: by account and by group, the first entry about the caller decides."""
    assert why_not(COMPUTERS, member) == ""
    denied = replace(member, sids=frozenset({"S-1-5-21-1-2-3-1105", "S-1-5-21-1-2-3-515"}))
    assert why_not(COMPUTERS, denied) == "its sddl denies it: (D;;GA;;;S-1-5-21-1-2-3-1105)"
    user = replace(member, sids=frozenset({"S-1-5-21-1-2-3-1200", "S-1-5-21-1-2-3-513"}))
    assert why_not(COMPUTERS, user) == "no entry of the subscription's sddl is about it"


def test_a_ticket_without_groups_is_not_let_in_by_a_descriptor() -> None:
    """An MIT realm, or an account with NO_AUTH_DATA_REQUIRED: who may be denied cannot be let in, even as Everyone."""
    for sddl in (COMPUTERS.sddl, "D:(A;;GA;;;WD)"):
        reason = why_not(replace(COMPUTERS, sddl=sddl), replace(KERBEROS, sids=None))
        assert reason == "its ticket says no groups (it has no PAC), and the subscription's sddl asks for them"
    for sddl in (None, "O:NSG:NS"):  # which ask for nothing
        assert meant_for(replace(COMPUTERS, sddl=sddl), replace(KERBEROS, sids=None))


def test_a_descriptor_says_nothing_about_certificates() -> None:
    """They belong to no domain; issuers and subjects are for them."""
    assert meant_for(COMPUTERS, CERTIFICATE)


def test_subjects_bind_certificates_only() -> None:
    """AllowedSourceNonDomainComputers of a file that serves both must not shut the domain out."""
    subscription = Subscription("s", "i", "q", certificates=Audience(("*.dmz.example",), ("bad.*",)))

    assert meant_for(subscription, CERTIFICATE)
    assert meant_for(subscription, KERBEROS)
    assert why_not(subscription, caller("bad.dmz.example")) == "[certificates] does not name it, or denies it"
    assert not meant_for(subscription, caller("pc09.corp.example"))


def test_the_audience_is_for_everybody() -> None:
    """Whatever else has let a caller in."""
    for known in (KERBEROS, CERTIFICATE, NOBODY):
        reason = why_not(replace(COMPUTERS, audience=Audience(deny=("pc0*",))), known)
        assert reason == "[audience] does not name it, or denies it"


def test_who_proves_nothing_is_judged_by_the_audience_alone() -> None:
    """Loopback: there is no ticket and no certificate to ask."""
    subscription = replace(COMPUTERS, issuers=("ab" * 20,), certificates=Audience(("x",)))

    assert meant_for(subscription, NOBODY)
    assert not meant_for(replace(subscription, audience=Audience(("pc04",))), NOBODY)
