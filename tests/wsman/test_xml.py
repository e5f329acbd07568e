"""The parser's settings: nothing fetched, nothing expanded, everything bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.wsman.xml import ILLEGAL, XmlError, XmlForbidden, alone, escaped, parse, quoted


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE a><a/>",
        "\n<!-- x --><?p i?> <!DOCTYPE a><a/>",
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
        "<!DOCTYPE a [<!ENTITY a0 'ha'><!ENTITY a1 '&a0;&a0;'>]><a b='&a1;'/>",
    ],
)
def test_a_document_type_is_refused_wherever_it_may_stand(text: str) -> None:
    """Entities, external and exploding ones, begin there."""
    with pytest.raises(XmlForbidden, match="document type"):
        parse(text)


def test_the_words_of_a_document_type_in_an_event_are_text() -> None:
    """Events quote what programs wrote, web pages among it."""
    assert parse("<a><![CDATA[<!DOCTYPE html>]]></a>").text == "<!DOCTYPE html>"


def test_an_external_entity_is_never_read(tmp_path: Path) -> None:
    """Not even when somebody takes the check for document types away."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    with pytest.raises(XmlError) as error:
        parse(f"<!DOCTYPE a [<!ENTITY e SYSTEM '{secret.as_uri()}'>]><a>&e;</a>")
    assert "s3cret" not in str(error.value)


def test_depth_is_bounded_to_the_element() -> None:
    """100 levels are taken and 101 are not."""
    assert parse("<a>" * 100 + "</a>" * 100, depth=100).tag == "a"
    for deeper in ("<a>" * 101 + "</a>" * 101, "<a>" * 100 + "<a/>" + "</a>" * 100, "<a>" * 5000 + "</a>" * 5000):
        with pytest.raises(XmlForbidden):
            parse(deeper, depth=100)


def test_a_hostile_prologue_costs_one_pass() -> None:
    """Half a megabyte of comments and openings that never close: refused, and at once (no backtracking)."""
    for part in ("<!-- -->", "<?a ?>", " ", "<?a", "<!--"):
        with pytest.raises(XmlError):
            parse(part * (500_000 // len(part)) + "<!DOCTYPE")


def test_comments_and_instructions_are_gone_and_text_around_them_is_one() -> None:
    """[DSP0226] R13.1-11: they are no reason to refuse."""
    assert parse("<a>x<!-- c -->y<?p i?>z</a>").text == "xyz"


def test_an_element_alone_has_the_namespaces_that_it_uses_and_its_own() -> None:
    """Its own may be used inside a value, where no parser sees it."""
    root = parse('<a xmlns="u:a" xmlns:p="u:p" xmlns:q="u:q"><p:b xmlns:own="u:o" t="own:x"><c/></p:b>tail</a>')

    assert alone(root[0]) == '<p:b xmlns:own="u:o" xmlns:p="u:p" xmlns="u:a" t="own:x"><c/></p:b>'


def test_what_is_written_is_read_back() -> None:
    """In text and attributes; what XML cannot hold is visibly replaced."""
    text = "<&>\"'\t\n]]>\x05\ufffe\ud800é"
    expected = ILLEGAL.sub("\ufffd", text)

    assert parse(f"<a>{escaped(text)}</a>").text == expected
    assert parse(f'<a b="{quoted(text)}"/>').get("b") == expected
