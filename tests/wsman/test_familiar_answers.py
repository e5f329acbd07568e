"""Answers read without a parser say the same as with one, whatever is made of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wsman import answers
from collector.wsman.answer_pieces import cut_items, open_answer
from collector.wsman.answering import write_pull_response
from collector.wsman.answers import Answer, Pulled, read_answer
from collector.wsman.familiar_answers import LAYOUTS, Reader
from collector.wsman.header import EnvelopeError
from collector.wsman.xml import XmlError

CONTEXT = "uuid:05071354-C4AD-4745-AA80-{:012X}"
BOOKMARK = '<BookmarkList><Bookmark Channel="Security" RecordId="{}" IsCurrent="true"/></BookmarkList>'
EVENT = "<Event xmlns='urn:x'><System>1</System></Event>"
HOSTILE = (
    "<", ">", "&amp;", "&", "<a:MessageID>", "</a:MessageID>", "</w:Bookmark>", "<w:Bookmark>", "</a:RelatesTo>", " ",
    ">uuid:981C530F-BE2A-4AAB-BACB-6FB4CD1A14AB</a:MessageID>", "xmlns='urn:x'", "\x05", "\ud800", " xmlns:a='urn:x'",
    ">uuid:981C530F-BE2A-4AAB-BACB-6FB4CD1A14AB</n:EnumerationContext>", "<n:EnumerationContext>", "<n:EndOfSequence/>",
    "<x/>", "wef-channel-in-the-frame", "uuid:FFFFFFFF-0000-4000-8000-00000000000B", "\n", "é", "<!-- -->", "\"", "'",
    "", f">{BOOKMARK.format(7)}</w:Bookmark>", "<BookmarkList>", 's:mustUnderstand="true"', "</s:Header>", "<s:Header>",
    ">uuid:981C530F-BE2A-4AAB-BACB-6FB4CD1A14AB</a:RelatesTo>", "<a:RelatesTo>", "<n:Items>", "</n:Items>", EVENT,
)  # fmt: skip


def request(number: int) -> str:
    return f"uuid:981C530F-BE2A-4AAB-BACB-{number:012X}"


def answer(
    number: int, bookmark: str | None = BOOKMARK, context: str | None = "uuid:05071354-C4AD-4745-AA80-{:012X}"
) -> str:
    return write_pull_response(
        [EVENT, EVENT],
        context and context.format(number),
        bookmark and bookmark.format(number),
        message_id=f"uuid:C7F39CB2-8FFD-4DA3-A111-{number:012X}",
        relates_to=request(number),
    )


def generally(text: str, relates_to: str) -> Answer | str:
    """Without the memory of layouts; an error as its words."""
    try:
        return answers._read(open_answer(text, cut_items(text), 100, 1000), relates_to, 1000)
    except (EnvelopeError, XmlError) as error:
        return str(error).removeprefix("the answer is none that can be believed: ")


def quickly(text: str, relates_to: str) -> Answer | str:
    try:
        return read_answer(text, relates_to, most=1000)
    except EnvelopeError as error:
        return str(error).removeprefix("the answer is none that can be believed: ")


def test_the_next_answer_of_a_known_kind_needs_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading what is around the events cost a third of reading an answer."""
    reader = Reader(answers._framed)
    monkeypatch.setattr(answers, "_FAMILIAR", reader)
    for number in range(2, 50):
        text = answer(number)
        assert quickly(text, request(number)) == generally(text, request(number))
    assert reader.known == 1


@pytest.mark.parametrize("bookmark", [BOOKMARK, None, "<Other>{}</Other>", "{}", "<BookmarkList/>"])
@pytest.mark.parametrize("context", [CONTEXT, None, "context {}", ""])
def test_context_and_bookmark_are_those_of_the_answer(bookmark: str | None, context: str | None) -> None:
    """A bookmark or context of another source would make this one lose events."""
    for number in (3, 4, 3):
        text = answer(number, bookmark, context)
        found = quickly(text, request(number))
        assert found == generally(text, request(number))
        assert isinstance(found, Pulled)
        assert found.sliced


def test_what_answers_another_request_is_refused_by_a_known_layout() -> None:
    """Somebody else's answer in the right form is still somebody else's."""
    read_answer(answer(5), request(5))

    with pytest.raises(EnvelopeError, match="it relates to"):
        read_answer(answer(6), request(5))


def test_too_many_events_are_refused_by_a_known_layout() -> None:
    """The limit comes first."""
    read_answer(answer(5), request(5))

    with pytest.raises(EnvelopeError, match="more than 1 events"):
        read_answer(answer(6), request(6), most=1)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 80), st.sampled_from(HOSTILE)), min_size=1, max_size=3))
@settings(max_examples=400, deadline=None)
def test_whatever_is_done_to_an_answer_it_is_read_alike(changes: list[tuple[int, int, str]]) -> None:
    """A source writes what it likes, and what it wrote before must not change what is read now."""
    text = answer(8)
    for at, gone, added in changes:
        text = text[:at] + added + text[at + gone :]

    assert quickly(text, request(8)) == generally(text, request(8))
    assert quickly(answer(9), request(9)) == generally(answer(9), request(9))


def test_answers_broken_at_their_seams_are_read_alike() -> None:
    """A fixed seed: whoever sees it fail can see it fail again."""
    chance = random.Random(20260306)
    whole = answer(8)
    seams = [place for place, letter in enumerate(whole) if letter in "<>"]
    for _ in range(3000):
        text = whole
        for _ in range(chance.randint(1, 2)):
            at = chance.choice(seams) + chance.randint(0, 1)
            text = text[:at] + chance.choice(HOSTILE) + text[at + chance.choice((0, 0, 1, 41)) :]
        assert quickly(text, request(8)) == generally(text, request(8))


def test_only_so_many_layouts_are_kept() -> None:
    """A source that answers in another form each time costs time, and no memory."""
    reader = Reader(answers._framed)
    for number in range(LAYOUTS + 20):
        cut = cut_items(answer(1).replace("</s:Header>", f"<x>{number}</x></s:Header>"))
        assert cut is not None
        assert reader.said(cut[0], request(1), 100) is not None

    assert reader.known == LAYOUTS


def test_captured_answers_are_read_alike(shared_data: Path) -> None:
    """As Windows sent them, twice: the second time the layout is known."""
    for file in sorted((shared_data / "captures").glob("pull-response*.xml")):
        text = file.read_text(encoding="utf-8")
        relates_to = text.partition("<a:RelatesTo>")[2].partition("<")[0]
        assert quickly(text, relates_to) == quickly(text, relates_to) == generally(text, relates_to)
