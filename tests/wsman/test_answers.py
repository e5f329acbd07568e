"""An answer is read whatever its spelling, and believed only when it answers what was asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wsman import names
from collector.wsman.answering import (
    write_enumerate_response,
    write_get_response,
    write_identify_response,
    write_pull_response,
    write_renew_response,
    write_resource_pull_response,
    write_source_fault,
    write_subscribe_response,
    write_unsubscribe_response,
)
from collector.wsman.answers import (
    LONGEST_BOOKMARK,
    LONGEST_CONTEXT,
    Answer,
    Enumerated,
    EnvelopeError,
    Got,
    IdentifyResponse,
    Pulled,
    Renewed,
    SourceFault,
    Subscribed,
    Unsubscribed,
    read_answer,
)
from tests.wsman.spoken import BOOKMARK, EVENT, MESSAGE_ID, envelope

ASKED = "uuid:AAAAAAAA-0000-4000-8000-00000000000a"
CONTEXT = "uuid:66666666-0000-4000-8000-000000000006"
RELATES = f"<AD:RelatesTo>{ASKED}</AD:RelatesTo>"
PULLED = write_pull_response([EVENT], CONTEXT, BOOKMARK, message_id=MESSAGE_ID, relates_to=ASKED)
SUBSCRIBED = write_subscribe_response(
    message_id=MESSAGE_ID, relates_to=ASKED, manager="http://pc01:5985/wsman", identifier="77777777", context=CONTEXT
)


def foreign(action: str, body: str, header: str = "") -> Answer:
    """What *body* is read as, in an envelope with prefixes that nobody uses."""
    return read_answer(envelope(action, body, RELATES + header), ASKED)


def test_a_subscription_is_known_by_its_references() -> None:
    """They are headers of every later request, so they stand alone (WS-Addressing)."""
    assert read_answer(SUBSCRIBED, ASKED) == Subscribed(
        (
            f'<w:ResourceURI xmlns:w="{names.WSMAN}">{names.EVENT_LOG}</w:ResourceURI>',
            f'<e:Identifier xmlns:e="{names.EVENTING}">77777777</e:Identifier>',
        ),
        None,
        CONTEXT,
        "http://pc01:5985/wsman",
    )


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("", None),
        ("<EV:Expires>PT0.000S</EV:Expires>", None),
        ("<EV:Expires>PT0S</EV:Expires>", None),
        ("<EV:Expires> PT600S </EV:Expires>", 600.0),
        ("<EV:Expires>PT3759670629.777S</EV:Expires>", None),
        ("<EV:Expires>2030-01-01T00:00:00Z</EV:Expires>", None),
    ],
)
def test_no_expiry_and_an_expiry_of_nothing_are_for_ever(expires: str, expected: float | None) -> None:
    """Windows says PT0S where it was asked for a hundred years (protocol.md 7.1)."""
    answer = foreign(names.SUBSCRIBE_RESPONSE, f"<EV:SubscribeResponse>{expires}</EV:SubscribeResponse>")

    assert answer == Subscribed((), expected, None, "")


def test_parameters_are_references_too_and_headers_of_ours_are_not() -> None:
    """openwsman has the one; a source that sets our Action would speak in our name."""
    manager = (
        "<EV:SubscriptionManager><AD:ReferenceParameters><AD:Action>urn:evil</AD:Action><WS:OperationTimeout/>"
        "<mine>1</mine></AD:ReferenceParameters></EV:SubscriptionManager>"
    )
    answer = foreign(names.SUBSCRIBE_RESPONSE, f"<EV:SubscribeResponse>{manager}</EV:SubscribeResponse>")

    assert isinstance(answer, Subscribed)
    assert answer.references == ("<mine>1</mine>",)


def test_a_batch_has_events_a_context_and_a_bookmark() -> None:
    """All that the next Pull needs, and all that is made safe before it."""
    assert read_answer(PULLED, ASKED) == Pulled(CONTEXT, [EVENT], BOOKMARK, sliced=True)


@pytest.mark.parametrize(
    "text",
    [
        write_pull_response([], CONTEXT, None, message_id=MESSAGE_ID, relates_to=ASKED),
        write_pull_response([], CONTEXT, None, message_id=MESSAGE_ID, relates_to=ASKED, items=False),
        PULLED.replace(f"<n:Items>{EVENT}</n:Items>", "<n:Items/>").replace(f"<w:Bookmark>{BOOKMARK}</w:Bookmark>", ""),
    ],
)
def test_nothing_there_has_many_forms(text: str) -> None:
    """Empty items, no items; the third is a fault (protocol.md 7.2)."""
    answer = read_answer(text, ASKED)

    assert isinstance(answer, Pulled)
    assert (answer.context, list(answer.pieces), answer.bookmark) == (CONTEXT, [], None)


@pytest.mark.parametrize("body", ["", "<WS:Events></WS:Events>"])
def test_a_heartbeat_may_be_pulled_and_leaves_the_context_alone(body: str) -> None:
    """[DSP0226] R10.2.5-1."""
    assert foreign(names.HEARTBEAT, body) == Pulled(None, (), None)


def test_the_end_of_the_sequence_is_told() -> None:
    """It never comes in a subscription, they say; it does in a resource."""
    text = write_pull_response([EVENT], None, None, message_id=MESSAGE_ID, relates_to=ASKED, ended=True, dropped=3)
    answer = read_answer(text, ASKED)

    assert isinstance(answer, Pulled)
    assert (answer.ended, answer.context, answer.dropped) == (True, None, 3)


def test_the_other_answers_are_values_too() -> None:
    """One for each thing that is asked."""
    document, item = '<a xmlns="u">1</a>', '<b xmlns="u">2</b>'

    def read(write: Callable[..., str], *values: object, **named: object) -> Answer:
        return read_answer(write(*values, message_id=MESSAGE_ID, relates_to=ASKED, **named), ASKED)

    assert read(write_unsubscribe_response) == Unsubscribed()
    assert foreign(names.UNSUBSCRIBE_RESPONSE, "<EV:UnsubscribeResponse/>") == Unsubscribed()
    assert read(write_renew_response, 600.0) == Renewed(600.0)
    assert read(write_get_response, document) == Got(document)
    assert read(write_enumerate_response, [item], CONTEXT, ended=True) == Enumerated([item], None, True)
    assert read(write_enumerate_response, [], CONTEXT, ended=False, optimized=False) == Enumerated([], CONTEXT, False)
    assert read(write_resource_pull_response, [item], CONTEXT, ended=True) == Pulled(None, [item], None, True)


def test_who_somebody_is_relates_to_nothing() -> None:
    """Identify has no WS-Addressing header."""
    profiles = ["http/spnego-kerberos", "https/mutual"]
    text = write_identify_response("OS: 10.0.20348 SP: 0.0 Stack: 3.0", profiles)

    assert read_answer(text, None) == IdentifyResponse(
        "Microsoft Corporation", "OS: 10.0.20348 SP: 0.0 Stack: 3.0", tuple(profiles)
    )
    with pytest.raises(EnvelopeError, match="RelatesTo"):
        read_answer(text, ASKED)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (PULLED.replace(ASKED, ASKED.lower()), "relates to"),
        (PULLED.replace(f"<a:RelatesTo>{ASKED}</a:RelatesTo>", ""), "no a:RelatesTo"),
        (PULLED.replace("<a:RelatesTo>", "<a:RelatesTo>uuid:other</a:RelatesTo><a:RelatesTo>"), "relates to"),
        ("<html><body>502 Bad Gateway</body></html>", "SOAP"),
        ("garbage", "well-formed"),
        ("", "well-formed"),
        ("<!DOCTYPE x>" + PULLED, "DOCTYPE"),
        (PULLED.replace(names.SOAP, "http://schemas.xmlsoap.org/soap/envelope/"), "SOAP 1.2"),
        (PULLED[:-40], "well-formed"),
        (PULLED.replace("<s:Body>", "<s:Body><n:Other/>"), "2 elements"),
        (PULLED.replace("</s:Header>", "<w:Bookmark>x</w:Bookmark></s:Header>"), "twice"),
        (PULLED.replace(CONTEXT, "<x/>"), "elements"),
        (PULLED.replace(CONTEXT, "x" * (LONGEST_CONTEXT + 1)), "characters"),
        (PULLED.replace(BOOKMARK, "x" * (LONGEST_BOOKMARK + 1)), "characters"),
        (PULLED.replace("enumeration/PullResponse", "enumeration/EnumerateResponse"), "answers nothing"),
        (PULLED.replace("n:PullResponse", "n:PushResponse"), "answers nothing"),
        (SUBSCRIBED.replace("77777777", "7" * 20_000), "reference"),
        (write_unsubscribe_response(message_id=MESSAGE_ID, relates_to=ASKED).replace("Unsubscribe", "U"), "empty body"),
    ],
)
def test_what_answers_nothing_is_refused_with_a_sentence(text: str, match: str) -> None:
    """An answer that is believed moves a bookmark; the wrong one would lose events."""
    with pytest.raises(EnvelopeError, match=match):
        read_answer(text, ASKED)


def test_the_action_of_an_event_is_taken_with_a_batch() -> None:
    """openwsman says so (protocol.md 15.1)."""
    answer = read_answer(PULLED.replace(names.PULL_RESPONSE, "urn:event"), ASKED)

    assert isinstance(answer, Pulled)


def test_more_events_than_allowed_are_refused() -> None:
    """The memory of a collector is not the source's to fill."""
    text = write_pull_response([EVENT] * 3, CONTEXT, None, message_id=MESSAGE_ID, relates_to=ASKED)

    assert isinstance(read_answer(text, ASKED, most=3), Pulled)
    with pytest.raises(EnvelopeError, match="more than 2 events"):
        read_answer(text, ASKED, most=2)


