"""The version GUID: the same while the source is told the same, another as soon as it is not.

A version that changes too often makes ten thousand sources subscribe again at once; one that
changes too seldom leaves them with an old query for ever.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import Any

import pytest

from collector.kernel import selection
from collector.model import Bookmark
from collector.subscriptions.offers import delivery_url, make_offer
from collector.subscriptions.subscription import Audience, DeliverySettings, Spoofing, Subscription
from collector.wsman.messages import Offer
from tests.subscriptions.callers import caller

SUBSCRIPTION = Subscription(
    name="baseline",
    id="11111111-2222-3333-4444-555555555555",
    query='<QueryList><Query Id="0"><Select Path="Security">*</Select></Query></QueryList>',
    revision="abc",
    content_format="rendered_text",
    locale="en-US",
)
URL = "https://wec.corp.example:5986/wsman/subscriptions/11111111-2222-3333-4444-555555555555"
CALLER = caller()


def offer(subscription: Subscription = SUBSCRIPTION, **changes: Any) -> Offer:
    arguments: dict[str, Any] = {"caller": CALLER, "notify_to": URL, "profile": "https/mutual", "bookmark": None}
    return make_offer(subscription, **{**arguments, **changes})


def test_the_layout_of_the_hash_is_frozen() -> None:
    """An upgrade of the collector that changes this makes every source subscribe again."""
    assert offer().version == "BEB2D7C3-6637-B026-CDD8-2A15D5E97D38"


TOLD: list[dict[str, Any]] = [
    {"name": "other"},
    {"id": "99999999-2222-3333-4444-555555555555"},
    {"query": SUBSCRIPTION.query.replace("*", "*[System]")},
    {"content_format": "raw"},
    {"locale": "de-DE"},
    {"read_existing_events": True},
    {"ignore_channel_error": False},
    {"compression": "sldc"},
    {"expires": "2030-01-01T00:00:00Z"},
    {"delivery": DeliverySettings(max_latency=31)},
    {"delivery": DeliverySettings(heartbeat=901)},
    {"delivery": DeliverySettings(max_items=1)},
    {"delivery": DeliverySettings(max_envelope_size=512001)},
    {"delivery": DeliverySettings(connection_retry=61)},
    {"delivery": DeliverySettings(retries=6)},
]
UNTOLD: list[dict[str, Any]] = [
    {"revision": "def"},
    {"description": "new words"},
    {"enabled": False},
    {"audience": Audience(("*",), ("x",))},
    {"spoofing": Spoofing("reject")},
    {"origin": "/elsewhere.toml"},
    {"sddl": "O:NSG:NSD:"},
    {"certificates": Audience(("*",), ("x",))},
    {"issuers": ("ab" * 20,)},
    {"type": "pull"},
    {"sources": ("a",)},
    {"credentials": "dmz"},
]


@pytest.mark.parametrize("change", TOLD, ids=str)
def test_whatever_the_source_is_told_changes_the_version(change: dict[str, Any]) -> None:
    """[MS-WSMV] 2.2.4.41: any parameter change needs a new value."""
    assert offer(replace(SUBSCRIPTION, **change)).version != offer().version


@pytest.mark.parametrize("change", UNTOLD, ids=str)
def test_what_it_is_not_told_does_not(change: dict[str, Any]) -> None:
    """A new commit, a new comment or one more machine in the audience is nobody else's business."""
    assert offer(replace(SUBSCRIPTION, **change)).version == offer().version


def test_every_field_of_a_subscription_was_thought_of() -> None:
    """A field that is added later must be put on one of the two lists."""
    covered = {key for change in (*TOLD, *UNTOLD) for key in change}

    assert covered == {field.name for field in fields(Subscription)}


@pytest.mark.parametrize(
    "change",
    [
        {"notify_to": URL.replace("5986", "5987")},
        {"notify_to": URL.replace("wec", "wec2")},
        {"caller": caller(issuer="cd" * 20)},
        {"profile": None},
    ],
    ids=["port", "host", "issuing CA", "no policy"],
)
def test_where_to_deliver_and_how_to_prove_oneself_is_told_too(change: dict[str, Any]) -> None:
    """A source whose CA was renewed must learn the new thumbprint, or its next connection is refused."""
    assert offer(**change).version != offer().version


def test_bookmarks_and_names_of_callers_are_not_in_the_version() -> None:
    """The bookmark changes with every batch: no source would ever come to rest."""
    assert offer(bookmark=Bookmark("<BookmarkList/>")).version == offer().version
    assert offer(caller=caller("other.corp.example", name="other")).version == offer().version


def test_a_locale_counts_only_where_text_is_rendered() -> None:
    """Raw events have no language."""
    raw = replace(SUBSCRIPTION, content_format="raw")

    assert offer(raw).locale is None
    assert offer(raw).version == offer(replace(raw, locale="de-DE")).version


def test_an_offer_says_what_the_subscription_says() -> None:
    """protocol.md 12.7: the mapping to the Subscribe message."""
    found = offer(replace(SUBSCRIPTION, compression="sldc"), bookmark=Bookmark("<BookmarkList/>"))

    assert (found.name, found.identifier, found.revision) == ("baseline", SUBSCRIPTION.id, "abc")
    assert (found.content_format, found.locale, found.compression) == ("RenderedText", "en-US", True)
    assert (found.heartbeat, found.max_time, found.max_elements, found.max_envelope_size) == (900.0, 30.0, None, 512000)
    assert (found.retry_interval, found.retry_total) == (60.0, 5)
    assert found.bookmark == "<BookmarkList/>"
    assert found.issuer == "ab" * 20
    assert offer(profile="http/spnego-kerberos").issuer is None
    assert offer(replace(SUBSCRIPTION, delivery=DeliverySettings(max_items=7))).max_elements == 7


def test_deliveries_go_to_an_address_of_the_subscription() -> None:
    """One place that spells it: the version shown by a command is the one that sources get."""
    assert delivery_url("https://wec.corp.example:5986", replace(SUBSCRIPTION, id="ab")) == (
        "https://wec.corp.example:5986/wsman/subscriptions/AB"
    )


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("compression", ["sldc", "none"])
def test_what_is_asked_for_is_the_setting_and_not_what_is_installed(compression: str, pure: bool) -> None:
    """Else two collectors of one folder, or one before and after an upgrade, would send every source back and forth."""
    selection.choose(pure=pure)
    try:
        asked = offer(replace(SUBSCRIPTION, compression=compression)).compression
    finally:
        selection.choose(pure=os.environ.get("WEF_KERNEL") == "pure")

    assert asked is (compression == "sldc")
