"""Every event of a batch stands alone, whatever its form and however broken its neighbours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from collector.wsman import names
from collector.wsman.messages import Delivery, Fault
from collector.wsman.payload import open_payload
from collector.wsman.pieces import slices
from collector.wsman.reader import EnvelopeError, read_envelope
from collector.wsman.requests import write_events
from collector.wsman.xml import BLANKS
from tests.wsman.spoken import BOOKMARK, EVENT, MESSAGE_ID, SPEAKER, TARGET, batch, envelope


def delivery(text: str) -> Delivery:
    message = read_envelope(text)
    assert isinstance(message, Delivery)
    return message


def windows(*events: str) -> str:
    return write_events(SPEAKER, TARGET, events, BOOKMARK, message_id=MESSAGE_ID)


@pytest.mark.parametrize(
    "item",
    [
        f"<![CDATA[{EVENT}]]>",
        f"\n  <![CDATA[{EVENT}]]>\r\n ",
        EVENT.replace("&", "&amp;").replace("<", "&lt;"),
        EVENT.replace("<", "<![CDATA[<]]>"),
    ],
)
def test_cdata_and_escaped_text_are_the_same_event(item: str) -> None:
    """With the CDATA option or without, indented or not; none of it is part of the event."""
    assert delivery(batch(item, item)).pieces == [EVENT, EVENT]


def test_an_event_as_child_element_stands_alone() -> None:
    """It keeps its own namespace, and takes none of the envelope's along."""
    child = f'<Event xmlns="{names.EVENT}"><System><EventID>7</EventID></System></Event>'
    pieces = delivery(batch(child, f" {child} ")).pieces

    assert pieces == [child, child]


def test_a_child_event_takes_the_namespaces_along_that_it_uses() -> None:
    """A prefix declared on the envelope and used in the event would be undefined alone."""
    child = f'<Event xmlns="{names.EVENT}"><UserData><WS:thing/></UserData></Event>'
    (piece,) = delivery(batch(child)).pieces

    assert etree.fromstring(piece)[0][0].tag == f"{{{names.WSMAN}}}thing"
    assert names.SOAP not in piece


@pytest.mark.parametrize("item", ["", "  \n", "<![CDATA[]]>"])
def test_an_empty_event_is_an_empty_piece(item: str) -> None:
    """It was sent, so it is counted: the batch has as many pieces as events."""
    assert delivery(batch(f"<![CDATA[{EVENT}]]>", item)).pieces == [EVENT, ""]


def test_two_events_in_one_element_are_two_pieces() -> None:
    """Nobody sends it; were they one piece, one of them would be lost on the way."""
    assert len(delivery(batch('<Event xmlns="u"/><Event xmlns="u"/>')).pieces) == 2


def test_namespaces_around_many_children_of_one_event_are_refused() -> None:
    """Each child taken alone repeats them: 80 KB would hold up every source for ten seconds, a megabyte for minutes."""
    declared = " ".join(f'xmlns:n{number}="urn:{"x" * 50}"' for number in range(1000))

    with pytest.raises(EnvelopeError) as refused:
        read_envelope(envelope(names.EVENTS, f"<WS:Events><WS:Event {declared}>{'<a/>' * 3000}</WS:Event></WS:Events>"))

    assert refused.value.fault == Fault("w:SchemaValidationError")


@pytest.mark.parametrize("item", ["<WS:Event>" + "<a/>" * 50 + "</WS:Event>", "<WS:Event><a/></WS:Event>" * 50])
def test_a_batch_with_too_many_events_is_not_taken_apart_to_its_end(item: str) -> None:
    """Four million children fit into one body; one more than allowed is all that it takes to refuse them."""
    text = envelope(names.EVENTS, f"<WS:Events>{item}</WS:Events>")

    message = read_envelope(text, most=7)

    assert isinstance(message, Delivery)
    assert len(message.pieces) == 8
    assert len(delivery(text).pieces) == 50


@pytest.mark.parametrize("where", ["header", "event"])
def test_more_tags_than_any_envelope_has_are_refused_before_they_are_parsed(where: str) -> None:
    """A parser makes 128 bytes of each: a body of 16 MiB would cost half a gigabyte and seconds for everybody."""
    tags = "<a/>" * 400_001
    text = windows(EVENT)
    if where == "header":
        text = text.replace("<s:Header>", f"<s:Header>{tags}", 1)
    else:
        text = text.replace("</w:Events>", f"<w:Event>{tags}</w:Event></w:Events>", 1)
    assert len(text) > 1_600_000

    with pytest.raises(EnvelopeError, match="outside of CDATA") as caught:
        read_envelope(text)
    assert caught.value.fault is not None