@pytest.mark.parametrize("letter", ["&#13;", "&#1;", "\x01", "\ud800"])
def test_an_answer_of_letters_that_are_looked_at_one_by_one_is_not_parsed(letter: str) -> None:
    """9 MiB of them were nine seconds in which nobody else was served."""
    event = EVENT.replace("</Event>", f"{letter * 500_000 + 'x' * 2**20}</Event>")
    text = write_pull_response([event], CONTEXT, None, message_id=MESSAGE_ID, relates_to=ASKED)
    few = text.replace(letter * 400_000, "")

    with pytest.raises(EnvelopeError, match="by number or are none of XML"):
        read_answer(text.replace("<s:Body>", "<s:Body><!-- -->"), ASKED)
    assert isinstance(read_answer(few, ASKED), Pulled)


@pytest.mark.parametrize("piece", ["<a/>", '<a b=""/>', "<a></a>"])
def test_an_answer_that_is_all_tags_is_not_parsed(piece: str) -> None:
    """15 MiB of ``<a/>`` were half a gigabyte of nodes, and three seconds in which nobody else was served."""
    event = EVENT.replace("</Event>", f"{piece * (2**20 // len(piece) * 15)}</Event>")
    text = write_pull_response([event], CONTEXT, None, message_id=MESSAGE_ID, relates_to=ASKED)

    with pytest.raises(EnvelopeError, match="more than 400,000 tags and attributes"):
        read_answer(text, ASKED)
    with pytest.raises(EnvelopeError, match="more than 400,000 tags and attributes"):
        read_answer(text.replace("<a:RelatesTo>", f"<x>{piece * 500_000}</x><a:RelatesTo>"), ASKED)


