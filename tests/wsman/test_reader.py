"""Envelopes to messages: names by namespace, values trimmed, every refusal with the fault that fits."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wsman import names
from collector.wsman.messages import (
    Delivery,
    End,
    Enumerate,
    Fault,
    Header,
    Heartbeat,
    Identify,
    SubscriptionEnd,
    Unsupported,
)
from collector.wsman.reader import EnvelopeError, read_envelope
from collector.wsman.requests import (
    write_end,
    write_enumerate,
    write_events,
    write_heartbeat,
    write_subscription_end,
)
from tests.wsman.spoken import BOOKMARK, EVENT, MESSAGE_ID, OPERATION_ID, SPEAKER, TARGET, batch, envelope

HEADER = Header(
    action=names.EVENTS,
    message_id=MESSAGE_ID,
    to=TARGET.to,
    reply_to=names.ANONYMOUS,
    machine_id=SPEAKER.machine_id,
    identifier=TARGET.identifier,
    version=TARGET.version,
    revision=TARGET.revision,
    operation_id=OPERATION_ID,
    operation_timeout=60.0,
    max_envelope_size=512000,
    ack_requested=True,
)


def refused(text: str) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as error:
        read_envelope(text)
    return error.value


def test_a_batch_in_windows_form_is_sliced() -> None:
    """The fast way, with every field of the header."""
    text = write_events(SPEAKER, TARGET, [EVENT, EVENT], BOOKMARK, message_id=MESSAGE_ID, operation_id=OPERATION_ID)

    assert read_envelope(text) == Delivery(HEADER, [EVENT, EVENT], BOOKMARK, None, sliced=True)


def test_a_heartbeat_is_read_with_and_without_its_empty_events() -> None:
    """[DSP0226] 10.2.5 leaves the body open; Windows sends an empty w:Events."""
    text = write_heartbeat(SPEAKER, TARGET, message_id=MESSAGE_ID, operation_id=OPERATION_ID)
    for body in ("<w:Events></w:Events>", "<w:Events/>", "", " <!-- nothing --> "):
        message = read_envelope(text.replace("<w:Events></w:Events>", body))
        assert isinstance(message, Heartbeat)
        assert message.header.identifier == TARGET.identifier


def test_a_heartbeat_that_carries_events_is_a_delivery() -> None:
    """It must not (R10.2.5-4); were it acknowledged as a heartbeat, its events would be gone."""
    message = read_envelope(batch(f"<![CDATA[{EVENT}]]>").replace(names.EVENTS, names.HEARTBEAT))

    assert isinstance(message, Delivery)
    assert message.pieces == [EVENT]


def test_an_enumerate_is_read() -> None:
    """MaxElements bounds our answer, so it must come through; absent is not zero."""
    text = write_enumerate(SPEAKER, to="http://wec:5985/wsman", message_id=MESSAGE_ID, operation_id=OPERATION_ID)
    message = read_envelope(text)

    assert isinstance(message, Enumerate)
    assert message.max_elements == 32000
    assert message.header.resource_uri == names.SUBSCRIPTION_MANAGER
    without = read_envelope(envelope(names.ENUMERATE, "<EN:Enumerate/>"))
    assert isinstance(without, Enumerate)
    assert without.max_elements is None


def test_a_subscription_end_keeps_the_sources_own_diagnosis() -> None:
    """Its WSManFault is the best explanation a collector ever gets."""
    text = write_subscription_end(
        SPEAKER, TARGET, manager_id="m", message_id=MESSAGE_ID, status="SourceCancelling", reason=(5, "no\n access")
    )
    message = read_envelope(text)

    assert isinstance(message, SubscriptionEnd)
    assert (message.status, message.code, message.text) == ("SourceCancelling", 5, "no access")
    assert message.header.operation_timeout == 0.5


def test_of_nested_faults_the_innermost_speaks() -> None:
    """The third shape of protocol.md 8.1: its code and message are the more precise ones."""
    fault = '<F:WSManFault xmlns:F="{0}" Code="{1}"><F:Message>{2}</F:Message></F:WSManFault>'
    inner = fault.format(names.WSMAN_FAULT, 2150858843, " wrong selectors ")
    body = f"<EV:SubscriptionEnd>{fault.format(names.WSMAN_FAULT, 1, inner)}</EV:SubscriptionEnd>"
    message = read_envelope(envelope(names.SUBSCRIPTION_END, body))

    assert isinstance(message, SubscriptionEnd)
    assert (message.code, message.text) == (2150858843, "wrong selectors")


def test_an_end_needs_no_reply_to() -> None:
    """Windows sends none, and it must not be faulted for it."""
    message = read_envelope(write_end(message_id=MESSAGE_ID, operation_id=OPERATION_ID))

    assert isinstance(message, End)
    assert message.header.reply_to == ""


@pytest.mark.parametrize("header", ["", "<s:Header/>", "<s:Header><x xmlns='u' s:mustUnderstand='1'/></s:Header>"])
def test_identify_needs_no_header(header: str) -> None:
    """winrm id sends none, and what is there does not matter (R11-2, R11-3)."""
    body = f'<s:Body><i:Identify xmlns:i="{names.IDENTITY}"/></s:Body>'
    text = f'<s:Envelope xmlns:s="{names.SOAP}">{header}{body}</s:Envelope>'

    assert read_envelope(text) == Identify()


def test_another_action_is_unsupported_and_not_an_error_here() -> None:
    """Which fault it gets depends on the action, and is the exchange's to say."""
    message = read_envelope(envelope("http://example/Get", "<x/>"))

    assert isinstance(message, Unsupported)
    assert message.header.action == "http://example/Get"


