"""Envelopes read without a parser say the same as with one, whatever is made of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.wsman import reader
from collector.wsman.header import EnvelopeError
from collector.wsman.messages import Delivery, Message
from collector.wsman.pieces import ALL, slices
from collector.wsman.reader import read_envelope
from collector.wsman.requests import Speaker, Target, write_events

SESSION, OPERATION = "uuid:981C530F-BE2A-4AAB-BACB-6FB4CD1A14AB", "uuid:C7F39CB2-8FFD-4DA3-A111-CDB303EEA098"
TARGET = Target("http://wec.corp.example:5985/wsman/subscriptions/1", "4DC7C0CB-6C2C-4A46-9F43-F10A7E9C2C11", "V", "R")
BOOKMARK = '<BookmarkList><Bookmark Channel="Security" RecordId="{}" IsCurrent="true"/></BookmarkList>'
HOSTILE = (
    "<", ">", "&amp;", "&", "<a:MessageID>", "</a:MessageID>", "</w:Bookmark>", "<w:Bookmark>", "</m:MachineID>", " ",
    ">uuid:981C530F-BE2A-4AAB-BACB-6FB4CD1A14AB</a:MessageID>", ">x.y</m:MachineID>", "xmlns='urn:x'", "\x05", "\ud800",
    " xmlns:a='urn:x'", "<x/>", "wef-machine-in-the-frame", "uuid:FFFFFFFF-0000-4000-8000-000000000001", "\n", "é",
    f">{BOOKMARK.format(7)}</w:Bookmark>", "<BookmarkList>", 's:mustUnderstand="true"', "<!-- -->", "\"", "'", "",
    ">uuid:FFFFFFFF-0000-4000-8000-000000000002</p:OperationID>", "<p:OperationID>", "PT1S", "</s:Header>",
    "<s:Header>",
)  # fmt: skip


def message(number: int, machine: str = "ws-1.corp.example", bookmark: str | None = None) -> str:
    return write_events(
        Speaker(machine, SESSION),
        TARGET,
        ["<Event>1</Event>", "<Event>2</Event>"],
        bookmark or BOOKMARK.format(number),
        message_id=f"uuid:981C530F-BE2A-4AAB-BACB-{number:012X}",
        operation_id=OPERATION,
    )


def generally(text: str) -> Message | str:
    """Without the memory of frames; an error as its words."""
    try:
        return reader._read(text, slices(text), 100, ALL)
    except EnvelopeError as error:
        return f"{error} {error.fault} {error.relates_to} {error.status}"


def quickly(text: str) -> Message | str:
    try:
        return read_envelope(text)
    except EnvelopeError as error:
        return f"{error} {error.fault} {error.relates_to} {error.status}"


def test_the_next_message_of_a_known_kind_needs_no_parser() -> None:
    """Reading the header was a quarter of what a small batch cost."""
    read_envelope(message(1))
    before = reader._FAMILIAR._frame.cache_info()
    for number in range(2, 50):
        text = message(number, f"pc{number}.corp.example")
        assert quickly(text) == generally(text)
    after = reader._FAMILIAR._frame.cache_info()
    assert after == before


def test_every_value_is_that_of_its_own_message() -> None:
    """A bookmark of another source would make this one lose events."""
    for number in (3, 4):
        found = read_envelope(message(number, f"pc{number}"))
        assert isinstance(found, Delivery)
        assert found.bookmark == BOOKMARK.format(number)
        assert found.header.machine_id == f"pc{number}"
        assert found.header.message_id.endswith(f"{number:012X}")


@pytest.mark.parametrize(
    "bookmark",
    [
        '<BookmarkList xmlns="urn:x"><Bookmark Channel="Security" RecordId="1"/></BookmarkList>',
        '<BookmarkList Direction="backward"><Bookmark Channel="Security" RecordId="1"/></BookmarkList>',
        f"<x/>{BOOKMARK.format(1)}",
        f"words{BOOKMARK.format(1)}",
        f"{BOOKMARK.format(1)}{BOOKMARK.format(2)}",
        "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest",
        "<BookmarkList/>",
    ],
)
def test_an_unusual_bookmark_is_read_as_it_always_was(bookmark: str) -> None:
    text = message(5, bookmark=bookmark)
    assert quickly(text) == generally(text)
    assert quickly(text) == generally(text)  # also when its frame is known


def test_a_session_id_inside_a_bookmark_is_a_part_of_it() -> None:
    """What is cut out of a frame must not come back as something that no source wrote."""
    text = message(6, bookmark=f"<p:SessionId>{SESSION}</p:SessionId>")
    header = text.index("<p:SessionId s:")
    text = text[:header] + text[text.index("<p:OperationID") :]

    assert SESSION in str(getattr(quickly(text), "bookmark", ""))
    assert quickly(text) == generally(text)


@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_message_that_was_tampered_with_is_read_as_it_always_was(seed: int) -> None:
    """Whoever may send a message may send this one; the memory of frames must not be a second reader."""
    dice, text = random.Random(seed), message(seed % 5)
    end = text.index("<w:Events>") + 60
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(end)
        text = text[:at] + dice.choice(HOSTILE) + text[at + dice.choice((0, 0, 1, 8)) :]
    assert quickly(text) == generally(text)
    assert quickly(text) == generally(text)


def test_the_captured_messages_say_the_same(shared_data: Path) -> None:
    for path in sorted((shared_data / "captures").glob("*.xml")):
        text = path.read_bytes().decode("utf-8-sig", "replace")
        assert quickly(text) == generally(text), path.name
        assert quickly(text) == generally(text), path.name


def test_kinds_that_begin_alike_are_not_taken_for_each_other() -> None:
    """Two languages of Windows at one subscription differ behind the place where they are looked up."""
    for number in range(20):
        for language in ("en-US", "de-DE", "fr-FR", "ja-JP", "pt-BR", "x"):
            text = message(number, f"pc{number}").replace("en-US", language)
            assert quickly(text) == generally(text)


def test_what_is_remembered_is_bounded() -> None:
    """A source with a new header in each message must not fill the memory."""
    for number in range(600):
        read_envelope(message(1).replace("<w:AckRequested/>", f"<x{number}/><w:AckRequested/>"))
        read_envelope(message(1).replace("<a:To>", f"<x{number}/><a:To>"))
    assert reader._FAMILIAR._frame.cache_info().currsize <= 256
    assert len(reader._FAMILIAR._layouts) <= 256
    assert all(len(alike) <= 4 for alike in reader._FAMILIAR._layouts.values())


def test_a_frame_beyond_ascii_is_not_remembered() -> None:
    """One letter makes a text four times as large: 60 MB of frames for whoever sends a thousand of 8 KB."""
    before = reader._FAMILIAR._frame.cache_info()
    text = message(1).replace("</m:MachineID>", "</m:MachineID><x>\U0001f600</x>")
    assert quickly(text) == generally(text)
    assert reader._FAMILIAR._frame.cache_info() == before
    assert all(layout.tail.isascii() for known in reader._FAMILIAR._layouts.values() for layout in known)