def test_a_large_event_is_taken() -> None:
    """Much text in few tags is what large events are made of."""
    event = EVENT.replace("</Event>", f"<x>{'y' * 8 * 2**20}</x></Event>")
    text = write_pull_response([event], CONTEXT, None, message_id=MESSAGE_ID, relates_to=ASKED)

    assert isinstance(read_answer(text, ASKED), Pulled)


def test_a_fault_needs_no_relation_but_has_none_to_others() -> None:
    """Who could not read the request knows no id. A fault moves nothing."""
    text = write_source_fault("w:TimedOut", 2150858793, "late ", message_id=MESSAGE_ID, relates_to=None)

    assert read_answer(text, ASKED) == SourceFault("w:TimedOut", None, 2150858793, "late")
    with pytest.raises(EnvelopeError):
        read_answer(text.replace("</s:Header>", "<a:RelatesTo>x</a:RelatesTo></s:Header>"), ASKED)


@given(st.integers(0, len(PULLED)), st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_no_answer_can_do_anything_but_be_read_or_refused(at: int, text: str) -> None:
    """Every byte of it is the network's."""
    for spoilt in (PULLED[:at] + text + PULLED[at:], PULLED[:at] + text, text):
        try:
            answer = read_answer(spoilt, ASKED)
        except EnvelopeError:
            continue
        assert isinstance(answer, Pulled)
