"""The expression language: what Windows takes is taken, what it does not take is named."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query.xpath import Comparison, Every, Number, Path, QueryError, Some, Step, Text, parse, terms


def test_an_expression_becomes_what_it_means() -> None:
    """`and` binds tighter than `or`; brackets hold expressions of their own."""
    event_id = Comparison("=", Path((Step("EventID", False, ()),)), Number(1))
    level = Comparison("<=", Path((Step("Level", False, ()),)), Number(3))
    provider = Path((Step("Provider", False, (Comparison("=", Path((Step("Name", True, ()),)), Text("P")),)),))

    found = parse("*[System[EventID=1 or Level<=3 and Provider[@Name='P']]]")

    inner = Some((event_id, Every((level, provider))))
    assert found == Path((Step("*", False, (Path((Step("System", False, (inner,)),)),)),))


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "Event",
        "*[System]",
        "Event/System[EventID=1]",
        "*[System[(EventID >= 1 and EventID <= 5)]] and *[EventData[Data[@Name='x'] != 'y']]",
        "*[EventData[Data[3]='APPCRASH']]",
        '*[EventData[Data[@Name="QueryResults"]=""]]',
        "*[UserData/*/Y='v']",
        "*[System[band(Keywords,0x8000000000000)]]",
        "*[System[TimeCreated[timediff(@SystemTime) <= 86400000]]]",
        "*[System[Provider[@Name='A' or @Name='B']]]",
        "*[EventData[Data[position()=2]='x']]",
        "  *[System[(EventID=1100 OR EventID=1104)]]  ",
    ],
)
def test_what_windows_takes_is_taken(text: str) -> None:
    """Each shape stands in a public baseline or in Windows' own documentation."""
    parse(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("*[contains(Data,'x')]", 'no function "contains()"'),
        ("*[System[not(EventID=1)]]", 'no function "not()"'),
        ("EventID=1", 'begins with * or Event, not with "EventID"'),
        ("*[System[EventID=1]", 'here stands the end, wanted is "]"'),
        ("*[System[(EventID=1]]", 'here stands "]", wanted is ")"'),
        ("*[System[EventID=1]]]", 'here stands "]", wanted is an operator or the end'),
        ("*[System[EventID=]]", "wanted is a name"),
        ("*[EventData[Data='x]]", "a text that has no closing quote"),
        ("//System", '"//" is not part of Windows event queries'),
        ("*[System/..]", '".." is not part'),
        ("*[child::System]", '"::" is not part'),
        ("*[System[EventID=1+1]]", '"+" is not part'),
        ("*[e:System]", '":" is not part'),
        ("*[System[EventID=#]]", "'#', which has no meaning here"),
        ("*[System[band(Keywords)]]", "band() takes 2 arguments, not 1"),
        ("*[System[position(1)=1]]", "position() takes 0 arguments, not 1"),
        ("", "here stands the end"),
        ("*" + "[a" * 80 + "]" * 80, "nested more than 60 deep"),
        ("(" * 5000 + "*" + ")" * 5000, "nested more than 60 deep"),
    ],
)
def test_what_windows_does_not_take_is_refused_with_the_reason(text: str, sentence: str) -> None:
    """A source that gets such a query sends nothing and says nothing."""
    with pytest.raises(QueryError) as caught:
        parse(text)

    assert sentence in str(caught.value)


@given(st.text(alphabet=st.sampled_from("*[]()@=!<>/'\"., aEdinort0x9Data\u00e9"), max_size=60))
def test_any_text_is_an_expression_or_a_sentence(text: str) -> None:
    """Whatever stands in a file or comes over the wire, nothing else is ever raised."""
    with suppress(QueryError):
        assert terms(parse(text)) >= 0


def test_the_column_of_a_mistake_is_counted_from_one() -> None:
    """Queries are long lines."""
    with pytest.raises(QueryError, match="column 10:"):
        parse("*[System[#]]")


def test_terms_are_counted_as_windows_counts_them() -> None:
    """A range costs two, a whole channel nothing (subscriptions.md 3)."""
    assert terms(parse("*")) == 0
    assert terms(parse("*[System[(EventID>=1 and EventID<=5) or Level=2]]")) == 3
    assert terms(parse("*[System[Provider[@Name='x'] and band(Keywords,4)]]")) == 2
