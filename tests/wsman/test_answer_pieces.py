"""What was pulled is read the same whether it is cut or parsed, and one broken event costs no other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from collector.wsman import names
from collector.wsman.answer_pieces import cut_items, open_answer
from collector.wsman.answering import write_pull_response
from collector.wsman.pieces import Hidden, Opened
from collector.wsman.xml import XmlError
from tests.wsman.spoken import BOOKMARK, EVENT, MESSAGE_ID

CONTEXT = "uuid:66666666-0000-4000-8000-000000000006"
OTHER = EVENT.replace("EventID>7", "EventID>8")
DEPTH, MOST = 100, 1000


def answer(*events: str, cdata: bool = False) -> str:
    return write_pull_response(events, CONTEXT, BOOKMARK, message_id=MESSAGE_ID, relates_to=MESSAGE_ID, cdata=cdata)


def slow(text: str) -> str:
    """*text* with a namespace that the fast way does not know how to look for."""
    return text.replace("<s:Envelope", '<s:Envelope xmlns:slow="urn:slow"', 1)


def opened_of(text: str, most: int) -> Opened:
    return open_answer(text, cut_items(text), DEPTH, most)


def pieces(text: str, most: int = MOST) -> Sequence[str]:
    return opened_of(text, most).pieces


def plain(piece: str) -> str:
    """The canonical form of *piece*, or what it is when it has none: the parsed way quotes as the parser does."""
    hidden = Hidden(piece)
    try:
        element = etree.fromstring(hidden.text.encode())
    except (etree.XMLSyntaxError, UnicodeEncodeError):
        return piece
    try:
        return hidden.reveal(etree.tostring(element, method="c14n").decode())
    except etree.C14NError:  # a namespace that is no absolute URI
        return hidden.reveal(etree.tostring(element, encoding="unicode"))


def test_the_form_of_windows_is_cut_and_its_bytes_are_kept() -> None:
    """A raw archive shall hold what the source sent, quotes and all."""
    opened = opened_of(answer(EVENT, OTHER), MOST)

    assert opened.sliced
    assert opened.pieces == [EVENT, OTHER]


def test_blanks_between_events_are_no_part_of_them() -> None:
    """Whoever indents an answer does not change it."""
    opened = opened_of(answer(f"\r\n  {EVENT}\n\t", OTHER), MOST)

    assert opened.sliced
    assert opened.pieces == [EVENT, OTHER]


def test_parsed_events_are_the_same_events() -> None:
    """Only the spelling may differ."""
    opened = opened_of(slow(answer(EVENT, OTHER)), MOST)

    assert not opened.sliced
    assert [plain(piece) for piece in opened.pieces] == [plain(EVENT), plain(OTHER)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<System>", "<!-- </Event> --><System>"),
        ("<System>", "<?x </Event> ?><System>"),
        ("x</Data>", "<![CDATA[</Event>]]></Data>"),
        ("<System>", "<s:Thing/><System>"),
        ("<Data ", "<Data s:role='x' "),
        ("<System>", "<Event xmlns='urn:inner'></Event><Event xmlns='urn:inner'></Event><System>"),
        ("<System>", "<Event/><System>"),
    ],
)
def test_what_could_hide_a_tag_or_need_the_envelope_is_never_cut(old: str, new: str) -> None:
    """The cut must be exact: an attacker writes what he likes into an event."""
    text = answer(EVENT.replace(old, new), OTHER)

    assert cut_items(text) is None
    assert len(pieces(text)) == 2
    assert all(etree.fromstring(piece).tag == f"{{{names.EVENT}}}Event" for piece in pieces(text))


@pytest.mark.parametrize(
    "trick",
    [
        "<n:Items></n:Items>",
        "<x>:Items</x>",
        "<!-- <n:Items> -->",
    ],
)
def test_events_are_never_found_in_the_header(trick: str) -> None:
    """Another place than a parser looks at would be another answer."""
    text = answer(EVENT).replace("</s:Header>", f"{trick}</s:Header>")

    assert cut_items(text) is None
    assert len(pieces(text)) == 1


def test_items_of_another_namespace_are_not_cut() -> None:
    """The prefix n is only a prefix."""
    text = answer(EVENT).replace(f'xmlns:n="{names.ENUMERATION}"', 'xmlns:n="urn:else"')

    assert not opened_of(text, MOST).pieces


SNIPPETS = (
    "<", ">", "</Event>", "<Event xmlns='x'>", "<Event>", "<Event/>", "</Event><Event xmlns='", "&bogus;", "&amp;", "'",
    '"', "]]>", "<![CDATA[", "<!--", "-->", "<?x ?>", "<s:y/>", " s:y='1'", "<a:b>", "</n:Items>", "<n:Items>",
    "</n:PullResponse>", "\x05", "&#5;", "\r\n", "\r", "\U000f0000", "<Data/>", "é", " ", "\n", "<n:EndOfSequence/>",
)  # fmt: skip
TEXT = answer(EVENT, f"{OTHER}\n ", EVENT.replace("x</Data>", "c:\\a s:b &lt; =</Data>"))


@given(
    st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 6), st.sampled_from(SNIPPETS)), min_size=1, max_size=3)
)
@example([(TEXT.index("</Event>"), 8, "")])
@example([(TEXT.index("<System>"), 0, "<Data q='")])
@settings(max_examples=400, deadline=None)
def test_cut_and_parsed_are_the_same_whatever_is_done_to_the_text(changes: list[tuple[int, int, str]]) -> None:
    """Where the fast way is taken it reads what the general one reads, however broken the text."""
    text = TEXT
    for at, gone, added in changes:
        text = text[:at] + added + text[at + gone :]
    try:
        fast = opened_of(text, MOST)
    except XmlError:
        return
    if not fast.sliced:
        return
    parsed = opened_of(slow(text), MOST)

    assert not parsed.sliced
    assert [plain(piece) for piece in fast.pieces] == [plain(piece) for piece in parsed.pieces]


@pytest.mark.parametrize("wanted", ["&bogus;", "<Data>", "</System>", "a < b", "\x05<"])
def test_a_broken_event_costs_no_other(wanted: str) -> None:
    """It is delivered as what it is; else the source would be asked for it again for ever."""
    broken = EVENT.replace("x</Data>", f"{wanted}</Data>")

    for text in (answer(EVENT, broken, OTHER), slow(answer(EVENT, broken, OTHER))):
        assert [plain(piece) for piece in pieces(text)] == [plain(EVENT), broken, plain(OTHER)]


@pytest.mark.parametrize("character", ["\x05", "&#5;", "\ufffe", "&#xFFFF;"])
def test_a_character_that_xml_cannot_hold_stays_in_its_event(character: str) -> None:
    """Windows logs what programs hand it."""
    event = EVENT.replace("x</Data>", f"{character}</Data>")

    assert list(pieces(answer(event, OTHER))) == [event, OTHER]
    assert character in pieces(slow(answer(event, OTHER)))[0]


def test_events_as_text_are_cut_apart() -> None:
    """With the CDATA option several may come in one text; nobody has seen it yet (protocol.md 17)."""
    assert list(pieces(answer(EVENT, OTHER, cdata=True))) == [EVENT, OTHER]
    assert list(pieces(answer(f"{EVENT}\n {OTHER}", cdata=True))) == [EVENT, OTHER]


@pytest.mark.parametrize("text", ["no event", "<Event><Event></Event></Event><Event></Event>", "<Event></Event> x"])
def test_a_text_that_cannot_be_cut_surely_stays_whole(text: str) -> None:
    """Too few pieces are better than wrong ones: it is kept, and shown as what it is."""
    assert list(pieces(answer(text, cdata=True))) == [text]


def test_events_in_a_wrapper_are_taken_out() -> None:
    """As in push mode."""
    wrapped = "".join(f'<w:Event Action="{names.EVENT_ITEM}"><![CDATA[{event}]]></w:Event>' for event in (EVENT, OTHER))

    assert list(pieces(answer(wrapped))) == [EVENT, OTHER]


def test_a_broken_wrapper_costs_no_other_event() -> None:
    """The third way, for the form of push mode."""
    wrapped = f"<w:Event>{EVENT}</w:Event><w:Event><a>&bogus;</w:Event><w:Event>{OTHER}</w:Event>"

    assert [plain(piece) for piece in pieces(answer(wrapped))] == [plain(EVENT), "<a>&bogus;", plain(OTHER)]


def test_markers_are_no_events() -> None:
    """A DroppedEvents total is told, a heartbeat is nothing."""
    heartbeat = f'<w:Event Action="{names.HEARTBEAT}"/><w:Heartbeat/>'
    marker = f'<w:DroppedEvents Action="{names.EVENT_ITEM}">7</w:DroppedEvents>'
    namespaced = f'<w:Event w:Action="{names.DROPPED_EVENTS}">9</w:Event>'
    opened = opened_of(answer(heartbeat, EVENT, marker, namespaced), MOST)

    assert [plain(piece) for piece in opened.pieces] == [plain(EVENT)]
    assert opened.dropped == 9


def test_an_event_takes_the_namespaces_along_that_it_uses() -> None:
    """A prefix declared on the envelope and used in the event would be undefined alone."""
    (piece,) = pieces(answer(EVENT.replace("<System>", "<w:thing/><System>")))

    assert etree.fromstring(piece)[0].tag == f"{{{names.WSMAN}}}thing"
    assert names.SOAP not in piece


@pytest.mark.parametrize("slowly", [False, True])
def test_no_more_events_are_taken_out_than_allowed_and_one(slowly: bool) -> None:
    """One more is what shows that there are too many; the parsed ones cost."""
    text = answer(*[EVENT] * 50)

    assert len(pieces(slow(text) if slowly else text, most=10)) > 10
    assert len(pieces(slow(text), most=10)) == 11


def test_namespaces_around_the_events_are_bounded() -> None:
    """Each event that is taken alone writes them again: a small answer would become gigabytes."""
    many = "".join(f' xmlns:n{i}="urn:{i:0>20}"' for i in range(1000))
    text = answer(*['<Event xmlns="u"/>'] * 1000).replace("<n:PullResponse>", f"<n:PullResponse{many}>")

    with pytest.raises(XmlError, match="namespaces"):
        opened_of(text, MOST)


@pytest.mark.parametrize("letter", ['"', "&#9;", "&gt;"])
def test_an_event_that_is_longer_when_it_is_written_again_is_taken(letter: str) -> None:
    """Three megabytes of quotes are eighteen of references, more than the parser takes: no reason to stop reading."""
    text = answer(f"<Event xmlns='u' a='{letter * 2_000_000}'/>", "<Event xmlns='u'/>")

    first, second = pieces(slow(text))
    assert first.startswith("<Event ")
    assert len(first) > 2_000_000
    assert second.startswith("<Event ")


def test_a_document_type_is_refused() -> None:
    """Nothing is expanded, nothing is fetched."""
    with pytest.raises(XmlError, match="DOCTYPE"):
        opened_of("<!DOCTYPE x [<!ENTITY a 'b'>]>" + answer(EVENT), MOST)


def test_line_ends_are_those_of_an_xml_parser() -> None:
    """CR LF and CR are LF (XML 1.0, 2.11), in the fast way as in the slow one."""
    event = EVENT.replace("x</Data>", "1\r\n2\r3\n4</Data>")
    expected = EVENT.replace("x</Data>", "1\n2\n3\n4</Data>")

    assert list(pieces(answer(event))) == [expected]
    assert [plain(piece) for piece in pieces(slow(answer(event)))] == [plain(expected)]
