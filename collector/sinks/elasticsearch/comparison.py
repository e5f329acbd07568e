"""Whether what a server holds says the same as what we would install, however the server spells it. Pure.

Servers write numbers as texts, nest or dot the names of settings, add ``index.`` in front and defaults of their own.
Settings, mappings and what deletes must be the same as a whole; of the rest only what we wrote is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

SHOWN = 3
"""Differences that are told; the rest is counted."""
_CLOSED: Mapping[str, frozenset[str]] = {
    # table: names that a server adds by itself. Any other that is not ours changes what becomes of events: a
    # retention nobody asked for deletes them.
    "template": frozenset({"aliases"}),
    "lifecycle": frozenset({"enabled", "rollover", "effective_retention", "retention_determined_by"}),
    "phases": frozenset(),
    "actions": frozenset(),
}


def difference(ours: Mapping[str, Any], theirs: object) -> str:
    """A sentence part about what differs; empty: nothing does. Shapes: bodies of templates and policies."""
    told = list(_differing(ours, theirs, ()))
    if len(told) > SHOWN:
        return f"{'; '.join(told[:SHOWN])}; and {len(told) - SHOWN} more"
    return "; ".join(told)


def _differing(ours: object, theirs: object, at: tuple[str, ...]) -> Iterator[str]:
    if at and at[-1] == "settings":
        yield from _same(flat_settings(ours), flat_settings(theirs), at)
    elif at and at[-1] == "mappings":
        yield from _same(_leaves(ours), _leaves(theirs), at)
    elif isinstance(ours, Mapping):
        found = theirs if isinstance(theirs, Mapping) else {}
        if at and at[-1] in _CLOSED:
            for name in sorted(found.keys() - ours.keys() - _CLOSED[at[-1]]):
                yield f"{'.'.join((*at, name))} should not be there"
        if not ours and at and theirs is None:
            yield f"{'.'.join(at)} is missing"
        for name, value in ours.items():
            yield from _differing(value, found.get(name), (*at, name))
    elif isinstance(ours, Sequence) and not isinstance(ours, str):
        yield from _differing_lists(ours, theirs, at)
    elif _spelled(ours) != _spelled(theirs):
        yield f"{'.'.join(at)} is {_spelled(theirs)}, should be {_spelled(ours)}"


def _differing_lists(ours: Sequence[object], theirs: object, at: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(theirs, list):
        yield f"{'.'.join(at)} is missing" if theirs is None else f"{'.'.join(at)} is no list"
    elif at[-1] == "index_patterns":
        here, there = set(map(str, ours)), set(map(str, theirs))
        if here - there:
            yield f"{'.'.join(at)} lacks {_listed(sorted(here - there))}"
        if there - here:
            yield f"{'.'.join(at)} should not have {_listed(sorted(there - here))}"
    elif len(ours) != len(theirs) or not all(isinstance(one, Mapping) for one in ours):
        if list(map(_spelled, ours)) != list(map(_spelled, theirs)):
            yield f"{'.'.join(at)} is {_listed(theirs)}, should be {_listed(ours)}"
    else:
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differing(one, other, (*at, str(number)))


def _same(ours: Mapping[str, str], theirs: Mapping[str, str], at: tuple[str, ...]) -> Iterator[str]:
    prefix = ".".join(at)
    for name in sorted(ours.keys() | theirs.keys()):
        here, there = ours.get(name), theirs.get(name)
        if there is None:
            yield f"{prefix}.{name} is missing, should be {here}"
        elif here is None:
            yield f"{prefix}.{name} is {there}, should not be there"
        elif here != there:
            yield f"{prefix}.{name} is {there}, should be {here}"


def flat_settings(settings: object) -> dict[str, str]:
    """Settings of an index by their dotted names, without ``index.`` in front; values as texts."""
    return {name.removeprefix("index."): value for name, value in _leaves(settings).items()}


def _leaves(value: object, at: str = "") -> dict[str, str]:
    """Every leaf by its dotted path. Empty tables count as leaves: ``delete: {}`` is an action."""
    if isinstance(value, Mapping) and value:
        return _joined(_leaves(inner, f"{at}.{name}" if at else str(name)) for name, inner in value.items())
    if isinstance(value, list) and value:
        return _joined(_leaves(inner, f"{at}[{number}]") for number, inner in enumerate(value))
    return {at: _spelled(value)} if at and value is not None else {}


def _joined(parts: Iterable[dict[str, str]]) -> dict[str, str]:
    return {name: value for part in parts for name, value in part.items()}


def _spelled(value: object) -> str:
    """One spelling for true and "true", 2000 and "2000"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "nothing" if value is None else str(value)


def _listed(values: Iterable[object]) -> str:
    texts = [_spelled(value) for value in values]
    return f"[{', '.join(texts[:4])}{', ...' if len(texts) > 4 else ''}]"
