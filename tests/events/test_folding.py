"""Claims about case beyond ASCII: what people mean by it is found, and what decides about that is complete."""

from __future__ import annotations

import re
import string
import sys
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.events.filters import Glob, SearchQuery, parse_query
from collector.events.folding import ALIKE, FOLDING, Folding
from collector.events.matching import MAYBE, NO, YES, DocumentFilter

EVERY_LETTER = [chr(number) for number in range(0x80, sys.maxunicode + 1) if not 0xD800 <= number < 0xE000]
LETTERS = FOLDING + "".join(ALIKE) + "\u0307\u02bcaefhijklnstwyAFHIJKLNSTWY-1"
texts = st.text(LETTERS, max_size=6)


def test_the_letters_that_fold_into_ascii_are_all_known() -> None:
    """One that is missing hides an event from a search, and nobody would know."""
    found = "".join(letter for letter in EVERY_LETTER if re.search("[a-z]", letter.casefold()))

    assert found == FOLDING


def test_the_letters_that_an_expression_takes_for_ascii_are_all_known() -> None:
    """Globs are expressions without regard to case, and Python's know a dotless i."""
    alike = re.compile(f"[{string.ascii_letters}]", re.IGNORECASE)
    taken = {letter for letter in EVERY_LETTER if alike.match(letter)}

    assert taken == {letter for letter in FOLDING if len(letter.casefold()) == 1} | set(ALIKE)


@pytest.mark.parametrize(
    ("word", "value"),
    [("strasse", "Hauptstraße 1"), ("STRASSE", "straße"), ("Straße", "STRASSE"), ("kelvin", "273 \u212aelvin"),
     ("file", "a \ufb01le"), ("sabc", "ßabc"), ("user", "u\u017fer"), ("müller", "MÜLLER")],
)  # fmt: skip
def test_a_word_is_found_however_its_case_is_written(word: str, value: str) -> None:
    """Somebody who types on an American keyboard looks for a machine in Hauptstraße."""
    asked = DocumentFilter(SearchQuery(text=(word,)))
    document = orjson.dumps({"a": "x"}) + b"\n" + orjson.dumps({"a": value})

    marks = asked.marks(document)

    assert marks[0] == NO
    assert marks[1] == YES or (marks[1] == MAYBE and asked.matches(document.split(b"\n")[1]))


@given(st.lists(st.dictionaries(st.sampled_from("ab"), texts), min_size=1, max_size=3), texts.filter(bool))
@example([{"a": "\u0130"}], "i\u0307")
@example([{"a": "\u0131"}], "i")
def test_a_look_at_the_bytes_finds_a_word_where_the_values_hold_it_and_only_there(
    documents: list[dict[str, str]], word: str
) -> None:
    """The slow truth folds every value whole."""
    asked = DocumentFilter(SearchQuery(text=(word,)))
    lines = [orjson.dumps(document) for document in documents]
    marks = asked.marks(b"\n".join(lines))

    for number, (document, line) in enumerate(zip(documents, lines, strict=True)):
        mark = marks[number] if number < len(marks) else NO
        truth = any(word.casefold() in value.casefold() for value in document.values())
        assert (mark == YES or (mark == MAYBE and asked.matches(line))) == truth


@given(texts, texts.filter(bool))
@example("\u0130x", "ix")
@example("\u0131x", "Ix")
def test_a_look_at_the_bytes_turns_no_field_away_that_its_glob_takes(value: str, pattern: str) -> None:
    """The bytes are asked first; they may say too much, never too little."""
    query = SearchQuery(field=(("a", pattern),), user=(pattern,))
    document = {"a": value, "winlog": {"user": {"name": value}}}
    asked = DocumentFilter(query)

    assert asked.matches(orjson.dumps(document)) == Glob([pattern]).match(value)


@pytest.mark.parametrize(
    ("pattern", "text", "taken"),
    [("strasse*", "Straße 1", True), ("straße*", "STRASSE 1", True), ("stra?e", "Straße", True),
     ("*\u212a*", "ok", True), ("pc-0?", "PC-01", True), ("pc-0?", "PC-011", False), ("straße", "strase", False)],
)  # fmt: skip
def test_globs_have_no_regard_to_case_in_any_script(pattern: str, text: str, taken: bool) -> None:
    """What was typed and what was folded are both tried: ? stands for the ß that is there, not for half of it."""
    assert Glob([pattern]).match(text) is taken


def test_only_letters_that_could_take_part_are_spelled_out() -> None:
    """Each costs a walk through half a megabyte."""
    assert not Folding(["10.2.17."])._pairs
    assert [old.decode() for old, _ in Folding(["powershell.exe"])._pairs] == ["\u017f"]


def test_words_reach_the_filter_as_they_were_typed() -> None:
    query = parse_query(datetime(2026, 1, 1, tzinfo=UTC), text=["Straße MÜNCHEN"])

    assert query.text == ("Straße", "MÜNCHEN")
