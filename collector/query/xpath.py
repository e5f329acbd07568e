"""The XPath subset of Windows event queries, as text and as values (subscriptions.md 3).

Only what Windows takes: child and attribute steps, predicates, comparisons, ``and``, ``or``
and three functions. What it does not take is refused with a sentence, because a source that
gets such a query sends nothing and says nothing. This file knows no event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from collector.errors import CollectorError

FUNCTIONS = {"position": (0, 0), "band": (2, 2), "timediff": (1, 2)}
"""Every function of the subset, with the least and the most arguments."""
DEEPEST = 60
"""Nested brackets and parentheses; people write five, and Python's own stack ends at a thousand frames."""

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"[^"]*"|'[^']*')
    | (?P<number>-?(?:0[xX][0-9A-Fa-f]+|\d+(?:\.\d+)?))
    | (?P<name>[^\W\d][\w.\-]*)
    | (?P<sign>!=|<=|>=|//|::|\.\.|[=<>()\[\]/@*,.:|+$-])
    )""",
    re.VERBOSE,
)
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")


class QueryError(CollectorError):
    """A query that Windows would not take. *line* counts from the query's first line, from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Number:
    value: int | float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: ``*`` or a name; *attribute* for ``@``; *name* ``.`` stays where it is."""

    name: str
    attribute: bool
    predicates: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Path:
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Every:
    """``and``"""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """``or``"""

    parts: tuple[Expression, ...]


Expression = Number | Text | Call | Path | Comparison | Every | Some


def parse(text: str) -> Expression:
    """The expression in *text*. Raises ``QueryError`` with the column in its sentence."""
    return _Parser(text).whole()


def terms(expression: Expression) -> int:
    """How many terms Windows counts: each comparison, and each function that stands alone."""
    return sum(
        isinstance(part, Comparison) or (isinstance(part, Call) and part.name == "band") for part in walk(expression)
    )


def walk(expression: Expression) -> Iterator[Expression]:
    """*expression* and everything in it."""
    yield expression
    match expression:
        case Every(parts) | Some(parts) | Call(_, parts):
            for part in parts:
                yield from walk(part)
        case Comparison(_, left, right):
            yield from walk(left)
            yield from walk(right)
        case Path(steps):
            for step in steps:
                for predicate in step.predicates:
                    yield from walk(predicate)
        case _:
            return


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "text" | "number" | "name" | "sign" | "end"
    value: str
    column: int


class _Parser:
    """Recursive descent, one method for each level of binding."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._some()
        if self._now.kind != "end":
            raise self._wrong("an operator or the end")
        _check_beginnings(expression)
        return expression

    def _some(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryError(f"the expression is nested more than {DEEPEST} deep; write it flatter")
        parts = [self._every()]
        while self._joined("or"):
            parts.append(self._every())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _every(self) -> Expression:
        parts = [self._comparison()]
        while self._joined("and"):
            parts.append(self._comparison())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _comparison(self) -> Expression:
        left = self._operand()
        if self._now.kind == "sign" and self._now.value in _OPERATORS:
            operator = self._next().value
            return Comparison(operator, left, self._operand())
        return left

    def _operand(self) -> Expression:
        token = self._now
        match token.kind:
            case "text":
                return Text(self._next().value[1:-1])
            case "number":
                return Number(number(self._next().value))
            case "name" if self._following == "(":
                return self._call()
            case "name":
                return self._path()
            case "sign" if token.value == "(":
                self._next()
                inner = self._some()
                self._expect(")")
                return inner
            case "sign" if token.value in ("*", "@", "."):
                return self._path()
            case _:
                raise self._wrong("a name, *, @, a value or a parenthesis")

    def _call(self) -> Call:
        name = self._next()
        if name.value not in FUNCTIONS:
            raise QueryError(
                f'column {name.column}: Windows event queries have no function "{name.value}()";'
                " they have position(), band() and timediff()"
            )
        self._expect("(")
        arguments: list[Expression] = []
        while not self._took("sign", ")"):
            if arguments:
                self._expect(",")
            arguments.append(self._some())
        least, most = FUNCTIONS[name.value]
        if not least <= len(arguments) <= most:
            raise QueryError(
                f"column {name.column}: {name.value}() takes {least if least == most else f'{least} or {most}'}"
                f" arguments, not {len(arguments)}"
            )
        return Call(name.value, tuple(arguments))

    def _path(self) -> Path:
        steps = [self._step()]
        while self._took("sign", "/"):
            steps.append(self._step())
        return Path(tuple(steps))

    def _step(self) -> Step:
        attribute = self._took("sign", "@")
        token = self._now
        if token.kind != "name" and token.value not in ("*", "."):
            raise self._wrong("a name or *")
        self._next()
        predicates: list[Expression] = []
        while self._took("sign", "["):
            predicates.append(self._some())
            self._expect("]")
        return Step(token.value, attribute, tuple(predicates))

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    @property
    def _following(self) -> str:
        return self._tokens[self._at + 1].value if self._at + 1 < len(self._tokens) else ""

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _took(self, kind: str, value: str) -> bool:
        taken = self._now.kind == kind and self._now.value == value
        self._at += taken
        return taken

    def _joined(self, word: str) -> bool:
        """Public baselines write ``OR`` in places and are in wide use: letters of any case join."""
        joined = self._now.kind == "name" and self._now.value.lower() == word
        self._at += joined
        return joined

    def _expect(self, sign: str) -> None:
        if not self._took("sign", sign):
            raise self._wrong(f'"{sign}"')

    def _wrong(self, wanted: str) -> QueryError:
        token = self._now
        if token.value in ("//", "::", "..", ":", "|", "+", "-", "$"):
            return QueryError(
                f'column {token.column}: "{token.value}" is not part of Windows event queries;'
                " they have child and attribute steps, comparisons, and, or"
            )
        found = f'"{token.value}"' if token.value else "the end"
        return QueryError(f"column {token.column}: here stands {found}, wanted is {wanted}")


def number(text: str) -> int | float:
    """A number as Windows writes it in events, exact where it is whole; NaN when it is none."""
    text = text.strip()
    try:
        return int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    except ValueError:
        pass
    try:
        return float(text) if re.fullmatch(r"-?(\d+(\.\d*)?|\.\d+)", text) else float("nan")
    except ValueError:
        return float("nan")


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            column = at + len(text[at:]) - len(text[at:].lstrip())
            odd = text[column]
            said = "a text that has no closing quote" if odd in "\"'" else f"{odd!r}, which has no meaning here"
            raise QueryError(f"column {column + 1}: here stands {said}")
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind], match.start(kind) + 1))
        at = match.end()
    found.append(_Token("end", "", end + 1))
    return found


def _check_beginnings(expression: Expression) -> None:
    """Every path outside brackets starts at the event: with ``*`` or ``Event``."""
    match expression:
        case Every(parts) | Some(parts):
            for part in parts:
                _check_beginnings(part)
        case Comparison(_, left, right):
            _check_beginnings(left)
            _check_beginnings(right)
        case Path(steps):
            if steps[0].attribute or steps[0].name not in ("*", "Event"):
                raise QueryError(
                    f'an expression begins with * or Event, not with "{steps[0].name}"; write *[System[EventID=4624]]'
                )
        case _:
            return
