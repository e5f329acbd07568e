"""Replies as a Windows source must find them: compared, element by element, with what Windows collectors send."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from lxml import etree

from collector.wsman import names
from collector.wsman.faults import FAULTS
from collector.wsman.messages import Ack, EnumerateResponse, Fault, IdentifyResponse, NoContent, Offer, Reply
from collector.wsman.responses import read_response
from collector.wsman.writer import write_envelope
from tests.wsman.spoken import OFFER

MESSAGE_ID, RELATES_TO = "uuid:AAAAAAAA-0000-4000-8000-00000000000A", "uuid:bbbbbbbb-0000-4000-8000-00000000000b"
NAMES = {
    "s": names.SOAP,
    "a": names.ADDRESSING,
    "e": names.EVENTING,
    "n": names.ENUMERATION,
    "w": names.WSMAN,
    "p": names.MICROSOFT,
    "m": names.SUBSCRIPTION,
    "c": names.POLICY,
    "auth": names.AUTHENTICATION,
    "id": names.IDENTITY,
}


def written(reply: Reply) -> etree._Element:
    return etree.fromstring(write_envelope(reply, message_id=MESSAGE_ID, relates_to=RELATES_TO))


def offered(offer: Offer) -> etree._Element:
    return written(EnumerateResponse([offer], ["uuid:1"]))


def texts(root: etree._Element, path: str) -> list[str]:
    found = root.xpath(path, namespaces=NAMES)
    assert isinstance(found, list)
    return [str(text).strip() for text in found]


def shape(element: etree._Element) -> list[str]:
    """Every element, attribute and text below *element* as a path, so that two messages can be compared as lists."""
    lines = []
    for node in element.iter(etree.Element):
        path = "/".join([*(a.tag.rpartition("}")[2] for a in reversed(list(node.iterancestors()))), str(node.tag)])
        lines.append(f"{path} {sorted((str(k), str(v)) for k, v in node.attrib.items())} {(node.text or '').strip()}")
    return sorted(lines)


def test_an_ack_relates_to_the_letter_and_has_an_empty_body() -> None:
    """The source compares RelatesTo with its MessageID, case and all; else it sends the batch again."""
    ack = written(Ack())

    assert texts(ack, "s:Header/a:Action/text()") == [names.ACK]
    assert texts(ack, "s:Header/a:RelatesTo/text()") == [RELATES_TO]
    assert texts(ack, "s:Header/a:MessageID/text()") == [MESSAGE_ID]
    assert texts(ack, "s:Header/a:To/text()") == [names.ANONYMOUS]
    assert len(ack[1]) == 0


def test_an_ack_differs_from_windows_only_in_what_robust_connections_add(shared_data: Path) -> None:
    """OperationID and SequenceId are echoed by services that implement them, and only by those."""
    captured = etree.parse(shared_data / "captures" / "ack.xml").getroot()
    message_id, relates_to = texts(captured, "s:Header/a:MessageID/text()") + texts(
        captured, "s:Header/a:RelatesTo/text()"
    )
    ours = etree.fromstring(write_envelope(Ack(), message_id=message_id, relates_to=relates_to))
    for name in ("OperationID", "SequenceId"):
        (echo,) = captured.iterfind(f"s:Header/p:{name}", NAMES)
        captured[0].remove(echo)

    assert shape(ours) == shape(captured)


def test_a_hostile_message_id_cannot_write_xml() -> None:
    """It is the source's text, and it comes back in our header."""
    text = write_envelope(Ack(), message_id=MESSAGE_ID, relates_to='a<b>&"\x05]]>', reply_to="<x/>")

    assert texts(etree.fromstring(text), "s:Header/a:RelatesTo/text()") == ['a<b>&"\ufffd]]>']


def test_a_message_without_an_id_gets_a_reply_without_a_relation() -> None:
    """An empty a:RelatesTo would relate to nothing."""
    assert "RelatesTo" not in write_envelope(Ack(), message_id=MESSAGE_ID, relates_to=None)


def test_the_reply_goes_to_the_whole_reply_to_address() -> None:
    """[DSP0226] R5.4.2-4, even what we do not understand."""
    text = write_envelope(Ack(), message_id=MESSAGE_ID, relates_to=None, reply_to="http://x/?a=1&b=2")

    assert texts(etree.fromstring(text), "s:Header/a:To/text()") == ["http://x/?a=1&b=2"]


def test_an_offer_comes_back_from_its_message_as_it_was() -> None:
    """Every field of an offer is spelled, or the source would collect something else than was configured."""
    offer = dataclasses.replace(OFFER, read_existing_events=False)
    text = write_envelope(EnumerateResponse((offer,), ("uuid:1",)), message_id=MESSAGE_ID, relates_to=RELATES_TO)

    assert read_response(text, RELATES_TO) == EnumerateResponse((offer,), ("uuid:1",))