def test_white_space_around_values_is_trimmed() -> None:
    """[DSP0226] R13.1-10; the specification's own samples are printed so."""
    message = read_envelope(
        envelope(
            f"\n {names.HEARTBEAT} \r\n",
            "",
            "<EV:Identifier>\n\tABC\n</EV:Identifier><WS:OperationTimeout> PT1H </WS:OperationTimeout>"
            "<WS:MaxEnvelopeSize> 153600\n</WS:MaxEnvelopeSize><!-- hello --><AD:To>a<!-- x -->b</AD:To>",
        )
    )

    assert isinstance(message, Heartbeat)
    header = message.header
    assert (header.identifier, header.operation_timeout, header.max_envelope_size) == ("ABC", 3600.0, 153600)
    assert header.to == "ab"


def test_a_prefix_means_nothing() -> None:
    """w:Action in the wrong namespace is no action, and our Version must be in none."""
    text = envelope(names.HEARTBEAT, "", "<WS:Action>x</WS:Action><WS:Version>y</WS:Version><Version>z</Version>")
    message = read_envelope(text)

    assert isinstance(message, Heartbeat)
    assert message.header.version == "z"


def test_an_unknown_header_matters_only_when_it_must_be_understood() -> None:
    """And a:From never does (R5.4.6-2)."""
    header = (
        '<q:A xmlns:q="urn:q" SO:mustUnderstand="true"/><q:B xmlns:q="urn:q" SO:mustUnderstand="false"/>'
        '<C SO:mustUnderstand="1"/><D/><AD:From SO:mustUnderstand="true"/><WS:Locale SO:mustUnderstand="true"/>'
    )
    message = read_envelope(envelope(names.HEARTBEAT, "", header))

    assert isinstance(message, Heartbeat)
    assert message.header.not_understood == (("urn:q", "A"), ("", "C"))


@pytest.mark.parametrize("action", [names.ENUMERATE, names.EVENTS, names.HEARTBEAT])
def test_a_request_without_message_id_is_refused(action: str) -> None:
    """No answer could relate to it; missing and empty have faults of their own."""
    body = "<EN:Enumerate/>" if action == names.ENUMERATE else ""

    assert refused(envelope(action, body, message_id=None)).fault == Fault("a:MessageInformationHeaderRequired")
    assert refused(envelope(action, body, message_id=" ")).fault == Fault("a:InvalidMessageInformationHeader")
    too_long = refused(envelope(action, body, message_id="x" * 2049))
    assert too_long.fault == Fault("a:InvalidMessageInformationHeader")


def test_a_message_id_of_2048_characters_is_taken() -> None:
    """Any string up to 2 KB is one, not only a UUID ([MS-WSMV] 47)."""
    message = read_envelope(envelope(names.HEARTBEAT, "", message_id="ü" * 2048))

    assert isinstance(message, Heartbeat)
    assert message.header.message_id == "ü" * 2048


