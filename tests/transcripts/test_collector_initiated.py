"""The collector-initiated flow as it was recorded: what collectors said, and what Windows answered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from collector.wsman import names
from collector.wsman.answering import (
    QUOTA_CODE,
    write_get_response,
    write_identify_response,
    write_pull_response,
    write_source_fault,
    write_subscribe_response,
    write_unsubscribe_response,
)
from collector.wsman.answers import Got, IdentifyResponse, Pulled, SourceFault, Subscribed, Unsubscribed, read_answer
from collector.wsman.asked import Get, Identify, Pull, Subscribe, Unsubscribe, read_call
from collector.wsman.calls import (
    Voice,
    options_of,
    write_identify,
    write_pull,
    write_subscribe_pull,
    write_subscribe_push,
    write_unsubscribe,
)
from collector.wsman.config_resource import config_text, parse_config, write_config
from collector.wsman.messages import Offer

RESOURCE = f'<w:ResourceURI xmlns:w="{names.WSMAN}">{names.EVENT_LOG}</w:ResourceURI>'
OPTIONS = (("SubscriptionName", "ZenossSubscription"), ("ContentFormat", "RenderedText"), ("IgnoreChannelError", None))
BOOKMARK = '<BookmarkList><Bookmark Channel="Application" IsCurrent="true" RecordId="3847"/></BookmarkList>'
GILROY = "http://gilroy:5985/wsman"
OLD = re.compile("  >")  # Windows Server 2003 R2 has two blanks in some tags


def capture(shared_data: Path, name: str) -> str:
    return (shared_data / "captures" / f"{name}.xml").read_text()


def identifier(text: str) -> str:
    return f'<e:Identifier xmlns:e="{names.EVENTING}">{text}</e:Identifier>'


def relation(text: str) -> str:
    found = re.search(r"RelatesTo\s*>\s*([^\s<]+)", text)
    assert found is not None
    return found[1]


def message_id(text: str) -> str:
    found = re.search(r"MessageID\s*>\s*([^\s<]+)", text)
    assert found is not None
    return found[1]


Tree = tuple[str, dict[str, str], str, list[Any]]


def tree(text: str, *left_out: str) -> Tree:
    """*text* without prefixes and the blanks of whoever printed it; *left_out* are names of elements."""

    def grown(element: etree._Element) -> Tree:
        return (
            str(element.tag),
            {str(name): str(value) for name, value in element.attrib.items()},
            " ".join((element.text or "").split()),
            [grown(child) for child in element if etree.QName(child).localname not in left_out],
        )

    return grown(etree.fromstring(text))


def offer(name: str, **values: object) -> Offer:
    usual: dict[str, Any] = {
        "name": name,
        "identifier": "",
        "version": "",
        "revision": "",
        "notify_to": "",
        "profile": None,
        "issuer": None,
        "query": '<QueryList><Query Path="Application"><Select>*</Select></Query></QueryList>',
        "bookmark": None,
        "read_existing_events": False,
        "content_format": "RenderedText",
        "locale": "en-US",
        "compression": False,
        "ignore_channel_error": True,
        "heartbeat": 5.0,
        "max_time": 20.0,
        "max_elements": 20,
        "max_envelope_size": 153600,
        "retry_interval": 60.0,
        "retry_total": 5,
    }
    return Offer(**{**usual, **values})


# What Windows answered ----------------------------------------------------------------------------------------------


def test_windows_accepted_a_pull_subscription(shared_data: Path) -> None:
    """The first context, and the two properties that every Pull must repeat."""
    text = capture(shared_data, "subscribe-pull-response")

    assert read_answer(text, "uuid:40E5E215-9AE6-4BB2-BF59-5BE542B6E67B") == Subscribed(
        (RESOURCE, identifier("885E9924-235C-44EB-9834-B3440B7DCD38")),
        None,
        "uuid:00A69F40-AF0D-4E6D-93BD-EFE6AADC3F51",
        GILROY,
    )


def test_windows_accepted_a_push_subscription(shared_data: Path) -> None:
    """Without a context: its events come by themselves."""
    text = capture(shared_data, "subscribe-push-response")

    assert read_answer(text, "uuid:2711428A-D19A-42A4-98DF-079CFCD7ABD5") == Subscribed(
        (identifier("143DDA8B-85A6-4BCD-8427-6E409C178389"),), None, None, "http://LC1-12C28.DC162220.lab:80/wsman"
    )


def test_windows_had_an_event(shared_data: Path) -> None:
    """With a new context and a bookmark; the event is indented in the recording, and one event all the same."""
    answer = read_answer(capture(shared_data, "pull-response-event"), "uuid:DC17922E-EBE7-4333-B92A-7157EB372F33")

    assert isinstance(answer, Pulled)
    assert answer.context == "uuid:05071354-C4AD-4745-AA80-1127029F660E"
    assert tree(answer.bookmark or "") == tree(BOOKMARK)
    assert [etree.fromstring(piece).tag for piece in answer.pieces] == [f"{{{names.EVENT}}}Event"]
    assert "test_from_gilroy_cmd_003" in answer.pieces[0]


def test_windows_had_nothing(shared_data: Path) -> None:
    """Which is a new context, and no bookmark."""
    assert read_answer(
        capture(shared_data, "pull-response-empty"), "uuid:EC5180D0-F722-48A4-8155-9D0A4E3976A2"
    ) == Pulled("uuid:F31A07AC-3B61-4ECC-A489-1B492FA1E7D6", [], None)


def test_windows_ended_a_subscription(shared_data: Path) -> None:
    """With an empty body: the action says it."""
    text = capture(shared_data, "push-unsubscribe-response")

    assert read_answer(text, "uuid:D5A78823-3024-4589-87F0-BEBEE40BD0CC") == Unsubscribed()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timedout", ("w:TimedOut", None, 2150858793, "")),
        ("invalid-selectors", ("w:InvalidSelectors", "UnexpectedSelectors", 2150858843, "Shell provider")),
        ("invalid-timeout-header", ("a:InvalidMessageInformationHeader", None, 2150858767, "")),
        ("invalid-parameter-provider", ("w:InvalidParameter", "InvalidValue", 87, "Shell cmd plugin")),
        ("internal-error-provider", ("w:InternalError", None, 2147942402, "Shell cmd plugin")),
        ("quota-max-concurrent", ("w:InternalError", None, QUOTA_CODE, "")),
    ],
)
def test_windows_refused(shared_data: Path, name: str, expected: tuple[str, str | None, int, str]) -> None:
    """In each of the three shapes of a WSManFault, and with blanks around every text."""
    text = capture(shared_data, f"fault-{name}")
    answer = read_answer(text, relation(text))

    assert isinstance(answer, SourceFault)
    assert (answer.name, answer.detail, answer.code, answer.provider) == expected
    assert answer.text == " ".join(answer.text.split()) != ""


@pytest.mark.parametrize(
    ("name", "version", "profiles"),
    [
        ("anonymous-2008r2", "OS: 0.0.0 SP: 0.0 Stack: 2.0", ()),
        ("anonymous-2012r2", "OS: 0.0.0 SP: 0.0 Stack: 3.0", ()),
        ("authenticated-2012r2", "OS: 6.3.9600 SP: 0.0 Stack: 3.0", ("http/basic", "http/spnego-kerberos")),
    ],
)
def test_windows_said_who_it_is(shared_data: Path, name: str, version: str, profiles: tuple[str, ...]) -> None:
    """Read as said, and said byte for byte like this by the pretend source."""
    text = capture(shared_data, f"identify-response-{name}")

    assert read_answer(text, None) == IdentifyResponse("Microsoft Corporation", version, profiles)
    assert write_identify_response(version, profiles) == text


def test_windows_showed_its_configuration(shared_data: Path) -> None:
    """All of it is kept, to the byte, and shown as winrm shows it."""
    text = capture(shared_data, "winrm-config-get")
    answer = read_answer(text, relation(text))

    assert isinstance(answer, Got)
    config = parse_config(answer.document)
    assert write_config(config) in text
    assert config.value("Service/EnumerationTimeoutms") == "240000"
    assert config_text(config).splitlines()[4:8] == [
        "    MaxProviderRequests = 4294967295",
        "    Client",
        "        NetworkDelayms = 5000",
        "        URLPrefix = wsman",
    ]


# What the pretend source answers is what Windows answered -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fault", "values"),
    [
        (
            "timedout",
            "w:TimedOut",
            {
                "code": 2150858793,
                "text": "The WS-Management service cannot complete the operation within the time specified in"
                " OperationTimeout.  ",
                "machine": "192.168.56.11",
            },
        ),
        (
            "invalid-selectors",
            "w:InvalidSelectors",
            {
                "code": 2150858843,
                "text": "The WS-Management service cannot process the request because the request contained invalid"
                " selectors for the resource. ",
                "machine": "127.0.0.1",
                "detail": "UnexpectedSelectors",
                "provider": ("Shell provider", r"%systemroot%\system32\WsmSvc.dll"),
                "nested": True,
            },
        ),
        (
            "invalid-timeout-header",
            "a:InvalidMessageInformationHeader",
            {
                "code": 2150858767,
                "text": "The WS-Management service cannot process the request. The XML contains an invalid timeout"
                " field in the SOAP header: PT-1S. ",
                "reason": "The WS-Management service cannot process the request. The request contains one or more"
                " invalid SOAP headers. ",
                "machine": "127.0.0.1",
            },
        ),
        (
            "invalid-parameter-provider",
            "w:InvalidParameter",
            {
                "code": 87,
                "text": "The parameter is incorrect. ",
                "machine": "127.0.0.1",
                "detail": "InvalidValue",
                "provider": ("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll"),
            },
        ),
        (
            "internal-error-provider",
            "w:InternalError",
            {
                "code": 2147942402,
                "text": "The system cannot find the file specified. ",
                "machine": "server2008r2.domain.local",
                "provider": ("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll"),
            },
        ),
    ],
)
def test_the_pretend_source_refuses_byte_for_byte(
    shared_data: Path, name: str, fault: str, values: dict[str, Any]
) -> None:
    """A collector that reads these has read Windows."""
    text = capture(shared_data, f"fault-{name}")

    assert write_source_fault(fault, **values, message_id=message_id(text), relates_to=relation(text)) == text


def test_the_pretend_source_shows_its_configuration_byte_for_byte(shared_data: Path) -> None:
    """``wef winrm get`` is tested against it."""
    text = capture(shared_data, "winrm-config-get")
    answer = read_answer(text, relation(text))

    assert isinstance(answer, Got)
    document = write_config(parse_config(answer.document))
    assert write_get_response(document, message_id=message_id(text), relates_to=relation(text)) == text


def test_the_pretend_source_ends_a_subscription_byte_for_byte(shared_data: Path) -> None:
    """But for the blanks of Windows Server 2003 R2."""
    text = capture(shared_data, "push-unsubscribe-response")
    written = write_unsubscribe_response(message_id=message_id(text), relates_to=relation(text))

    assert written == OLD.sub(">", text)


def test_the_pretend_source_accepts_a_subscription_as_windows_does(shared_data: Path) -> None:
    """The recording is indented, so the trees are compared."""
    text = capture(shared_data, "subscribe-pull-response")
    written = write_subscribe_response(
        message_id=message_id(text),
        relates_to=relation(text),
        manager=GILROY,
        identifier="885E9924-235C-44EB-9834-B3440B7DCD38",
        context="uuid:00A69F40-AF0D-4E6D-93BD-EFE6AADC3F51",
    )

    assert tree(written) == tree(text)


@pytest.mark.parametrize("name", ["pull-response-event", "pull-response-empty"])
def test_the_pretend_source_answers_a_pull_as_windows_does(shared_data: Path, name: str) -> None:
    """With the bookmark between a:To and a:RelatesTo."""
    text = capture(shared_data, name)
    answer = read_answer(text, relation(text))

    assert isinstance(answer, Pulled)
    written = write_pull_response(
        answer.pieces, answer.context, answer.bookmark, message_id=message_id(text), relates_to=relation(text)
    )
    assert tree(written) == tree(text)


# What collectors said, and what we say ------------------------------------------------------------------------------


def test_the_recorded_calls_are_read(shared_data: Path) -> None:
    """The pretend source takes what Windows took."""
    pull = read_call(capture(shared_data, "pull-request"))
    unsubscribe = read_call(capture(shared_data, "pull-unsubscribe-request"))
    old = read_call(capture(shared_data, "push-unsubscribe-request"))
    get = read_call(capture(shared_data, "winrm-config-get-request"))

    assert isinstance(pull, Pull)
    assert (pull.context, pull.max_elements, pull.options) == (
        "uuid:00A69F40-AF0D-4E6D-93BD-EFE6AADC3F51",
        32000,
        OPTIONS,
    )
    assert isinstance(unsubscribe, Unsubscribe)
    assert unsubscribe.header.identifier == "885E9924-235C-44EB-9834-B3440B7DCD38"
    assert isinstance(old, Unsubscribe)
    assert old.header.identifier == "143DDA8B-85A6-4BCD-8427-6E409C178389"
    assert isinstance(get, Get)
    assert get.header.resource_uri == names.CONFIG
    assert read_call(capture(shared_data, "identify-request")) == Identify()


def test_the_subscribe_of_the_specification_is_read(shared_data: Path) -> None:
    """As printed there; the line breaks and the one blank inside its addresses are taken out first."""
    text = re.sub(r"(?<=[/:])\n(?=\S)", "", capture(shared_data, "spec-subscribe-push")).replace("07C4 1", "07C41")
    call = read_call(text)

    assert isinstance(call, Subscribe)
    assert (call.delivery.mode, call.dialect, call.delivery.profile) == ("Events", None, None)
    assert call.delivery.identifier == "430055A3-8146-49AA-A5C1-D87DC542AB0C"
    assert (call.delivery.heartbeat, call.delivery.max_time) == (3600.0, 30.0)
    assert call.expires == 3960732748.184


def test_we_identify_byte_for_byte(shared_data: Path) -> None:
    """[DSP0226] 11."""
    assert write_identify() == capture(shared_data, "identify-request")


def test_we_subscribe_and_pull_as_a_proven_client_does(shared_data: Path) -> None:
    """The recording is indented, so the trees are compared."""
    subscribe, pull = capture(shared_data, "subscribe-pull"), capture(shared_data, "pull-request")
    ended = capture(shared_data, "pull-unsubscribe-request")
    pulled = offer("ZenossSubscription")
    voice = Voice(GILROY, options=options_of(pulled))
    references = [RESOURCE, identifier("885E9924-235C-44EB-9834-B3440B7DCD38")]

    assert tuple(voice.options) == OPTIONS
    assert tree(write_subscribe_pull(voice, pulled, message_id=message_id(subscribe), timeout=60.0)) == tree(subscribe)
    assert tree(
        write_pull(
            voice,
            "uuid:00A69F40-AF0D-4E6D-93BD-EFE6AADC3F51",
            (),
            message_id=message_id(pull),
            timeout=5.0,
            max_elements=32000,
        )
    ) == tree(pull)
    assert tree(write_unsubscribe(voice, references, message_id=message_id(ended), timeout=5.0)) == tree(ended)


def test_we_subscribe_for_push_as_a_windows_collector_does(shared_data: Path) -> None:
    """But for p:DataLocale, which came with Windows Vista, and s:mustUnderstand on the locale of the delivery."""
    text = capture(shared_data, "subscribe-push")
    pushed = offer(
        "collection3",
        identifier="882AF072-DB9F-49DC-AC3A-D851A537886C",
        notify_to="HTTP://lc1-12c29.DC162220.lab:80/wsman/subscriptions/F494AF9C-3AE0-41BB-B502-1FA4DC4D7816",
        profile=names.KERBEROS_HTTP,
        compression=True,
        heartbeat=20.0,
        expires="PT275480553.0S",
        query='<QueryList> <Query Path="Application"> <Select>*</Select> </Query> </QueryList>',
    )
    voice = Voice("http://LC1-12C28.DC162220.lab:80/wsman", max_envelope_size=153600)
    written = write_subscribe_push(voice, pushed, message_id=message_id(text), timeout=60.0)

    assert tree(written, "DataLocale", "Locale") == tree(text, "DataLocale", "Locale")