def test_an_offer_with_everything_off_comes_back_too() -> None:
    """Absent options are off; absent elements have no default of ours."""
    offer = dataclasses.replace(
        OFFER,
        profile=None,
        issuer=None,
        bookmark=None,
        content_format="Raw",
        locale=None,
        compression=False,
        ignore_channel_error=False,
        max_elements=None,
        revision="",
        expires=None,
    )
    text = write_envelope(EnumerateResponse((offer,), ("uuid:1",)), message_id=MESSAGE_ID, relates_to=RELATES_TO)

    assert read_response(text, RELATES_TO) == EnumerateResponse((offer,), ("uuid:1",))
    for absent in ("c:Policy", "Locale", "Compression", "IgnoreChannelError", "<Revision>", "Expires", "w:Bookmark>"):
        assert absent not in text


def test_no_offers_are_an_empty_complete_answer() -> None:
    """Nothing is meant for this source: Items and EndOfSequence all the same (R8.2.3-4, -5)."""
    answer = written(EnumerateResponse((), ()))

    (items,) = answer.iterfind("s:Body/n:EnumerateResponse/w:Items", NAMES)
    assert len(items) == 0
    assert texts(answer, "s:Body/n:EnumerateResponse/n:EnumerationContext/text()") == []
    assert answer.find("s:Body/n:EnumerateResponse/w:EndOfSequence", NAMES) is not None


def test_existing_events_are_asked_for_only_without_a_bookmark() -> None:
    """With one, the source resumes; both together would ask for everything again after each restart."""
    option = "//w:Option[@Name='ReadExistingEvents']/text()"

    assert texts(offered(OFFER), option) == []
    assert texts(offered(dataclasses.replace(OFFER, bookmark=None)), option) == ["true"]


@pytest.mark.parametrize(
    ("interval", "total", "spelled"),
    [(60.0, 5, ("5", "PT60.0S")), (0.25, 2, ("2", "PT0.250S")), (0.0, 5, ("0", "PT0.0S")), (60.0, 0, ("0", "PT0.0S"))],
)
def test_connection_retry_is_both_zero_or_both_not(interval: float, total: int, spelled: tuple[str, str]) -> None:
    """Anything else is w:InternalError on the source ([MS-WSMV] 3.1.4.1.30.2)."""
    (retry,) = offered(dataclasses.replace(OFFER, retry_interval=interval, retry_total=total)).iter(
        f"{{{names.WSMAN}}}ConnectionRetry"
    )

    assert (retry.get("Total"), retry.text) == spelled


def test_end_to_is_the_notify_to_address_with_the_same_references() -> None:
    """A source may insist on it (R10.6-1), and its end must find the subscription."""
    subscribe = offered(OFFER)
    notify = "//e:NotifyTo"

    assert texts(subscribe, "//e:EndTo/a:Address/text()") == texts(subscribe, f"{notify}/a:Address/text()")
    both = [texts(subscribe, f"{place}/a:ReferenceParameters/*/text()") for place in ("//e:EndTo", notify)]
    assert both == [[OFFER.identifier, OFFER.version, OFFER.revision]] * 2
    assert texts(subscribe, f"{notify}/a:ReferenceParameters/Version/text()") == [OFFER.version]


def test_the_query_list_is_in_no_namespace() -> None:
    """A default namespace that leaked in would make it a query that no source understands."""
    (query_list,) = offered(OFFER).iter("QueryList")

    assert {element.tag for element in query_list.iter()} == {"QueryList", "Query", "Select"}


def test_a_bookmark_that_is_a_text_is_a_text() -> None:
    """earliest is a URI, not an element (R10.2.6-7)."""
    assert texts(offered(dataclasses.replace(OFFER, bookmark=names.EARLIEST)), "//w:Bookmark/text()") == [
        names.EARLIEST
    ]


CAPTURED_OFFER = Offer(
    name="Toto",
    identifier="219C5353-5F3D-4CD7-A644-F6B69E57C1C1",
    version="219C5353-5F3D-4CD7-A644-F6B69E57C1C1",
    revision="",
    notify_to="HTTP://srv.windomain.local:5985/wsman/subscriptions/B6BDBB59-FB07-4EE5-841F-EBEC9D67CDD4/1",
    profile=names.KERBEROS_HTTP,
    issuer=None,
    query='<QueryList><Query Id="0"><Select Path="Microsoft-Windows-WinRM/Operational">'
    "*[System[(Level=1  or Level=2 or Level=3 or Level=4 or Level=0 or Level=5)]]</Select></Query></QueryList>",
    bookmark='<BookmarkList><Bookmark Channel="Microsoft-Windows-WinRM/Operational" RecordId="149140" '
    'IsCurrent="true"/></BookmarkList>',
    read_existing_events=False,
    content_format="RenderedText",
    locale="en-US",
    compression=True,
    ignore_channel_error=True,
    heartbeat=3600.0,
    max_time=30.0,
    max_elements=None,
    max_envelope_size=512000,
    retry_interval=60.0,
    retry_total=5,
)


