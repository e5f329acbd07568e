"""Claims about asking a document's bytes before its values: quicker, and never another answer."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from collector.events.filters import SearchQuery
from collector.events.matching import MAYBE, NO, YES, DocumentFilter

ALPHABET = 'nuabNU10.:\\"\n\t\x1f\u00e9 {}[],-_/'
"""Letters of escapes (``\\\\n``, ``\\\\u001f``), of JSON itself, and few enough that words meet by chance."""

texts = st.text(ALPHABET, max_size=8)
values = st.recursive(
    st.one_of(texts, st.integers(-10, 1010), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
documents = st.dictionaries(texts, values, max_size=4)
words = st.text('nuabNU10.:\\"\u00e9-_', min_size=1, max_size=4)


def as_found(document: Any, wanted: list[str]) -> bool:
    """The slow truth: every word occurs in some value, whatever the case."""
    return all(any(word.casefold() in text.casefold() for text in said(document)) for word in wanted)


def said(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in said(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in said(inner)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [] if value is None else [str(value)]


@given(st.lists(documents, min_size=1, max_size=6), st.lists(words, min_size=1, max_size=2))
def test_a_look_at_the_bytes_agrees_with_the_values(found: list[dict[str, Any]], wanted: list[str]) -> None:
    """YES where a value says otherwise would show what was not asked for; NO would hide what was."""
    asked = DocumentFilter(SearchQuery(text=tuple(wanted)))
    lines = [orjson.dumps(document) for document in found]

    marks = asked.marks(b"\n".join(lines))

    for number, (document, line) in enumerate(zip(found, lines, strict=True)):
        mark = marks[number] if number < len(marks) else NO
        assert (mark == YES or (mark == MAYBE and asked.matches(line))) == as_found(document, wanted)


def test_a_word_in_a_value_is_certain_and_one_in_a_name_is_not() -> None:
    """Names of fields are no values; a word that only they hold is left to the parser."""
    asked = DocumentFilter(SearchQuery(text=("winlog",)))

    marks = asked.marks(b'{"winlog":"a"}\n{"a":"my Winlogon"}\n{"b":1}')

    assert list(marks) == [MAYBE, YES, NO]


def test_a_letter_of_an_escape_is_no_letter_of_the_text() -> None:
    r"""``\n`` before "othing" is the end of a line, not the word "nothing"; after a backslash of the text it is."""
    asked = DocumentFilter(SearchQuery(text=("nothing",)))
    lines = [orjson.dumps({"a": text}) for text in ("x\nothing", "x\\nothing", "x\\\nothing")]

    assert list(asked.marks(b"\n".join(lines))) == [MAYBE, YES, MAYBE]
    assert [asked.matches(line) for line in lines] == [False, True, False]


def test_a_hostile_document_costs_no_more_than_its_length() -> None:
    """A megabyte of strokes, or of one word in the names of fields, is looked at a few times and then parsed."""
    asked = DocumentFilter(SearchQuery(text=("n1",)))
    strokes = orjson.dumps({"a": "\\" * 300_000 + "n1" * 300_000})
    names = orjson.dumps({f"n1{number}": 0 for number in range(50_000)})

    assert list(asked.marks(b"\n".join([strokes, names]))) == [YES, MAYBE]
