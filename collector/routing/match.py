"""What a sink takes: ``match``, ``exclude`` and ``sample`` of contract.md 1.1, compiled once.

It decides by an event's key and id and never looks at documents. Names repeat a lot, so
every text is judged once and remembered; what is remembered is bounded.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collector.model import Key

Judge = Callable[[Any], bool]

REMEMBERED = 4096
"""Texts that one term remembers. Computers are the most: above it the oldest are judged again."""
LONGEST_REMEMBERED = 256
"""Characters. Real names are shorter; a hostile one of a megabyte must not stay in memory."""

_COLUMNS = {"computer": 1, "channel": 2, "provider": 3, "event_id": 4, "level": 5}  # where a Key has them
_OF_THE_BATCH = ("subscription", "source")
_NUMBERS = frozenset({"event_id", "level"})
_RANGE = re.compile(r"(\d{1,10})\s*-\s*(\d{1,10})")
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Explained:
    """Whether a sink takes an event, and the terms that decide it, each as a sentence that names its key."""

    takes: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Term:
    """One key of a table with the *values* that were written there."""

    place: str
    key: str
    values: Sequence[Any]
    judge: Judge

    def about(self, found: Collection[Any]) -> tuple[bool, str]:
        """Whether it holds for one of *found* (names of a source, or the one value of an event), and why."""
        fitting = [value for value in found if self.judge(value)]
        shown = " or ".join(_shown(value) for value in dict.fromkeys(fitting or found)) or "it has none"
        number = self.key in _NUMBERS
        if fitting:
            written = next(value for value in self.values if _judge(self.place, self.key, [value])(fitting[0]))
            return True, f"{self.place}: {shown} {'is in' if number else 'fits'} {_quoted(written)}"
        verb = "is not in" if number else "does not fit"
        if len(self.values) > 1:
            verb = "is in none of" if number else "fits none of"
        return False, f"{self.place}: {shown} {verb} {', '.join(map(_quoted, self.values))}"


@dataclass(frozen=True, slots=True)
class _Terms:
    """One table of terms: those that a whole batch shares, and those of each event."""

    batch: Mapping[str, Judge]
    event: Sequence[tuple[int, Judge]]
    all: Sequence[_Term]

    def hold_for_batch(self, subscription: str, sources: Collection[str]) -> bool:
        named = {"subscription": (subscription,), "source": sources}
        return all(any(judge(text) for text in named[key]) for key, judge in self.batch.items())

    def hold_for_event(self, key: Key) -> bool:
        return all(judge(key[column]) for column, judge in self.event)

    def about(self, key: Key, subscription: str, sources: Collection[str]) -> list[tuple[bool, str]]:
        """Every term's verdict and reason for one event: the judges are those that decide for batches."""
        batch = {"subscription": (subscription,), "source": sources}
        return [term.about(batch[term.key] if term.key in batch else (key[_COLUMNS[term.key]],)) for term in self.all]


@dataclass(frozen=True, slots=True)
class Taking:
    """What one sink takes. Made by ``compile``; ``everything`` tells whether it takes all events."""

    match: _Terms | None
    exclude: _Terms | None
    sample: float

    @classmethod
    def compile(cls, match: Mapping[str, Any], exclude: Mapping[str, Any] | None = None, sample: float = 1.0) -> Taking:
        """Raises ``ValueError`` with a sentence that names the key, what is wrong and what would be right."""
        if exclude is not None and not exclude:
            raise ValueError("exclude is empty, which would leave out every event; name what to leave out or remove it")
        if not 0 < sample <= 1:
            raise ValueError(f"sample is {sample!r}; give a share above 0 and up to 1")
        return cls(
            _compile_terms("match", match) if match else None,
            _compile_terms("exclude", exclude) if exclude is not None else None,
            sample,
        )

    @property
    def everything(self) -> bool:
        return self.match is None and self.exclude is None and self.sample == 1

    def rows(
        self, keys: Sequence[Key], ids: Sequence[str], subscription: str, sources: Collection[str]
    ) -> list[int] | None:
        """The rows it takes, ascending; None: the whole batch (so that nobody copies it).

        *sources* is what a source may be called: its key and its name.
        """
        match, exclude = self.match, self.exclude
        if match is not None and not match.hold_for_batch(subscription, sources):
            return []
        if exclude is not None and not exclude.hold_for_batch(subscription, sources):
            exclude = None
        if exclude is not None and not exclude.event:
            return []
        taken: Sequence[int] = range(len(ids))
        if match is not None and match.event:
            taken = [row for row in taken if match.hold_for_event(keys[row])]
        if exclude is not None:
            taken = [row for row in taken if not exclude.hold_for_event(keys[row])]
        if self.sample < 1:
            taken = [row for row in taken if sampled(ids[row], self.sample)]
        return None if isinstance(taken, range) or len(taken) == len(ids) else list(taken)

    def explain(self, key: Key, event_id: str, subscription: str, sources: Collection[str]) -> Explained:
        """What ``rows`` decides for one event, and by which terms; the arguments are those of one row."""
        reasons: list[str] = []
        if self.match is not None:
            said = self.match.about(key, subscription, sources)
            if missed := [reason for holds, reason in said if not holds]:
                return Explained(False, tuple(missed))
            reasons += [reason for _, reason in said]
        if self.exclude is not None:
            said = self.exclude.about(key, subscription, sources)
            if all(holds for holds, _ in said):
                return Explained(False, tuple(reason for _, reason in said))
            reasons += [reason for holds, reason in said if not holds]
        if self.sample < 1:
            inside = sampled(event_id, self.sample)
            reason = f"sample: its id falls {'into' if inside else 'outside'} the {self.sample * 100:g} %"
            if not inside:
                return Explained(False, (reason,))
            reasons.append(reason)
        if self.match is None:
            reasons.insert(0, "no match table: takes everything" + (" that is left" if reasons else ""))
        return Explained(True, tuple(reasons))


