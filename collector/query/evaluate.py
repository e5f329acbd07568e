"""What an expression says about one event: XPath 1.0's rules, over names without namespaces.

Where Windows knows the type of a value and XPath does not, Windows is followed: whole numbers
are exact to 64 bits, ``0x`` is a number, and times compare as times (subscriptions.md 3).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

from lxml.etree import _Element as Element

from collector.query.xpath import Call, Comparison, Every, Expression, Number, Path, Some, Step, Text, number

Now = Callable[[], datetime]
Nodes = list[Element | str]
Value = Nodes | str | int | float | bool

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Context:
    """Where evaluation stands: a node (None: above the event), and its place among its like, from 1."""

    event: Element
    now: Now | None
    node: Element | str | None = None
    position: int = 1


def true_of(expression: Expression, event: Element, now: Now | None = None) -> bool:
    """Whether *event* (its Event element) is selected. *now* is needed by timediff() of one argument."""
    return _boolean(_value(expression, Context(event, now)))


def _value(expression: Expression, context: Context) -> Value:
    match expression:
        case Number(value):
            return value
        case Text(text):
            return text
        case Every(parts):
            return all(_boolean(_value(part, context)) for part in parts)
        case Some(parts):
            return any(_boolean(_value(part, context)) for part in parts)
        case Comparison(sign, left, right):
            return _compare(sign, _value(left, context), _value(right, context))
        case Call(name, arguments):
            return _call(name, arguments, context)
        case Path(steps):
            return _nodes(steps, context)
        case _:
            assert_never(expression)


def _nodes(steps: Sequence[Step], context: Context) -> Nodes:
    nodes: list[Element | str | None] = [context.node]
    for step in steps:
        nodes = [found for node in nodes for found in _filtered(step, list(_axis(step, node, context)), context)]
    return [node for node in nodes if node is not None]


def _axis(step: Step, node: Element | str | None, context: Context) -> Iterator[Element | str]:
    if step.name == ".":
        if node is not None:
            yield node
    elif isinstance(node, str):  # an attribute has neither children nor attributes
        return
    elif step.attribute:
        if node is not None:
            for name, value in node.attrib.items():
                if step.name in ("*", _local(str(name))):
                    yield str(value)
    else:
        for child in [context.event] if node is None else node:
            if isinstance(child.tag, str) and step.name in ("*", _local(child.tag)):
                yield child


def _filtered(step: Step, nodes: Nodes, context: Context) -> Nodes:
    for predicate in step.predicates:
        kept: Nodes = []
        for position, node in enumerate(nodes, 1):
            found = _value(predicate, Context(context.event, context.now, node, position))
            if _counts(found, position):
                kept.append(node)
        nodes = kept
    return nodes


def _counts(value: Value, position: int) -> bool:
    """A number as predicate is a position: ``Data[3]``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value == position
    return _boolean(value)


def _call(name: str, arguments: Sequence[Expression], context: Context) -> Value:
    values = [_value(argument, context) for argument in arguments]
    if name == "position":
        return context.position
    if name == "band":
        left, right = (_whole(value) for value in values)
        return left is not None and right is not None and left & right != 0
    times = [_moment(_string(value)) for value in values]
    until = times[1] if len(times) == 2 else context.now() if context.now is not None else None
    if times[0] is None or until is None:
        return float("nan")
    return (until - times[0]).total_seconds() * 1000


def _compare(sign: str, left: Value, right: Value) -> bool:
    if isinstance(left, list) and not isinstance(right, bool):
        return any(_compare_atoms(sign, _string(node), other) for node in left for other in _atoms(right))
    if isinstance(right, list) and not isinstance(left, bool):
        return any(_compare_atoms(sign, left, _string(node)) for node in right if not isinstance(left, list))
    return _compare_atoms(sign, _atom(left), _atom(right))


def _atoms(value: Value) -> list[str | int | float]:
    return [_string(node) for node in value] if isinstance(value, list) else [value]


def _atom(value: Value) -> str | int | float:
    return _boolean(value) if isinstance(value, list) else value


def _compare_atoms(sign: str, left: str | int | float, right: str | int | float) -> bool:
    compare = _COMPARE[sign]
    if isinstance(left, bool) or isinstance(right, bool):
        if sign in ("=", "!="):
            return compare(_boolean(left), _boolean(right))
    elif isinstance(left, str) and isinstance(right, str):
        if sign in ("=", "!="):
            return compare(left, right)
        moments = _moment(left), _moment(right)
        if moments[0] is not None and moments[1] is not None:
            return compare(*moments)
    return compare(_number(left), _number(right))


def _boolean(value: Value) -> bool:
    if isinstance(value, float) and value != value:  # NaN is false
        return False
    return bool(value)


def _number(value: str | int | float) -> int | float:
    return number(value) if isinstance(value, str) else value


def _whole(value: Value) -> int | None:
    found = number(_string(value)) if isinstance(value, str | list) else value
    return int(found) if isinstance(found, int) or found.is_integer() else None


def _string(value: Value | Element) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _string(value[0]) if value else ""
    if isinstance(value, bool | int | float):
        return str(value)
    return "".join(str(text) for text in value.itertext())


def _moment(text: str) -> datetime | None:
    """A time as events write it: UTC with up to nine digits, of which six count."""
    if len(text) < 19 or text[10:11] != "T":
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
    except ValueError:
        return None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
