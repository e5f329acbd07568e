"""A conversation with another source, openwsman: what it does differently (protocol.md 15.1), in words of our own."""

from __future__ import annotations

import pytest

from collector.wsman import names
from collector.wsman.answers import (
    EnvelopeError,
    IdentifyResponse,
    Pulled,
    Renewed,
    SourceFault,
    Subscribed,
    Unsubscribed,
    read_answer,
)
from collector.wsman.calls import Voice, write_pull, write_renew, write_unsubscribe

ASKED = "uuid:0A0A0A0A-0000-1000-8000-00000000000a"
TEST = "http://schema.openwsman.org/2006/openwsman/test"
IDENTIFIER = f'<wse:Identifier xmlns:wse="{names.EVENTING}">uuid:0b0b0b0b-0000-1000-8000-00000000000b</wse:Identifier>'
CONTEXT = "uuid:0c0c0c0c-0000-1000-8000-00000000000c"


def said(action: str, body: str) -> str:
    """It writes no a:To, its own prefixes, and each envelope with an XML declaration."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<s:Envelope xmlns:s="{names.SOAP}" xmlns:wsa="{names.ADDRESSING}" xmlns:wse="{names.EVENTING}" '
        f'xmlns:wsen="{names.ENUMERATION}" xmlns:wsman="{names.WSMAN}">\n <s:Header>\n'
        f"  <wsa:Action>{action}</wsa:Action>\n  <wsa:RelatesTo>{ASKED}</wsa:RelatesTo>\n"
        "  <wsa:MessageID>uuid:0d0d0d0d-0000-1000-8000-00000000000d</wsa:MessageID>\n </s:Header>\n"
        f" <s:Body>{body}</s:Body>\n</s:Envelope>\n"
    )


def fault(action: str, code: str, subcode: str, reason: str) -> str:
    return said(
        action,
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason></s:Fault>',
    )


SUBSCRIBED = said(
    names.SUBSCRIBE_RESPONSE,
    "<wse:SubscribeResponse><wse:SubscriptionManager><wsa:Address>http://127.0.0.1:8889/wsman</wsa:Address>"
    f"<wsa:ReferenceParameters>{IDENTIFIER}</wsa:ReferenceParameters></wse:SubscriptionManager>"
    "<wse:Expires>PT600S</wse:Expires>"
    f"<wsen:EnumerationContext>{CONTEXT}</wsen:EnumerationContext></wse:SubscribeResponse>",
)


def subscribed() -> Subscribed:
    answer = read_answer(SUBSCRIBED, ASKED)
    assert isinstance(answer, Subscribed)
    return answer


def test_references_come_as_parameters_and_the_expiry_is_the_one_asked_for() -> None:
    """So the subscription must be renewed, which Windows cannot."""
    answer = subscribed()

    assert (answer.references, answer.expires, answer.context) == ((IDENTIFIER,), 600.0, CONTEXT)


def test_its_references_are_repeated_with_the_resource_of_the_subscription() -> None:
    """It does not name the resource among them; without it nobody would know whose subscription it is."""
    voice = Voice("http://127.0.0.1:8889/wsman", resource=TEST)
    references = subscribed().references
    for text in (
        write_pull(voice, CONTEXT, references, message_id=ASKED, timeout=5.0, max_elements=20),
        write_renew(voice, references, 600.0, message_id=ASKED, timeout=5.0),
        write_unsubscribe(voice, references, message_id=ASKED, timeout=5.0),
    ):
        assert text.count(f">{TEST}<") == 1
        assert text.count(IDENTIFIER) == 1


def test_an_event_stands_directly_in_the_answer_under_an_action_of_its_own() -> None:
    """No wsen:Items, one event at a time."""
    event = f'<t:TestEvent xmlns:t="{TEST}"><t:EventContent>7</t:EventContent></t:TestEvent>'
    body = f"<wsen:PullResponse><wsen:EnumerationContext>{CONTEXT}</wsen:EnumerationContext>{event}</wsen:PullResponse>"

    assert read_answer(said(f"{TEST}/TestEvent", body), ASKED) == Pulled(CONTEXT, [event], None)


def test_nothing_to_pull_is_a_fault() -> None:
    """After which the same context is pulled again: it never changes it."""
    text = fault(names.FAULT_WSMAN, "Receiver", "wsman:TimedOut", "The operation has timed out.")

    assert read_answer(text, ASKED) == SourceFault("w:TimedOut", None, None, "The operation has timed out.")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            fault(names.FAULT_ENUMERATION, "Receiver", "wsen:InvalidEnumerationContext", "The supplied enumeration"),
            "n:InvalidEnumerationContext",
        ),
        (fault(names.FAULT_EVENTING, "Sender", "wse:FilteringNotSupported", "Filtering"), "e:FilteringNotSupported"),
        (fault(names.FAULT_WSMAN, "Sender", "wsman:InvalidParameter", "An operation"), "w:InvalidParameter"),
    ],
)
def test_its_faults_have_our_names(text: str, name: str) -> None:
    """A lost context, our filter dialect, an Unsubscribe of what is gone; none of them with a WSManFault."""
    answer = read_answer(text, ASKED)

    assert isinstance(answer, SourceFault)
    assert (answer.name, answer.code) == (name, None)
    assert answer.text


def test_it_renews_and_ends() -> None:
    """Renew works there; the answer to Unsubscribe is empty, as that of Windows."""
    renewed = said(names.RENEW_RESPONSE, "<wse:RenewResponse><wse:Expires>PT600S</wse:Expires></wse:RenewResponse>")

    assert read_answer(renewed, ASKED) == Renewed(600.0)
    assert read_answer(said(names.UNSUBSCRIBE_RESPONSE, ""), ASKED) == Unsubscribed()


def test_a_subscription_without_an_expiry_lives_for_ever() -> None:
    """It leaves the element out when none was asked for (R10.2.4-2)."""
    answer = read_answer(SUBSCRIBED.replace("<wse:Expires>PT600S</wse:Expires>", ""), ASKED)

    assert isinstance(answer, Subscribed)
    assert answer.expires is None


def test_an_unknown_subscription_gets_no_envelope() -> None:
    """Renew of one is answered 503 with an empty body, which is no answer that could be believed."""
    with pytest.raises(EnvelopeError):
        read_answer("", ASKED)


def test_it_says_who_it_is() -> None:
    """With an empty header."""
    text = (
        f'<s:Envelope xmlns:s="{names.SOAP}" xmlns:wsmid="{names.IDENTITY}"><s:Header/><s:Body>'
        f"<wsmid:IdentifyResponse><wsmid:ProtocolVersion>{names.WSMAN}</wsmid:ProtocolVersion>"
        "<wsmid:ProductVendor>Openwsman Project</wsmid:ProductVendor>"
        "<wsmid:ProductVersion>2.8</wsmid:ProductVersion></wsmid:IdentifyResponse></s:Body></s:Envelope>"
    )

    assert read_answer(text, None) == IdentifyResponse("Openwsman Project", "2.8", ())
