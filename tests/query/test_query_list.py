"""QueryLists: one canonical text, whatever they were written as."""

from __future__ import annotations

import pytest

from collector.query.query_list import QueryProblems, parse_query_list, query_list_of, warnings

NESTED = """

<QueryList>
  <!-- a comment
       of two lines -->
  <Query Id="7" Path="Security">
    <Select>*[System[(EventID &gt;= 4624 and EventID &lt;= 4625)]]</Select>  <!-- why -->
    <Select Path="System">*<!-- inside --></Select>
    <Suppress Path="Security">*[EventData[Data[@Name='A']="&amp;"]]</Suppress>
  </Query>
</QueryList>
"""


def problems(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(QueryProblems) as caught:
        parse_query_list(text)
    return list(caught.value.problems)


def test_the_canonical_text_has_no_comments_and_a_path_everywhere() -> None:
    """It goes over the wire and into the version: re-indenting a comment must not make sources subscribe again."""
    assert parse_query_list(NESTED).xml() == (
        '<QueryList><Query Id="7">'
        '<Select Path="Security">*[System[(EventID &gt;= 4624 and EventID &lt;= 4625)]]</Select>'
        '<Select Path="System">*</Select>'
        '<Suppress Path="Security">*[EventData[Data[@Name=\'A\']="&amp;"]]</Suppress>'
        "</Query></QueryList>"
    )


def test_the_canonical_text_is_its_own_canonical_text() -> None:
    """Reading back what was written changes nothing."""
    once = parse_query_list(NESTED)

    assert parse_query_list(once.xml()) == once


def test_tables_become_one_query_so_that_suppress_meets_its_select() -> None:
    """Across Query elements Windows unites results: what one suppresses another still selects."""
    found = query_list_of([("Security", "*"), ("Sys & tem", " * ")], [("Security", "*[System[EventID<5]]")])

    assert found.xml() == (
        '<QueryList><Query Id="0"><Select Path="Security">*</Select><Select Path="Sys &amp; tem">*</Select>'
        '<Suppress Path="Security">*[System[EventID&lt;5]]</Suppress></Query></QueryList>'
    )
    assert found.channels == ("Security", "Sys & tem")


def test_queries_without_unique_ids_are_numbered() -> None:
    """With more than one Query each needs an Id of its own; Microsoft's samples leave it out."""
    body = '<Select Path="A">*</Select>'
    text = f"<QueryList><Query>{body}</Query><Query>{body}</Query></QueryList>"

    assert [query.id for query in parse_query_list(text).queries] == ["0", "1"]


def test_a_channel_counts_once_whatever_its_case() -> None:
    """Windows echoes the case of the query and means one channel."""
    text = '<QueryList><Query><Select Path="security">*</Select><Select Path="Security">*</Select></Query></QueryList>'

    assert parse_query_list(text).channels == ("Security",)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("\n\n<QueryList>\n<Query></QueryList>", 4, "not well-formed"),
        ("<Query/>", 1, "begins with Query; it should be QueryList"),
        ('<QueryList xmlns="urn:x"/>', 1, "begins with QueryList (namespace urn:x)"),
        ("<QueryList>\n<QueryList/></QueryList>", 2, "QueryList cannot stand in QueryList"),
        ("<QueryList><Query>\n<Selekt>*</Selekt></Query></QueryList>", 2, "Selekt cannot stand in Query"),
        ("<QueryList><Query>\n<Select>*</Select></Query></QueryList>", 2, "Select has no Path"),
        ('<QueryList><Query Path="A">\n\n<Select>*[</Select></Query></QueryList>', 3, "expression *["),
        ('<QueryList><Query Path="A"><Select>*<b/></Select></Query></QueryList>', 1, "Select holds b"),
        ('<QueryList><Query Path="A"><Suppress>*</Suppress></Query></QueryList>', None, "nothing is selected"),
        ("<QueryList/>", None, "nothing is selected"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><QueryList/>', 1, "DOCTYPE"),
        ("", 1, ""),
    ],
)
def test_a_broken_list_names_the_line_and_the_reason(text: str, line: int | None, sentence: str) -> None:
    """The operator has a file of two hundred lines open."""
    found = problems(text)

    assert found[0][0] == line
    assert sentence in found[0][1]


def test_everything_wrong_with_a_list_is_found_at_once() -> None:
    """Two broken selects are two sentences."""
    body = "<Select>\n*[a</Select>\n<Select>b</Select>"

    assert [line for line, _ in problems(f'<QueryList><Query Path="A">{body}</Query></QueryList>')] == [1, 3]


def test_a_broken_table_is_named_by_its_number() -> None:
    """The reader of the file turns it into a line."""
    with pytest.raises(QueryProblems) as caught:
        query_list_of([("A", "*"), ("B", "*[")], [("A", "x")])

    assert [place for place, _ in caught.value.problems] == [2, 3]


def test_more_than_256_channels_are_refused() -> None:
    """The source would call the query invalid and send nothing."""
    query_list_of([(f"Channel {number}", "*") for number in range(256)])

    with pytest.raises(QueryProblems, match="257 channels"):
        query_list_of([(f"Channel {number}", "*") for number in range(257)])


def test_more_than_22_terms_are_warned_about() -> None:
    """Beyond that Windows forwards nothing, without any error at the collector."""
    many = " or ".join(f"EventID={number}" for number in range(23))

    (found,) = warnings(query_list_of([("Security", f"*[System[({many})]]")]))

    assert "23 terms" in found
    assert warnings(query_list_of([("Security", f"*[System[({many.rpartition(' or ')[0]})]]")])) == []


def test_a_suppress_without_its_select_is_warned_about() -> None:
    """It suppresses nothing."""
    (found,) = warnings(query_list_of([("Security", "*")], [("System", "*")]))

    assert found.startswith("channel System: a suppress works only beside")
