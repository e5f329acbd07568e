"""Which events a QueryList selects: Select united, Suppress inside its own Query and channel.

Made for the simulator and for dry runs. What cannot be decided is named in ``unsupported``
and counts as selecting: too many events in a trial are better than a query that looks right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape

from lxml.etree import _Element as Element

from collector.query.evaluate import Now, true_of
from collector.query.query_list import Clause, QueryList
from collector.query.xpath import Call, Expression, Path, Step, parse, walk
from collector.wsman.xml import XmlError
from collector.wsman.xml import parse as parse_xml

_CHANNEL = re.compile(r"<Channel>([^<]*)</Channel>")


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A clause that is not evaluated, and why."""

    channel: str
    xpath: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A clause ready to run; *expression* None takes every event of the channel."""

    channel: str
    expression: Expression | None


@dataclass(frozen=True, slots=True)
class Matcher:
    """A QueryList compiled once and asked for every event."""

    unsupported: tuple[Unsupported, ...]
    _queries: tuple[tuple[tuple[_Compiled, ...], tuple[_Compiled, ...]], ...]
    _now: Now | None

    @classmethod
    def compile(cls, queries: QueryList, now: Now | None = None) -> Matcher:
        """*now* is what timediff() of one argument counts from; without it such clauses are unsupported."""
        unsupported: list[Unsupported] = []
        compiled = []
        for query in queries.queries:
            selects = [_compiled(clause, now, unsupported) or _Compiled(clause.channel.lower(), None)
                       for clause in query.selects]  # fmt: skip
            suppresses = [found for clause in query.suppresses if (found := _compiled(clause, now, unsupported))]
            compiled.append((tuple(selects), tuple(suppresses)))
        return cls(tuple(unsupported), tuple(compiled), now)

    def selects(self, event: str | Element, channel: str | None = None) -> bool:
        """Whether *event* (its XML) is selected; *channel* replaces the event's own, in any case of letters.

        An event that cannot be parsed counts as selected when anything selects from its channel.
        """
        if channel is None:
            channel = _channel_of(event)
        folded = channel.lower()
        lazy = _Lazy(event, self._now)
        return any(
            any(clause.channel == folded and lazy.meets(clause.expression) for clause in selects)
            and not any(clause.channel == folded and lazy.suffers(clause.expression) for clause in suppresses)
            for selects, suppresses in self._queries
        )


class _Lazy:
    """One event, parsed when the first expression needs it."""

    __slots__ = ("_element", "_now", "_readable")

    def __init__(self, event: str | Element, now: Now | None) -> None:
        self._element: str | Element = event
        self._now = now
        self._readable = True

    def meets(self, expression: Expression | None) -> bool:
        element = None if expression is None else self._parsed()
        return element is None or expression is None or true_of(expression, element, self._now)

    def suffers(self, expression: Expression | None) -> bool:
        if expression is None:
            return True
        element = self._parsed()
        return element is not None and true_of(expression, element, self._now)

    def _parsed(self) -> Element | None:
        if self._readable and isinstance(self._element, str):
            try:
                self._element = parse_xml(self._element)
            except XmlError:
                self._readable = False
        return self._element if self._readable and not isinstance(self._element, str) else None


def _compiled(clause: Clause, now: Now | None, unsupported: list[Unsupported]) -> _Compiled | None:
    expression = parse(clause.xpath)
    reason = _reason(expression, now)
    if reason:
        unsupported.append(Unsupported(clause.channel, clause.xpath, reason))
        return None
    return _Compiled(clause.channel.lower(), None if _whole_channel(expression) else expression)


def _reason(expression: Expression, now: Now | None) -> str:
    parts: Sequence[Expression] = list(walk(expression))
    if now is None and any(isinstance(part, Call) and part.name == "timediff" and len(part.arguments) == 1
                           for part in parts):  # fmt: skip
        return "timediff() of one argument needs a clock"
    return ""


def _whole_channel(expression: Expression) -> bool:
    return expression in (Path((Step("*", False, ()),)), Path((Step("Event", False, ()),)))


def _channel_of(event: str | Element) -> str:
    if isinstance(event, str):
        found = _CHANNEL.search(event)
        return unescape(found[1]) if found else ""
    return next((child.text or "" for child in event.iter("{*}Channel")), "")