def test_a_missing_action_is_a_fault_that_relates_to_the_message() -> None:
    """Without an action nobody knows what is wanted."""
    text = envelope(names.HEARTBEAT, "").replace(f"<AD:Action>{names.HEARTBEAT}</AD:Action>", "")

    error = refused(text)

    assert error.fault == Fault("a:MessageInformationHeaderRequired")
    assert error.relates_to == MESSAGE_ID
    assert error.status == 500


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("<WS:OperationTimeout>PT-1S</WS:OperationTimeout>", "PT-1S"),
        ("<WS:OperationTimeout>soon</WS:OperationTimeout>", "PT60.000S would be right"),
        (f"<WS:OperationTimeout>PT{'9' * 400}S</WS:OperationTimeout>", "OperationTimeout"),
        ("<WS:MaxEnvelopeSize>big</WS:MaxEnvelopeSize>", "a number of bytes"),
        ("<AD:To>x</AD:To><AD:To>y</AD:To>", "To twice"),
        ("<EV:Identifier>x</EV:Identifier><EV:Identifier>y</EV:Identifier>", "Identifier twice"),
        ("<AD:MessageID>uuid:other</AD:MessageID>", "MessageID twice"),
        ("<WS:Bookmark>x</WS:Bookmark><WS:Bookmark>y</WS:Bookmark>", "Bookmark twice"),
    ],
)
def test_a_header_that_cannot_be_meant_is_refused_with_a_sentence(header: str, sentence: str) -> None:
    """Two identifiers: events would be stored under a guess ([DSP0226] R13.1-9)."""
    error = refused(envelope(names.HEARTBEAT, "", header))

    assert error.fault is not None
    assert error.fault.name == "a:InvalidMessageInformationHeader"
    assert sentence in str(error)
    assert error.relates_to == MESSAGE_ID


@pytest.mark.parametrize(
    "text",
    [
        envelope(names.EVENTS, "<WS:Events>")[:-9],
        envelope(names.HEARTBEAT, "")[:-4],
        f'<!DOCTYPE s:Envelope><s:Envelope xmlns:s="{names.SOAP}"><a:MessageID>{MESSAGE_ID}</a:MessageID></s:Envelope>',
        envelope(names.HEARTBEAT, "<a>" * 120 + "</a>" * 120),
        envelope(names.HEARTBEAT, "<a>" * 300 + "</a>" * 300),
        batch("<a>" * 120 + "</a>" * 120, "<b>"),
    ],
)
def test_broken_xml_document_types_and_depth_are_schema_violations(text: str) -> None:
    """Refused with a fault that relates to the message where its id can still be read."""
    error = refused(text)

    assert error.fault == Fault("w:SchemaValidationError")
    assert error.status == 500
    assert error.relates_to == MESSAGE_ID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "<html></html>",
        "<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'/>",
        "<<<",
        "\0",
        "\ufffe",
    ],
)
def test_what_is_no_soap_1_2_gets_a_bare_400(text: str) -> None:
    """There is no envelope in which a fault could be spelled."""
    error = refused(text)

    assert error.fault is None
    assert error.status == 400


@pytest.mark.parametrize(
    "text",
    [
        envelope(names.ENUMERATE, ""),
        envelope(names.ENUMERATE, "<EN:Enumerate><WS:MaxElements>many</WS:MaxElements></EN:Enumerate>"),
        envelope(names.EVENTS, "<WS:Other/>"),
        envelope(names.EVENTS, "<WS:Events/><WS:Events/>"),
        envelope(names.SUBSCRIPTION_END, "<EV:Other/>"),
        envelope(names.HEARTBEAT, "").replace("<SO:Body></SO:Body>", ""),
    ],
)
def test_a_body_that_does_not_fit_its_action_is_a_schema_violation(text: str) -> None:
    """Better refused than half understood."""
    assert refused(text).fault == Fault("w:SchemaValidationError")


def test_an_xml_declaration_with_any_encoding_is_taken() -> None:
    """The text is decoded already; what the declaration says no longer matters."""
    text = '<?xml version="1.0" encoding="utf-16"?>' + envelope(names.HEARTBEAT, "")

    assert isinstance(read_envelope(text), Heartbeat)


_WHOLE = write_events(SPEAKER, TARGET, [EVENT] * 3, BOOKMARK, message_id=MESSAGE_ID, operation_id=OPERATION_ID)
_ODD = batch(EVENT, "<![CDATA[\x05]]>", "&lt;Event/&gt;", header="<WS:Bookmark>&#x5;</WS:Bookmark>")


@given(
    st.sampled_from([_WHOLE, _ODD]),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 30), st.text(max_size=8)), min_size=1, max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_a_mutated_message_raises_nothing_but_its_own_error(text: str, cuts: list[tuple[int, int, str]]) -> None:
    """Cut out, put in, anywhere: a message or an EnvelopeError."""
    for at, length, put in cuts:
        at %= len(text) + 1
        text = text[:at] + put + text[at + length :]
    with contextlib.suppress(EnvelopeError):
        read_envelope(text)
