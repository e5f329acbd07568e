"""Broken texts: what is mended, what is cut, and that the rest is kept as it came."""

from __future__ import annotations

import pytest

from collector.normalize import harvest
from collector.normalize.gathering import MOST_EXTRA
from collector.normalize.recover import MOST_PIECES, recover, split, visible
from tests.normalize.samples import RENDERING, batch, event


def test_control_characters_are_written_as_six_visible_ones() -> None:
    r"""Beats write \u0003 where XML allows no such character; searches are the same on both."""
    assert (
        visible("a\x03b\x0b\x7f\x85\t\ufffe&#x3;&#8;&#65;") == "a\\u0003b\\u000b\\u007f\x85\t\\ufffe\\u0003\\u0008&#65;"
    )


@pytest.mark.parametrize("reference", ["&#xD800;", "&#0;", "&#x1FFFFF;", "&#xFFFE;"])
def test_a_reference_to_no_character_costs_one_value_and_not_the_event(reference: str) -> None:
    found = harvest(batch(event(f"<EventData><Data Name='a'>x{reference}y</Data></EventData>")))

    assert found.flaws == {"control_characters": 1}
    assert found.fields()[0]["winlog"]["event_data"]["a"].startswith("x\\u")


def test_truncated_rendering_info_is_left_out_and_the_event_kept() -> None:
    """Windows 11 cuts long RenderedText events in the middle of RenderingInfo; the rest is whole."""
    whole = event("<EventData><Data Name='a'>1</Data></EventData>" + RENDERING)
    found = harvest(batch(whole[: whole.index("Subject")]))
    document = found.fields()[0]

    assert found.flaws == {"rendering_truncated": 1}
    assert document["winlog"]["event_data"] == {"a": "1"}
    assert "_rendering_info_truncated" in document["tags"]
    assert "RenderingInfo" in document["error"]["message"]
    assert "message" not in document
    assert found.ids == harvest(batch(whole)).ids, "the whole event and the cut one are one event"


def test_only_the_last_rendering_info_is_left_out() -> None:
    """An event that a relay rendered once more: the first rendering is whole and stays."""
    whole = event(RENDERING + RENDERING)
    document = harvest(batch(whole[: whole.rindex("Subject")])).fields()[0]

    assert document["message"].startswith("An account was logged on.")
    assert "_rendering_info_truncated" in document["tags"]


def test_truncation_elsewhere_keeps_the_text_as_evidence() -> None:
    """No guess: the whole text is there for people, with the reason why it could not be read."""
    text = event()[:-40]
    found = harvest(batch(text))
    document = found.fields()[0]

    assert found.flaws == {"unparsable": 1}
    assert document["event"] == {"kind": "pipeline_error", "original": text}
    assert document["message"] == text
    assert document["@timestamp"] == "2026-03-04T05:06:07.890123Z"
    assert document["error"]["message"]
    assert found.keys[0].time == 0


def test_events_in_one_text_each_get_a_row_and_what_follows_does_too() -> None:
    """One w:Event with several events: dropping the others would be loss nobody counts."""
    first, second = event(), event(record="<EventRecordID>4712</EventRecordID>")
    found = harvest(batch(first + "\n" + second + " and more"))

    assert found.texts == [first, second, "and more"]
    assert found.flaws == {"several_events": 3, "unparsable": 1}
    assert len(set(found.ids)) == 3


def test_one_bad_event_spoils_no_other() -> None:
    """The batch is acknowledged as a whole, so each event must stand alone."""
    found = harvest(batch(event(), "garbage", event(record="<EventRecordID>2</EventRecordID>")))

    assert [document["event"]["kind"] for document in found.fields()] == ["event", "pipeline_error", "event"]


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    """Broken UTF-16 is frequent in the field; whoever decodes leniently must not stop us."""
    found = harvest(batch(event("<EventData><Data Name='a'>x\ud83dy</Data></EventData>")))

    assert found.flaws == {"surrogates": 1}
    assert found.fields()[0]["winlog"]["event_data"] == {"a": "x\ufffdy"}
    assert "\ufffd" in found.texts[0]


def test_a_doctype_is_kept_as_text_and_never_expanded() -> None:
    """Entities are how XML attacks; the event becomes an error document at the price of its length."""
    text = "<!DOCTYPE Event [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><Event><System>&b;</System></Event>"
    document = harvest(batch(text)).fields()[0]

    assert document["event"]["kind"] == "pipeline_error"
    assert "document type" in document["error"]["message"]


def test_a_nested_event_element_does_not_split_its_parent() -> None:
    text = "<Event><System/><Event></Event></Event>"
    assert split(text + text) == [text, text]
    assert split("<Event/><Event/>") == ["<Event/>", "<Event/>"]


def test_an_end_tag_in_cdata_is_no_end() -> None:
    text = "<Event><![CDATA[</Event>]]><!-- </Event> --></Event>"
    assert split(text + text) == [text, text]


def test_a_text_of_nothing_but_empty_events_does_not_become_millions() -> None:
    """Eight bytes would otherwise become a document of seven hundred."""
    pieces = recover("<Event/>" * 100_000)

    assert len(pieces) == MOST_PIECES + 1
    assert sum(len(piece.text) for piece in pieces) == 800_000


def test_a_batch_of_such_texts_does_not_either() -> None:
    """The limit of events in a batch counts texts: without a bound of its own, one body would take all memory."""
    found = harvest(batch(*["<Event/>" * 1000] * 40))

    assert len(found) == 40 + MOST_EXTRA
    assert "".join(found.texts) == "<Event/>" * 40_000


@pytest.mark.parametrize(
    "unit", ["<![CDATA[", "<!--", "<Event ", '<Event "', "</Event ", "<Event>", "&#x", "<?", "<RenderingInfo", "\x03"]
)
def test_hostile_repetition_costs_no_more_than_its_length(unit: str) -> None:
    """Quadratic work on one text would stop the whole collector; at this size it would take minutes."""
    assert len(harvest(batch(unit * (400_000 // len(unit))))) >= 1