def test_an_offer_is_spelled_as_a_windows_collector_spells_it(shared_data: Path) -> None:
    """Each difference to the captured answer has a reason, and there is no other."""
    captured = etree.parse(shared_data / "captures" / "enumerate-response.xml").getroot()
    ours = etree.fromstring(
        write_envelope(
            EnumerateResponse([CAPTURED_OFFER], ["uuid:A666D835-B462-465E-ACEE-BA6354EA0E58"]),
            message_id="uuid:45697184-34FA-4722-BF84-AF362DAF7832",
            relates_to="uuid:E9802257-6A7D-4C0D-BFA4-E81C7B1C447E",
        )
    )

    def kind(line: str) -> str:
        path = line.split(" ")[0]
        # The reference parameters of OpenWEC's form instead of Windows' properties: same echo, and Version tells us
        # which edition of a subscription a source follows.
        if "ReferencePro" in path or "ReferencePar" in path:
            return "references"
        # Robust connections, which we do not have ([MS-WSMV] 3.1.4.1.39).
        if path.endswith(("OperationID", "SequenceId")):
            return "robust connections"
        return line

    assert {kind(line) for line in set(shape(captured)) ^ set(shape(ours))} == {"references", "robust connections"}


def test_the_specifications_https_offer_is_read(shared_data: Path) -> None:
    """Its policy stands in another namespace than on the wire; line breaks stand inside values."""
    answer = read_response((shared_data / "captures" / "spec-enumerate-response-https.xml").read_text())

    assert isinstance(answer, EnumerateResponse)
    (offer,) = answer.offers
    assert (offer.profile, offer.issuer) == ("https/mutual", "5600a015ca5e8a26f638b74e819ae92096da5c8c")
    assert (offer.heartbeat, offer.max_elements, offer.query) == (300.0, 5, "dialect")
    # What we would send: the policy in the namespace of the wire, and every option that the sample leaves out.
    assert texts(offered(offer), "//auth:Thumbprint[@Role='issuer']/text()") == [offer.issuer]
    assert texts(offered(offer), "//auth:Authentication/@Profile") == [names.SECURITY_PROFILE + "https/mutual"]


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"s:MustUnderstand"}))
def test_every_fault_is_an_envelope_with_its_own_action_code_and_reason(name: str) -> None:
    """39 rows of [DSP0226] 14.6; the peer goes by the subcode, resolved by its prefix."""
    fault = written(Fault(name))
    prefix = name.partition(":")[0]

    assert texts(fault, "s:Header/a:Action/text()") == [FAULTS[name].action]
    assert texts(fault, "s:Body/s:Fault/s:Code/s:Value/text()") == [FAULTS[name].code]
    (value,) = fault.iterfind("s:Body/s:Fault/s:Code/s:Subcode/s:Value", NAMES)
    assert value.text == name
    # The subcode's namespace is the one whose /fault the action is ([DSP0226] 14.6), but for w:, whose actions differ.
    assert value.nsmap[prefix] in FAULTS[name].action or prefix == "w"
    assert texts(fault, "s:Body/s:Fault/s:Reason/s:Text/text()") == [FAULTS[name].reason]
    answer = read_response(write_envelope(Fault(name), message_id=MESSAGE_ID, relates_to=RELATES_TO), RELATES_TO)
    assert answer == Fault(name, text=FAULTS[name].reason)


def test_there_are_39_faults_and_one_without_a_subcode() -> None:
    """The table is complete: a missing row would be a KeyError in the middle of a refusal."""
    assert len(FAULTS) == 40


def test_a_fault_says_more_when_it_can() -> None:
    """Detail, the element that this fault carries, and a sentence instead of the standard's."""
    text = write_envelope(
        Fault("a:ActionNotSupported", "ActionMismatch", "no <Get> here", extra="http://example/Get"),
        message_id=MESSAGE_ID,
        relates_to=RELATES_TO,
    )

    assert read_response(text) == Fault("a:ActionNotSupported", "ActionMismatch", "no <Get> here", "http://example/Get")
    detail = texts(etree.fromstring(text), "s:Body/s:Fault/s:Detail/a:Action/text()")
    assert detail == ["http://example/Get"]


def test_a_header_that_was_not_understood_is_named() -> None:
    """[DSP0226] 14.3: its qualified name, resolvable where it stands."""
    reply = Fault("s:MustUnderstand", header=("urn:q", "Strange"))
    answer = read_response(write_envelope(reply, message_id=MESSAGE_ID, relates_to=RELATES_TO))

    assert isinstance(answer, Fault)
    assert (answer.name, answer.header) == ("s:MustUnderstand", ("urn:q", "Strange"))


@pytest.mark.parametrize("profiles", [(), (names.MUTUAL_TLS, names.KERBEROS_HTTP)])
def test_identify_tells_profiles_only_when_given(profiles: tuple[str, ...]) -> None:
    """They are for authenticated callers ([MS-WSMV] 3.1.4.1.23)."""
    reply = IdentifyResponse("wef-collector", "1.2.3", profiles)

    assert read_response(write_envelope(reply, message_id=MESSAGE_ID, relates_to=None)) == reply


def test_no_content_has_no_envelope() -> None:
    """204 has no body; whoever asks for one has taken a wrong turn."""
    with pytest.raises(ValueError, match="no envelope"):
        write_envelope(NoContent(), message_id=MESSAGE_ID, relates_to=None)