def sampled(event_id: str, share: float) -> bool:
    """Whether the event with this id falls into *share*: the same answer in every process, and a larger
    share takes all that a smaller one takes."""
    return zlib.crc32(event_id.encode("utf-8", "surrogatepass")) < share * 2**32


def _compile_terms(table: str, terms: Mapping[str, Any]) -> _Terms:
    compiled = [_compile_term(f"{table}.{key}", key, value) for key, value in terms.items()]
    return _Terms(
        {term.key: term.judge for term in compiled if term.key in _OF_THE_BATCH},
        tuple((_COLUMNS[term.key], term.judge) for term in compiled if term.key in _COLUMNS),
        compiled,
    )


def _compile_term(place: str, key: str, value: Any) -> _Term:
    if key not in _COLUMNS and key not in _OF_THE_BATCH:
        known = [*_OF_THE_BATCH, *_COLUMNS]
        near = difflib.get_close_matches(key, known, 1)
        right = f'Did you mean "{near[0]}"?' if near else f"Known keys: {', '.join(sorted(known))}."
        raise ValueError(f"{place}: there is no such key. {right}")
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError(f"{place}: the list is empty, so no event could match; name at least one, or remove the key")
    return _Term(place, key, values, _remembering(_judge(place, key, values)))


def _judge(place: str, key: str, values: Sequence[Any]) -> Judge:
    return _numbers(place, values) if key in _NUMBERS else _texts(place, values)


def _shown(value: Any) -> str:
    """What an event says, as a reason quotes it; what is a number in Windows is shown as one."""
    text = str(value)
    if len(text) > LONGEST_REMEMBERED:
        text = f"{text[:LONGEST_REMEMBERED]}..."
    return text if text.isascii() and text.isdecimal() else _quoted(text)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _remembering(judge: Judge) -> Judge:
    quick = functools.lru_cache(maxsize=REMEMBERED)(judge)
    return lambda value: judge(value) if isinstance(value, str) and len(value) > LONGEST_REMEMBERED else quick(value)


def _texts(place: str, values: Sequence[Any]) -> Judge:
    for value in values:
        if not isinstance(value, str) or not value:
            raise ValueError(f'{place}: {value!r} is no text; write a name or a glob such as "Microsoft-*"')
    exact = frozenset(value.casefold() for value in values if not _WILD.search(value))
    globs = [fnmatch.translate(value.casefold()) for value in values if _WILD.search(value)]
    pattern = re.compile("|".join(globs)) if globs else None

    def judge(text: str) -> bool:
        folded = text.casefold()
        return folded in exact or (pattern is not None and pattern.match(folded) is not None)

    return judge


def _numbers(place: str, values: Sequence[Any]) -> Judge:
    ranges = [_range(place, value) for value in values]
    single = frozenset(low for low, high in ranges if low == high)
    wide = [(low, high) for low, high in ranges if low < high]

    def judge(value: int | str) -> bool:
        text = str(value)
        if not (text.isascii() and text.isdecimal()) or len(text) > 10:  # a damaged event: no number, no match
            return False
        number = int(text)
        return number in single or any(low <= number <= high for low, high in wide)

    return judge


def _range(place: str, value: Any) -> tuple[int, int]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, value
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdecimal() and len(text) <= 10:
            return int(text), int(text)
        found = _RANGE.fullmatch(text)
        if found and int(found[1]) <= int(found[2]):
            return int(found[1]), int(found[2])
    raise ValueError(f'{place}: {value!r} is no number; write 4624, "4624" or a range such as "4720-4729"')