def test_as_many_tags_in_the_events_own_texts_are_no_concern_of_the_envelope() -> None:
    """They stand in CDATA, so they are text until each event is read alone."""
    text = windows(*[f"<Event>{'<a/>' * 100_000}</Event>"] * 5).replace("<w:Events>", "<w:Events> ", 1)

    found = delivery(text)
    assert (len(found.pieces), found.sliced) == (5, False)


def test_text_beside_a_child_is_kept() -> None:
    """What it means is unknown; that it was sent is evidence."""
    assert delivery(batch("half <b/> an &amp; event")).pieces == ["half <b/> an &amp; event"]


def test_a_dropped_events_marker_is_a_total_and_no_event() -> None:
    """[DSP0226] 10.9: a running total, so the newest counts."""
    marker = '<WS:Event Action="{0}"><WS:DroppedEvents Action="{1}"> {2} </WS:DroppedEvents></WS:Event>'
    items = "".join(
        (
            f'<WS:Event Action="{names.EVENT_ITEM}"><![CDATA[{EVENT}]]></WS:Event>',
            marker.format(names.DROPPED_EVENTS, names.EVENT_ITEM, 3),
            f'<WS:Event Action="{names.EVENT_ITEM}"><![CDATA[{EVENT}]]></WS:Event>',
            marker.format(names.DROPPED_EVENTS, names.EVENT_ITEM, 7),
            marker.format(names.DROPPED_EVENTS, names.EVENT_ITEM, "many"),
        )
    )
    message = delivery(envelope(names.EVENTS, f"<WS:Events>{items}</WS:Events>"))

    assert message.pieces == [EVENT, EVENT]
    assert message.dropped == 7


def test_the_simulators_marker_is_read() -> None:
    """Windows' own prefixes, events sliced or not."""
    text = write_events(SPEAKER, TARGET, [EVENT], None, message_id=MESSAGE_ID, dropped=12)
    message = delivery(text)

    assert (message.pieces, message.dropped, message.bookmark) == ([EVENT], 12, None)


@pytest.mark.parametrize("illegal", ["\x05", "\x00", "\x1f", "\ufffe", "\uffff"])
def test_a_character_that_xml_cannot_hold_survives_in_its_own_event(illegal: str) -> None:
    """Sliced or parsed, the piece has it to the letter, and the neighbours have nothing of it."""
    odd = EVENT.replace("x</Data>", f"x{illegal}y\U000f0000</Data>")

    for text in (windows(EVENT, odd, EVENT), batch(*(f"<![CDATA[{event}]]>" for event in (EVENT, odd, EVENT)))):
        assert delivery(text).pieces == [EVENT, odd, EVENT]


@pytest.mark.parametrize("reference", ["&#x3;", "&#3;", "&#0;", "&#xFFFE;", "&#xD800;", "&#x110000;", "&#99999999999;"])
def test_a_reference_to_no_character_survives_as_it_was_spelled(reference: str) -> None:
    """The outer parser would refuse the whole batch for it."""
    event = f'<Event xmlns="u">a{reference}b&#10;c</Event>'

    assert delivery(batch(event, f"<![CDATA[{event}]]>")).pieces == [event.replace("&#10;", "\n"), event]


def test_an_illegal_character_in_the_header_does_not_fail_the_batch() -> None:
    """A bookmark is written into XML again, so there it becomes U+FFFD."""
    header = '<WS:Bookmark><BookmarkList a="&#x5;\x06"/></WS:Bookmark><EV:Identifier>a\x07b</EV:Identifier>'
    message = delivery(batch(f"<![CDATA[{EVENT}]]>", header=header))

    assert message.pieces == [EVENT]
    assert message.bookmark == '<BookmarkList a="\ufffd\ufffd"/>'
    assert message.header.identifier == "a\ufffdb"


@pytest.mark.parametrize(
    "broken",
    [
        "<Event><RenderingInfo><Message>cut",
        "<Event>&nbsp;</Event>",
        "a ]]> b",
        "<p:Event/>",
        "<Event a=b/>",
        "x < y",
    ],
)
def test_a_broken_child_event_does_not_fail_its_neighbours(broken: str) -> None:
    """Sent as child XML, it makes the whole envelope unreadable; refused, the source would send it for ever."""
    child = f'<Event xmlns="{names.EVENT}"><System/></Event>'
    header = "<EV:Identifier>sub</EV:Identifier>"
    message = delivery(batch(child, broken, f"<![CDATA[{EVENT}]]>", "", header=header))

    assert message.pieces == [child, broken, EVENT, ""]
    assert message.header.identifier == "sub"


