"""A pretend source refuses what Windows refuses, so that mistakes of ours are found before Windows finds them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wsman import names
from collector.wsman.answering import write_refusal
from collector.wsman.answers import SourceFault, read_answer
from collector.wsman.asked import CallRefused, GetStatus, Subscribe, UnknownCall, read_call
from collector.wsman.calls import Voice, write_get, write_pull, write_subscribe_pull, write_subscribe_push
from tests.wsman.spoken import BOOKMARK, MESSAGE_ID, OFFER, envelope

VOICE = Voice("http://pc01.corp.example:5985/wsman")
PULL_OFFER = replace(OFFER, notify_to="")
SUBSCRIBE = write_subscribe_pull(VOICE, PULL_OFFER, message_id=MESSAGE_ID, timeout=60.0)
PUSH = write_subscribe_push(VOICE, OFFER, message_id=MESSAGE_ID, timeout=60.0)
PULL = write_pull(VOICE, "uuid:6", (), message_id=MESSAGE_ID, timeout=5.0, max_elements=10)
MODE = f'<e:Delivery Mode="{names.MODE_PULL}">'
EXPIRES = "<e:Expires>PT3759670629.777S</e:Expires>"
RETRY = '<w:ConnectionRetry Total="5">PT60.0S</w:ConnectionRetry>'
ONCE_MORE = "</s:Header>"


def refusal(text: str) -> CallRefused:
    with pytest.raises(CallRefused) as caught:
        read_call(text)
    return caught.value


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize("name", ["MaxElements", "MaxTime", "MaxEnvelopeSize"])
def test_batch_settings_in_pull_mode_are_a_format_mismatch(name: str) -> None:
    """[DSP0226] R10.2.9.5-2."""
    found = refusal(changed(SUBSCRIBE, MODE, f"{MODE}<w:{name}>1</w:{name}>"))

    assert found.fault is not None
    assert (found.fault.name, found.fault.detail, found.code) == ("w:UnsupportedFeature", "FormatMismatch", 0x80338094)


@pytest.mark.parametrize(
    "text",
    [
        changed(SUBSCRIBE, MODE, f"{MODE}<e:NotifyTo><a:Address>http://x</a:Address></e:NotifyTo>"),
        changed(SUBSCRIBE, "<e:Subscribe>", "<e:Subscribe><e:EndTo><a:Address>http://x</a:Address></e:EndTo>"),
        changed(changed(PUSH, names.EVENTS, names.MODE_PUSH), "<w:MaxElements>20</w:MaxElements>", ""),
    ],
)
def test_what_does_not_fit_the_mode_is_a_format_mismatch(text: str) -> None:
    """Addresses are for push, batches for Events mode."""
    assert refusal(text).code == 0x80338094


@pytest.mark.parametrize(
    ("text", "name", "code"),
    [
        (changed(SUBSCRIBE, names.MODE_PULL, "urn:mode"), "e:DeliveryModeRequestedUnavailable", 0x8033801E),
        (changed(SUBSCRIBE, f"<a:MessageID>{MESSAGE_ID}</a:MessageID>", ""), "a:MessageInformationHeaderRequired", 0),
        (changed(SUBSCRIBE, MESSAGE_ID, ""), "a:InvalidMessageInformationHeader", 0),
        (changed(SUBSCRIBE, "PT60.000S", "PT-1S"), "a:InvalidMessageInformationHeader", 0),
        (changed(SUBSCRIBE, ONCE_MORE, f"<a:To>x</a:To>{ONCE_MORE}"), "a:InvalidMessageInformationHeader", 0),
        (changed(SUBSCRIBE, "<a:ReplyTo>", "<a:FaultTo>").replace("</a:ReplyTo>", "</a:FaultTo>"), "a:MessageInf", 0),
        (changed(SUBSCRIBE, names.ANONYMOUS, "http://me"), "w:UnsupportedFeature", 0),
        (changed(SUBSCRIBE, ONCE_MORE, f'<x s:mustUnderstand="true"/>{ONCE_MORE}'), "s:MustUnderstand", 0x80338010),
        (changed(SUBSCRIBE, ">512000<", ">8191<"), "w:EncodingLimit", 0),
        (changed(SUBSCRIBE, 's:mustUnderstand="false" />', 's:mustUnderstand="true" />'), "w:UnsupportedFeature", 0),
        (changed(SUBSCRIBE, names.EVENT_LOG, ""), "a:DestinationUnreachable", 0x8033803B),
        (changed(SUBSCRIBE, names.EVENT_QUERY, "urn:wql"), "e:FilteringRequestedUnavailable", 0),
        (changed(SUBSCRIBE, "&lt;QueryList&gt;", "&lt;Query&gt;"), "w:CannotProcessFilter", 0x80338107),
        (changed(SUBSCRIBE, "</w:Filter>", "</w:Filter><e:Filter/>"), "e:InvalidMessage", 0),
        (changed(SUBSCRIBE, BOOKMARK, "<Other/>"), "w:InvalidBookmark", 0x80338038),
        (changed(SUBSCRIBE, BOOKMARK, "from here"), "w:InvalidBookmark", 0x80338038),
        (changed(SUBSCRIBE, "PT900.000S", "PT0S"), "w:UnsupportedFeature", 0x803380A4),
        (changed(SUBSCRIBE, "PT900.000S", "soon"), "w:SchemaValidationError", 0),
        (changed(SUBSCRIBE, "P30D", "2030-01-01T00:00:00Z"), "e:UnsupportedExpirationType", 0x80338020),
        (changed(SUBSCRIBE, "P30D", "PT0S"), "e:InvalidExpirationTime", 0x8033801F),
        (changed(SUBSCRIBE, ">UTF-8<", ">UTF-7<"), "w:UnsupportedFeature", 0x803381F7),
        (changed(SUBSCRIBE, ">RenderedText<", ">Prose<"), "w:InvalidOptions", 0),
        (changed(SUBSCRIBE, "e:Delivery Mode", "e:Else Mode").replace("/e:Delivery", "/e:Else"), "e:InvalidMessage", 0),
        (changed(SUBSCRIBE, "<e:Subscribe>", "<e:Renew>").replace("</e:Subscribe>", "</e:Renew>"), "e:InvalidMess", 0),
        (
            changed(PUSH, RETRY, '<w:ConnectionRetry Total="0">PT60.0S</w:ConnectionRetry>'),
            "w:InternalError",
            0x8033815F,
        ),
        (changed(PUSH, "https://wec.corp.example", "https://other"), "w:UnsupportedFeature", 0x80338096),
        (PUSH.replace("https://wec.corp.example", "wec.corp.example"), "w:UnsupportedFeature", 0x803380A2),
        (changed(PULL, ">uuid:6<", "><"), "n:InvalidEnumerationContext", 0x8033801B),
        (changed(PULL, ">10<", ">0<"), "w:SchemaValidationError", 0),
        (changed(PULL, ">10<", ">many<"), "w:SchemaValidationError", 0),
        (changed(PULL, "</n:Pull>", "</n:Pull><n:Pull/>"), "w:SchemaValidationError", 0),
        (changed(PULL, "</s:Body>", ""), "w:SchemaValidationError", 0x80338043),
        ("<!DOCTYPE x>" + PULL, "w:SchemaValidationError", 0x80338043),
    ],
)
def test_what_windows_refuses_is_refused(text: str, name: str, code: int) -> None:
    """With its fault and, where there is one of its own, its code."""
    found = refusal(text)

    assert found.fault is not None
    assert found.fault.name.startswith(name)
    assert found.code
    assert code in (0, found.code)


def test_a_refusal_is_a_fault_that_relates_to_the_call() -> None:
    """So the collector knows which of its calls it was."""
    found = refusal(changed(SUBSCRIBE, names.MODE_PULL, "urn:mode"))
    answer = read_answer(write_refusal(found, message_id="uuid:9"), MESSAGE_ID)

    assert isinstance(answer, SourceFault)
    assert (answer.name, answer.code) == ("e:DeliveryModeRequestedUnavailable", 0x8033801E)


@pytest.mark.parametrize("text", ["<html/>", "GET / HTTP/1.1", "", PULL.replace(names.SOAP, "urn:soap")])
def test_what_is_no_soap_gets_a_bare_400(text: str) -> None:
    """A fault would be no use to whoever sent that."""
    found = refusal(text)

    assert (found.fault, found.status) == (None, 400)
    with pytest.raises(ValueError, match="bare status"):
        write_refusal(found, message_id="uuid:9")


def test_a_query_may_be_an_element_and_a_bookmark_a_word() -> None:
    """[DSP0226] R10.2.2-5, R10.2.6-7."""
    text = changed(SUBSCRIBE, BOOKMARK, names.EARLIEST)
    start, end = text.index("<w:Filter"), text.index("</w:Filter>")
    call = read_call(text[:start] + "<w:Filter><QueryList><Query/></QueryList>" + text[end:])

    assert isinstance(call, Subscribe)
    assert (call.query, call.dialect) == ("<QueryList><Query/></QueryList>", None)
    assert call.bookmark == names.EARLIEST


def test_the_status_of_a_subscription_may_be_asked_for() -> None:
    """Not recommended (R10.3-1), and answered all the same."""
    text = PULL.replace(names.PULL, names.GET_STATUS)
    text = text[: text.index("<n:Pull>")] + "<e:GetStatus/>" + text[text.index("</s:Body>") :]

    assert isinstance(read_call(text), GetStatus)


def test_any_other_action_is_an_unknown_call() -> None:
    """What it gets is the host's to say."""
    text = write_get(VOICE, (), message_id=MESSAGE_ID, timeout=1.0).replace(names.GET, names.TRANSFER + "/Put")
    call = read_call(text)

    assert isinstance(call, UnknownCall)
    assert call.header.action == names.TRANSFER + "/Put"


def test_prefixes_do_not_matter() -> None:
    """A name is a namespace and a local name."""
    to = f"<AD:To>x</AD:To><AD:ReplyTo><AD:Address>{names.ANONYMOUS}</AD:Address></AD:ReplyTo>"

    assert isinstance(read_call(envelope(names.GET_STATUS, "<EV:GetStatus/>", to)), GetStatus)


@given(st.integers(0, len(PUSH)), st.integers(0, 30), st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_no_call_can_do_anything_but_be_read_or_refused(at: int, gone: int, text: str) -> None:
    """A pretend source may listen on a real network."""
    spoilt = PUSH[:at] + text + PUSH[at + gone :]
    answer = ""
    try:
        read_call(spoilt)
    except CallRefused as refused:
        answer = write_refusal(refused, message_id="uuid:9") if refused.fault is not None else ""
    assert not answer or isinstance(read_answer(answer, None), SourceFault)
