"""A QueryList as a value: which channels, which expressions, what is suppressed (subscriptions.md 3).

It is made of XML text (wecutil files, ``query = '''...'''``) or of tables, and spelled again as
one canonical text: no comments, no namespace, a Path on every Select. It knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lxml.etree import QName
from lxml.etree import _Element as Element

from collector.query.xpath import QueryError, parse, terms
from collector.wsman.xml import XmlError
from collector.wsman.xml import parse as parse_xml

_LINE = re.compile(r", line (\d+), column \d+")
MOST_TERMS = 22
"""More terms in one Select and Windows forwards nothing and says nothing (subscriptions.md 5.2)."""
MOST_CHANNELS = 256
"""More channels in one query and the source calls it invalid (subscriptions.md 5.3)."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One Select or Suppress: a channel and an expression over its events."""

    channel: str
    xpath: str


@dataclass(frozen=True, slots=True)
class Query:
    """Suppress works only inside its Query, on the same channel; across Queries results are united."""

    id: str
    selects: tuple[Clause, ...]
    suppresses: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryList:
    """What a subscription asks for."""

    queries: tuple[Query, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel that is selected from, once, in order; case counts for nothing (subscriptions.md 5.11)."""
        found = {clause.channel.lower(): clause.channel for query in self.queries for clause in query.selects}
        return tuple(found.values())

    def xml(self) -> str:
        """The canonical text: what goes over the wire and into the version."""
        return f"<QueryList>{''.join(_query_xml(query) for query in self.queries)}</QueryList>"


class QueryProblems(QueryError):
    """Several things are wrong; *problems* are (place, sentence without its period).

    A place is a line of the text, or the number of the pair (selects, then suppresses); both
    from 1, None for the whole.
    """

    def __init__(self, problems: Sequence[tuple[int | None, str]]) -> None:
        super().__init__("; ".join(sentence for _, sentence in problems), problems[0][0])
        self.problems = problems


def query_list_of(selects: Iterable[tuple[str, str]], suppresses: Iterable[tuple[str, str]] = ()) -> QueryList:
    """From (channel, expression) pairs: one Query, so that every Suppress meets its Select.

    Raises ``QueryProblems`` with the pairs counted.
    """
    query = Query("0", _clauses(selects), _clauses(suppresses))
    problems: list[tuple[int | None, str]] = [
        (number, found)
        for number, clause in enumerate((*query.selects, *query.suppresses), 1)
        if (found := _objection(clause))
    ]
    return _complete(QueryList((query,)), problems)


def parse_query_list(text: str) -> QueryList:
    """From a QueryList as XML text. Raises ``QueryProblems`` with lines counted in *text*."""
    stripped = text.strip()
    skipped = text[: len(text) - len(text.lstrip())].count("\n")
    try:
        root = parse_xml(stripped)
    except XmlError as error:
        line, said = placed(error)
        raise QueryProblems([(skipped + (line or 1), f"the query cannot be read: {said}")]) from error
    problems: list[tuple[int | None, str]] = []
    if root.tag != "QueryList":
        problems.append((skipped + 1, f"the query begins with {_shown(root)}; it should be QueryList in no namespace"))
    else:
        queries = [_read_query(child, skipped, problems) for child in root]
        return _complete(QueryList(_numbered(queries)), problems)
    raise QueryProblems(problems)


def placed(error: XmlError) -> tuple[int | None, str]:
    """The line that an XML parser complains of, and its sentence without it."""
    match = _LINE.search(str(error))
    return (int(match[1]), _LINE.sub("", str(error))) if match else (None, str(error))


def line_of(element: Element) -> int | None:
    """The line of an element's start tag in the parsed text, from 1."""
    line: Any = element.sourceline
    return line if isinstance(line, int) else None


def warnings(queries: QueryList) -> list[str]:
    """What Windows takes and people regret, as sentences."""
    found = []
    for query in queries.queries:
        for clause in (*query.selects, *query.suppresses):
            count = terms(parse(clause.xpath))
            if count > MOST_TERMS:
                found.append(
                    f"channel {clause.channel}: one expression has {count} terms; beyond {MOST_TERMS} Windows may"
                    " forward nothing and not say so. Split it into several of the same channel."
                )
        selected = {clause.channel.lower() for clause in query.selects}
        found.extend(
            f"channel {clause.channel}: a suppress works only beside a select of the same channel, and there is none."
            for clause in query.suppresses
            if clause.channel.lower() not in selected
        )
    return list(dict.fromkeys(found))


def _complete(queries: QueryList, problems: list[tuple[int | None, str]]) -> QueryList:
    """*queries*, when nothing is wrong with them as a whole either."""
    if not problems and not any(query.selects for query in queries.queries):
        problems.append((None, "nothing is selected; give at least one Select with a channel"))
    if len(queries.channels) > MOST_CHANNELS:
        problems.append(
            (None, f"{len(queries.channels)} channels are selected; Windows takes {MOST_CHANNELS} in one query")
        )
    if problems:
        raise QueryProblems(problems)
    return queries


def _read_query(element: Element, skipped: int, problems: list[tuple[int | None, str]]) -> Query:
    line = skipped + (line_of(element) or 1)
    if element.tag != "Query":
        problems.append((line, f"{_shown(element)} cannot stand in QueryList; only Query can"))
        return Query("", ())
    clauses: dict[str, list[Clause]] = {"Select": [], "Suppress": []}
    for child in element:
        line = skipped + (line_of(child) or 1)
        if child.tag not in clauses:
            problems.append((line, f"{_shown(child)} cannot stand in Query; Select and Suppress can"))
            continue
        channel = (child.get("Path") or element.get("Path") or "").strip()
        clause = Clause(channel, "".join(str(part) for part in child.itertext()).strip())
        if not channel:
            problems.append((line, f"{child.tag} has no Path, and neither has its Query; name the channel"))
        if len(child):
            problems.append((line, f"{child.tag} holds {_shown(child[0])}; inside it < is written &lt;"))
        elif objection := _objection(clause):
            problems.append((line, objection))
        clauses[str(child.tag)].append(clause)
    return Query((element.get("Id") or "").strip(), tuple(clauses["Select"]), tuple(clauses["Suppress"]))


def _numbered(queries: Sequence[Query]) -> tuple[Query, ...]:
    """With unique Ids: as written when they are, else counted, which changes nothing in what is selected."""
    ids = [query.id for query in queries]
    if "" not in ids and len(set(ids)) == len(ids):
        return tuple(queries)
    return tuple(Query(str(number), query.selects, query.suppresses) for number, query in enumerate(queries))


def _clauses(pairs: Iterable[tuple[str, str]]) -> tuple[Clause, ...]:
    return tuple(Clause(channel.strip(), xpath.strip()) for channel, xpath in pairs)


def _objection(clause: Clause) -> str:
    try:
        parse(clause.xpath)
    except QueryError as error:
        return f"channel {clause.channel}, expression {_shortened(clause.xpath)}: {error}"
    return ""


def _shortened(text: str) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= 60 else f"{folded[:57]}..."


def _shown(element: Element) -> str:
    name = QName(element)
    return f"{name.localname} (namespace {name.namespace})" if name.namespace else str(name.localname)


def _query_xml(query: Query) -> str:
    inner = "".join(
        f'<{kind} Path="{escape(clause.channel)}">{escape(clause.xpath, quote=False)}</{kind}>'
        for kind, clauses in (("Select", query.selects), ("Suppress", query.suppresses))
        for clause in clauses
    )
    return f'<Query Id="{escape(query.id)}">{inner}</Query>'
