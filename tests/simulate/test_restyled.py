"""Re-rendered XML back in the forwarder's byte style."""

from __future__ import annotations

import pytest

from collector.simulate.restyled import restyled


def test_indentation_and_declaration_go_and_empty_elements_get_the_forwarders_forms() -> None:
    """normalization.md 3.1 and 3.2; an empty Channel with a newline in it is a shape that no source sends."""
    rendered = (
        '<?xml version="1.0" encoding="utf-8"?>\n<Event xmlns="urn:e">\n  <System>\n    <Provider Name="T">\n'
        "    </Provider>\n    <Channel>\n    </Channel>\n    <Security>\n    </Security>\n  </System>\n"
        '  <EventData>\n    <Data Name="a">\n    </Data>\n    <Data>b</Data>\n  </EventData>\n</Event>\n'
    )

    assert restyled(rendered) == (
        "<Event xmlns='urn:e'><System><Provider Name='T'/><Channel/><Security/></System>"
        "<EventData><Data Name='a'></Data><Data>b</Data></EventData></Event>"
    )


@pytest.mark.parametrize(
    "value",
    ["  ", "two\r\n\tlines\n  ", "\x05\x00", "%%1538\n\t\t\t\t", " x ", "&lt;Event&gt;", "&#x3;", "]]&gt;", "'\""],
)
def test_values_stay_as_they_are(value: str) -> None:
    """White space, line breaks and illegal characters in data are evidence; only indentation is not."""
    assert (
        restyled(f'<Event>\n  <Data Name="a">{value}</Data>\n</Event>')
        == f"<Event><Data Name='a'>{value}</Data></Event>"
    )


def test_attributes_get_single_quotes_and_keep_what_was_in_them() -> None:
    """A quote in a name must not end the attribute."""
    assert (
        restyled("<a b=\"it's &quot;so&quot; &amp; &lt;\" c='d'>x</a>")
        == "<a b='it&apos;s \"so\" &amp; &lt;' c='d'>x</a>"
    )


@pytest.mark.parametrize(
    ("rendered", "expected"),
    [
        ('<P Guid="54849625-5478-4994-A5BA-3E3B0328C30D"/>', "<P Guid='{54849625-5478-4994-a5ba-3e3b0328c30d}'/>"),
        ('<P Guid="{54849625-5478-4994-A5BA-3E3B0328C30D}"/>', "<P Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/>"),
        ("<Data>54849625-5478-4994-A5BA-3E3B0328C30D</Data>", "<Data>{54849625-5478-4994-a5ba-3e3b0328c30d}</Data>"),
        ("<Data>54849625-5478-4994-a5ba-3e3b0328c30d</Data>", "<Data>54849625-5478-4994-a5ba-3e3b0328c30d</Data>"),
        ("<Data>x 54849625-5478-4994-A5BA-3E3B0328C30D</Data>", "<Data>x 54849625-5478-4994-A5BA-3E3B0328C30D</Data>"),
    ],
)
def test_guids_get_their_braces_and_texts_that_only_look_like_one_do_not(rendered: str, expected: str) -> None:
    """The parser spells a typed GUID bare and in upper case; a program's own text is not ours to change."""
    assert restyled(rendered) == expected


@pytest.mark.parametrize(
    ("rendered", "expected"),
    [
        ("2019-03-18T23:23:52.522462Z", "2019-03-18T23:23:52.5224620Z"),
        ("2019-03-18T23:23:52Z", "2019-03-18T23:23:52.0000000Z"),
        ("2012-03-18T23:23:52.123456789Z", "2012-03-18T23:23:52.1234567Z"),
        ("soon", "soon"),
    ],
)
def test_the_time_has_seven_digits(rendered: str, expected: str) -> None:
    """Windows 10 and Server 2019, the most common senders."""
    assert restyled(f'<TimeCreated SystemTime="{rendered}"/>') == f"<TimeCreated SystemTime='{expected}'/>"


def test_what_is_in_the_forwarders_style_already_is_not_touched() -> None:
    """Else a second pass would drift."""
    text = (
        "<Event><System><Channel/><Security UserID='S-1'/></System><EventData><Data></Data>a<b/>c</EventData></Event>"
    )

    assert restyled(text) == text


def test_cdata_and_comments_are_content_whatever_they_look_like() -> None:
    """A tag in them is no tag."""
    assert restyled('<a>\n  <b><![CDATA[<c d="e">]]></b>\n</a>') == '<a><b><![CDATA[<c d="e">]]></b></a>'


@pytest.mark.parametrize("text", ["<a><b>cut sho", "<a><b", "<a><!-- open", "<a>x</a>y", "no XML"])
def test_what_is_cut_short_stays_so(text: str) -> None:
    """A damaged event is sent as it is, for the collector to keep; nothing is left out in silence."""
    assert restyled(text + "\n") == text


def test_hostile_text_costs_one_pass() -> None:
    """A file from anywhere must not hang the simulator; quadratic matching would take hours over this."""
    for text in ("<a " * 100_000, "<a b='" * 100_000, "<!--" * 100_000, '<a b="c" ' * 100_000, "<" * 300_000):
        assert len(restyled(text)) <= len(text)