def test_what_is_beyond_repair_in_the_rest_of_the_envelope_is_refused() -> None:
    """The rescue is for events; a header that cannot be read says nothing about whose they are."""
    with pytest.raises(EnvelopeError) as error:
        read_envelope(batch("<broken", header="<also broken"))
    assert error.value.fault == Fault("w:SchemaValidationError")


def test_line_ends_become_what_an_xml_parser_makes_of_them() -> None:
    """CR LF and CR are LF (XML 1.0, 2.11), in the fast way as in the slow one."""
    event = EVENT.replace("x</Data>", "1\r\n2\r3\n4\t5</Data>")
    expected = EVENT.replace("x</Data>", "1\n2\n3\n4\t5</Data>")

    assert delivery(windows(event)).pieces == [expected]
    assert delivery(batch(f"<![CDATA[{event}]]>")).pieces == [expected]


@pytest.mark.parametrize(
    "event", ["a ]]> b", "]]>", "]]></w:Event>", "<w:Events></w:Events>", "</w:Events>", "<![CDATA[", "]]]]>>"]
)
def test_an_event_that_looks_like_the_envelope_is_still_one_event(event: str) -> None:
    """The slice must be exact: an attacker writes what he likes into an event."""
    message = delivery(windows(EVENT, event, EVENT))

    assert message.pieces == [EVENT, event, EVENT]


@pytest.mark.parametrize(
    "trick",
    [
        "<!-- <w:Events>",
        "<?x <w:Events>",
        "<a:To><![CDATA[<w:Events>]]></a:To>",
    ],
)
def test_a_slice_is_never_found_in_a_comment_or_a_header(trick: str) -> None:
    """It would read the events of another place than a parser does."""
    text = windows(EVENT)
    tricked = text.replace("</s:Header>", f"{trick}</s:Header>")

    assert slices(text) is not None
    assert slices(tricked) is None


def test_the_events_of_another_namespace_are_not_sliced() -> None:
    """The prefix w is only a prefix."""
    text = windows(EVENT).replace(f'xmlns:w="{names.WSMAN}"', 'xmlns:w="urn:else"')

    with pytest.raises(EnvelopeError):
        read_envelope(text)


def test_namespaces_around_the_events_are_bounded() -> None:
    """Each event that is taken alone writes them again: a small message would become gigabytes."""
    many = "".join(f' xmlns:n{i}="urn:{i:0>20}"' for i in range(1000))
    text = batch(*['<Event xmlns="u"/>'] * 1000).replace("<WS:Events>", f"<WS:Events{many}>")

    with pytest.raises(EnvelopeError, match="namespaces"):
        read_envelope(text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=6))
@settings(max_examples=150, deadline=None)
def test_sliced_and_parsed_give_the_same_pieces(events: list[str]) -> None:
    """The fast way may differ in nothing but speed, and in the white space around an event."""
    text = windows(*events)
    fast, slow = delivery(text), delivery(text.replace("</w:Events></s:Body>", "</w:Events><!-- slow --></s:Body>"))

    assert not slow.sliced
    assert [piece.strip(BLANKS) for piece in fast.pieces] == list(slow.pieces)
    assert len(fast.pieces) == len(events)


def test_an_event_with_letters_beyond_ascii_in_its_names_stands_alone() -> None:
    """Found by a mutation: its copy was spelled in ASCII, and a name cannot hold a reference."""
    event = "<Événement><Größe ä='1'>x</Größe></Événement>"

    assert [piece.replace('"', "'") for piece in delivery(batch(event)).pieces] == [event]


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-8"])
@pytest.mark.parametrize(
    "text",
    [
        windows(EVENT, EVENT),
        windows(EVENT.replace("x</Data>", "é\r\n\U0001f600\x05]]</Data>"), EVENT, ""),
        windows(),
        windows("a]]>b", EVENT),
        batch(f"<![CDATA[{EVENT}]]>", header="<x>\x07</x>"),
        batch(EVENT.replace("&", "&amp;").replace("<", "&lt;")),
        envelope(names.HEARTBEAT, ""),
    ],
)
def test_a_body_is_the_message_that_its_text_is(text: str, charset: str) -> None:
    """Whichever kernel holds its letters, and in whatever form it came."""
    payload = open_payload(
        text.encode(charset), f"application/soap+xml;charset={charset.replace('16-', '16')}", "", 1 << 20
    )

    for _ in range(2):  # the second time its frame is known
        assert read_envelope(payload.content) == read_envelope(text)
