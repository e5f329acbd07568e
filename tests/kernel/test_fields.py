"""What the pure kernel reads out of one event, and what it refuses."""

from __future__ import annotations

import pytest

from collector.kernel.fields import LONGEST_PATH, MOST_NESTED, Fields, Unreadable, read_event
from tests.normalize.samples import CLASSIC, RENDERING, event


def test_each_text_and_attribute_of_the_header_has_its_place() -> None:
    """A field read from the wrong place is evidence about the wrong machine."""
    fields = read_event(event())

    assert (fields.provider_name, fields.event_id, fields.version, fields.level) == (
        "Microsoft-Windows-Security-Auditing", "4624", "2", "0",
    )  # fmt: skip
    assert (fields.task, fields.opcode, fields.keywords, fields.record_id) == (
        "12544",
        "0",
        "0x8020000000000000",
        "4711",
    )
    assert (fields.process_id, fields.thread_id, fields.channel) == ("588", "652", "Security")
    assert (fields.computer, fields.time, fields.user_sid) == ("PC07.corp.example", "2026-03-04T05:06:01.1234567Z", "")


def test_a_missing_opcode_is_not_an_empty_one() -> None:
    """Beats name opcode 0 when the element is there, and say nothing when it is not."""
    assert read_event(CLASSIC).opcode is None
    assert read_event("<Event><System><Opcode/></System></Event>").opcode == ""


def test_a_rerendered_event_with_blanks_and_double_quotes_reads_the_same() -> None:
    """Tools that rewrite events indent them; an empty channel must not become a line break."""
    fields = read_event(
        '<?xml version="1.0" encoding="utf-16"?>\n<Event>\n <System>\n  <Channel>\n  </Channel>\n'
        '  <EventID Qualifiers="1">\n 7 </EventID>\n </System>\n</Event>'
    )

    assert (fields.channel, fields.event_id, fields.event_id_qualifiers) == ("", "7", "1")


def test_values_keep_their_blanks_and_their_order() -> None:
    """Detections match on values as they were logged; positions give unnamed ones their names."""
    fields = read_event("<Event><EventData><Data Name='a'>  x </Data><Data/><Binary>0A</Binary></EventData></Event>")

    assert list(fields.event_data) == [("a", "  x "), ("Data", ""), ("Binary", "0A")]


def test_a_value_is_the_elements_own_text_only() -> None:
    """As beats have it: what children say is theirs."""
    fields = read_event("<Event><EventData><Data Name='a'>one<b>two</b>three</Data></EventData></Event>")

    assert list(fields.event_data) == [("a", "onethree")]


def test_user_data_gives_its_first_level_and_what_lies_deeper_apart() -> None:
    """Beats know the first level only; the rest must not be lost (CAPI2, RestartManager, AppLocker)."""
    fields = read_event(
        "<Event><UserData><Root xmlns='x' Kind='k'><A>1</A><B Ref='r'><C>2</C><C>3</C></B></Root></UserData></Event>"
    )

    assert fields.user_data_root == "Root"
    assert list(fields.user_data) == [("A", "1"), ("B", "")]
    assert list(fields.user_data_nested) == [("Kind", "k"), ("B_Ref", "r"), ("B_C", "2"), ("B_C", "3")]


def test_flattening_is_bounded_in_names_and_in_number() -> None:
    """A long name over many leaves would multiply: a few hundred KB must not become gigabytes."""
    name = "N" * 10_000
    fields = read_event(f"<Event><UserData><R><{name}>{'<v>1</v>' * 5000}</{name}></R></UserData></Event>")

    assert len(fields.user_data_nested) <= MOST_NESTED
    assert max(len(path) for path, _ in fields.user_data_nested) <= LONGEST_PATH


def test_rendering_info_is_read_in_whatever_language_it_comes() -> None:
    """Names rendered by the source win over those made of numbers."""
    fields = read_event(event(RENDERING))

    assert (fields.rendered_level, fields.rendered_task, fields.rendered_opcode) == (
        "Informationen",
        "Anmelden",
        "Info",
    )
    assert list(fields.rendered_keywords) == ["Überwachung erfolgreich"]
    assert fields.message.startswith("An account was logged on.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "Start tag"),
        ("no xml at all", "Start tag"),
        ("<Event><System></Event>", "mismatch"),
        ("<Event>\x03</Event>", "PCDATA|Char 0x3|control|Invalid"),
        ("<Events><Event/></Events>", "root element is Events"),
        ("<Event>&nothing;</Event>", "not defined"),
        ("<Event/><Event/>", "Extra content"),
        ("<Event>\ud800</Event>", "surrogate"),
        ("<Event>" + "<a>" * 300, "depth"),
        ("<!DOCTYPE Event [<!ENTITY a 'b'>]><Event/>", "document type"),
        ("\ufeff<?xml version='1.0'?><!-- <Event --><!DOCTYPE Event><Event/>", "document type"),
    ],
)
def test_whatever_is_not_one_event_is_refused_with_a_reason(text: str, reason: str) -> None:
    """Hostile or broken text gives one exception type, whose message can be shown."""
    with pytest.raises(Unreadable, match=reason):
        read_event(text)


def test_the_word_doctype_inside_a_value_is_no_doctype() -> None:
    """A command line may hold anything; refusing it would lose the event."""
    fields = read_event(
        "<?xml version='1.0'?><Event><EventData><Data><![CDATA[<!DOCTYPE x>]]></Data></EventData></Event>"
    )

    assert list(fields.event_data) == [("Data", "<!DOCTYPE x>")]


def test_comments_and_instructions_do_not_cut_a_value_in_two() -> None:
    """Text on both sides of a comment is one value."""
    text = "<Event><!-- a --><EventData><!-- b --><Data Name='a'>x<!-- c -->y<?p q?>z</Data></EventData></Event>"
    fields = read_event(text)

    assert list(fields.event_data) == [("a", "xyz")]


def test_fields_that_an_event_does_not_set_have_quiet_defaults() -> None:
    """A twin in another language fills the same shape; nothing of one event may show in the next."""
    read_event(event())
    fields = read_event("<Event/>")

    assert vars(fields) == {}
    assert (Fields.provider_name, Fields.time, Fields.opcode, Fields.event_data) == ("", None, None, ())


def test_an_event_with_more_tags_than_any_event_has_is_unreadable_before_it_is_parsed() -> None:
    """A parser makes 128 bytes of each. Its text is kept, as that of every event which cannot be read."""
    with pytest.raises(Unreadable, match="tags and attributes"):
        read_event(event().replace("</System>", f"</System>{'<a/>' * 400_000}", 1))
    with pytest.raises(Unreadable, match="tags and attributes"):
        read_event(
            event().replace("<System>", f"<System {' '.join(f'b{n}=' + chr(34) * 2 for n in range(400_000))}>", 1)
        )
