"""Who gets a subscription. A wrong answer shows a query to strangers, or loses a machine's events."""

from __future__ import annotations

import pytest

from collector.subscriptions.audience import in_audience, meant_for
from collector.subscriptions.subscription import Audience, Subscription
from tests.subscriptions.callers import caller

KERBEROS = caller(
    "pc01$@corp.example", name="pc01", principal="PC01$@CORP.EXAMPLE", issuer=None, mechanism="kerberos"
)  # fmt: skip
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
