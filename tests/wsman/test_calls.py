"""What is said to a source is what Windows says, and holds nothing that a source would refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree

from collector.wsman import names
from collector.wsman.answering import write_subscribe_response
from collector.wsman.answers import Subscribed, read_answer
from collector.wsman.asked import EnumerateResource, Get, Pull, PullResource, Renew, Subscribe, Unsubscribe, read_call
from collector.wsman.calls import (
    FOR_EVER,
    Voice,
    options_of,
    write_get,
    write_identify,
    write_pull,
    write_renew,
    write_resource_enumerate,
    write_resource_pull,
    write_subscribe_pull,
    write_subscribe_push,
    write_unsubscribe,
)
from collector.wsman.messages import EnumerateResponse, Identify, Offer
from collector.wsman.writer import write_envelope
from tests.wsman.spoken import BOOKMARK, MESSAGE_ID, OFFER

PULLED = replace(OFFER, notify_to="", profile=None, issuer=None, expires=None)
VOICE = Voice("http://pc01.corp.example:5985/wsman", options=options_of(PULLED))
CONTEXT = "uuid:66666666-0000-4000-8000-000000000006"


def subscribe(offer: Offer = PULLED, *, push: bool = False) -> Subscribe:
    write = write_subscribe_push if push else write_subscribe_pull
    call = read_call(write(replace(VOICE, options=()), offer, message_id=MESSAGE_ID, timeout=60.0))
    assert isinstance(call, Subscribe)
    return call


def references(identifier: str = "77777777") -> tuple[str, ...]:
    answer = write_subscribe_response(
        message_id=MESSAGE_ID, relates_to=MESSAGE_ID, manager=VOICE.to, identifier=identifier, context=CONTEXT
    )
    subscribed = read_answer(answer, MESSAGE_ID)
    assert isinstance(subscribed, Subscribed)
    return tuple(subscribed.references)


def test_a_pull_subscription_says_all_that_a_source_needs() -> None:
    """Query, bookmark, heartbeat and options arrive as they were meant; it shall never end by itself."""
    call = subscribe()

    assert call.delivery.mode == "Pull"
    assert call.delivery.heartbeat == 900.0
    assert call.delivery.locale == "en-US"
    assert call.query == OFFER.query
    assert call.bookmark == BOOKMARK
    assert call.send_bookmarks
    assert f"PT{call.expires:.3f}S" == FOR_EVER
    assert call.header.operation_timeout == 60.0
    assert call.header.max_envelope_size == 512000


def test_a_pull_subscription_has_only_options_that_were_seen_to_work() -> None:
    """What CDATA or SLDC would do to the answer to a Pull, nobody has seen (protocol.md 17)."""
    assert subscribe().options == (
        ("SubscriptionName", "logons & more"),
        ("ContentFormat", "RenderedText"),
        ("IgnoreChannelError", None),
    )


def test_old_events_are_asked_for_only_without_a_bookmark() -> None:
    """After a restart with a bookmark everything would come again."""
    assert ("ReadExistingEvents", "true") in subscribe(replace(PULLED, bookmark=None)).options
    assert ("ReadExistingEvents", "true") not in subscribe().options


def test_a_push_subscription_says_what_an_offer_says() -> None:
    """Deliveries, retries and policy are those of a source-initiated subscription, so deliveries are no different."""
    delivery = subscribe(OFFER, push=True).delivery

    assert delivery.mode == "Events"
    assert delivery.notify_to == OFFER.notify_to
    assert delivery.identifier == OFFER.identifier
    assert (delivery.version, delivery.revision) == (OFFER.version, OFFER.revision)
    assert (delivery.profile, delivery.issuer) == (names.MUTUAL_TLS, OFFER.issuer)
    assert (delivery.retry_interval, delivery.retry_total) == (60.0, 5)
    assert (delivery.max_elements, delivery.max_time, delivery.max_envelope_size) == (20, 30.0, 512000)
    assert ("CDATA", None) in subscribe(OFFER, push=True).options


@pytest.mark.parametrize("name", ["Policy", "ConnectionRetry", "MaxTime", "NotifyTo"])
def test_the_words_for_a_delivery_are_the_same_in_an_offer(name: str) -> None:
    """A source must not be told two things, depending on who began."""
    offered = etree.fromstring(
        write_envelope(EnumerateResponse([OFFER], [MESSAGE_ID]), message_id=MESSAGE_ID, relates_to=None)
    )
    asked = etree.fromstring(write_subscribe_push(VOICE, OFFER, message_id=MESSAGE_ID, timeout=60.0))

    def spelled(root: etree._Element) -> str:
        (element,) = root.iterfind(f".//{{*}}Delivery//{{*}}{name}")
        text = etree.tostring(element, method="c14n", exclusive=True, with_tail=False).decode()
        return text.replace("ReferenceProperties", "ReferenceParameters")

    assert spelled(asked) == spelled(offered)


def test_a_pull_repeats_context_references_and_options() -> None:
    """The resource is named once, whoever names it: twice would be an error of ours (R13.1-9)."""
    call = read_call(write_pull(VOICE, CONTEXT, references(), message_id=MESSAGE_ID, timeout=5.0, max_elements=7))

    assert isinstance(call, Pull)
    assert (call.context, call.max_elements) == (CONTEXT, 7)
    assert call.header.identifier == "77777777"
    assert call.header.resource_uri == names.EVENT_LOG
    assert call.options == VOICE.options or list(call.options) == list(VOICE.options)


@pytest.mark.parametrize("known", [references(), references()[1:]])
def test_a_subscription_is_ended_and_renewed_by_its_references(known: tuple[str, ...]) -> None:
    """A source may name the resource among them, or leave that to us."""
    ended = read_call(write_unsubscribe(VOICE, known, message_id=MESSAGE_ID, timeout=5.0))
    renewed = read_call(write_renew(VOICE, known, 600.0, message_id=MESSAGE_ID, timeout=5.0))

    assert isinstance(ended, Unsubscribe)
    assert isinstance(renewed, Renew)
    assert ended.header.identifier == renewed.header.identifier == "77777777"
    assert ended.header.resource_uri == renewed.header.resource_uri == names.EVENT_LOG
    assert renewed.expires == 600.0


def test_a_resource_is_got_and_enumerated() -> None:
    """winrm get winrm/config/listener?Address=*+Transport=HTTP, winrm enumerate winrm/config/listener."""
    voice = replace(VOICE, resource=names.CONFIG_LISTENER, options=())
    selectors = [("Address", "*"), ("Transport", "HTTP & more")]
    got = read_call(write_get(voice, selectors, message_id=MESSAGE_ID, timeout=20.0))
    enumerated = read_call(write_resource_enumerate(voice, message_id=MESSAGE_ID, timeout=20.0, max_elements=9))
    pulled = read_call(write_resource_pull(voice, CONTEXT, message_id=MESSAGE_ID, timeout=20.0, max_elements=3))

    assert isinstance(got, Get)
    assert list(got.selectors) == selectors
    assert isinstance(enumerated, EnumerateResource)
    assert (enumerated.optimized, enumerated.max_elements) == (True, 9)
    assert isinstance(pulled, PullResource)
    assert (pulled.context, pulled.max_elements) == (CONTEXT, 3)


def test_identify_has_no_header() -> None:
    """It comes before anything is known, perhaps before anybody is authenticated."""
    assert read_call(write_identify()) == Identify()


@pytest.mark.parametrize(
    "write",
    [
        lambda voice, text: write_pull(voice, text, (), message_id=text, timeout=1.0, max_elements=1),
        lambda voice, text: write_get(voice, [(text, text)], message_id=text, timeout=1.0),
        lambda voice, text: write_subscribe_pull(
            replace(voice, options=()),
            replace(PULLED, name=text, query=text, expires=text, locale=text, bookmark="x" + text),
            message_id=text,
            timeout=1.0,
        ),
    ],
)
def test_whatever_a_value_holds_the_text_stays_an_envelope(write: Callable[[Voice, str], str]) -> None:
    """Contexts and bookmarks are the source's, names the operator's; no text of theirs may become a tag of ours."""
    text = '<a:b x="\'">&]]>\x05</s:Header>'
    voice = Voice(text, text, text, 1, [(text, text), (text, None)])
    root = etree.fromstring(write(voice, text))

    assert [child.tag for child in root] == [f"{{{names.SOAP}}}Header", f"{{{names.SOAP}}}Body"]
    assert not [element for element in root.iter() if etree.QName(element).localname == "b"]
