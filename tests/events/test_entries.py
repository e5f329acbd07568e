"""Records of the format ``stored`` come apart as they were put together, and go on in portions."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import orjson
import pytest

from collector.events.entries import Run, entries, portions
from collector.model import Records
from tests.events.made import NOON, RECEIVED, Made, made


def spelled(lines: Sequence[bytes], events: Sequence[Made]) -> Records:
    """One batch of *lines*, each with its LF, as the records of *events*."""
    ends = array("Q", accumulate(map(len, lines)))
    return Records(
        "stored", b"".join(lines), ends, [event.id for event in events], [event.key for event in events], "s", "e",
        RECEIVED,
    )  # fmt: skip


def line(event: Made) -> bytes:
    return orjson.dumps(event.document) + b"\t" + orjson.dumps(event.xml) + b"\n"


def run(lines: Sequence[bytes], start: int = 0) -> Run:
    """A run whose rows tell where they were."""
    numbers = range(start, start + len(lines))
    keys = [made(number).key for number in numbers]
    return Run(list(numbers), [f"id{n}" for n in numbers], keys, b"\n".join(lines), b"\n".join(lines))


def test_what_our_format_spells_is_cut_without_a_change() -> None:
    """Bodies are compressed as they came; nothing may be lost between two records."""
    events = [made(number, message="one\ntwo\tthree") for number in range(50)]

    found, unstorable = entries(spelled([line(event) for event in events], events), NOON)

    assert not unstorable
    assert [orjson.loads(text) for text in found.documents.split(b"\n")] == [event.document for event in events]
    assert [orjson.loads(text) for text in found.xmls.split(b"\n")] == [event.xml for event in events]
    assert list(found.ids) == [event.id for event in events]


@pytest.mark.parametrize(
    "bad",
    [
        b'{"a":1}\n', b'\t"x"\n', b'{"a":1}\t"x"\t\n', b'{"a":1}\t"x"\n\n', b'{"a":\n1}\t"x"\n', b'{"a":1}\t\n',
        b'{"a":1}\t', b'[1]\t"x"\n', b'{"a":1}\t[]\n', b"\n", b"",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_record_with_other_separators_never_shifts_its_neighbours(bad: bytes, place: int) -> None:
    """A spool that was mended by hand, or an older version's: the document of one event is never shown as another's."""
    events = [made(number) for number in range(3)]
    lines = [line(event) for event in events]
    lines[place] = bad

    found, unstorable = entries(spelled(lines, events), NOON)

    documents = dict(zip(found.ids, found.documents.split(b"\n"), strict=True))
    for number, event in enumerate(events):
        if number != place:
            assert orjson.loads(documents[event.id]) == event.document
    assert len(found) + len(unstorable) == 3


def test_small_runs_are_joined_until_a_portion_is_full() -> None:
    """Blocks compress better when they are large, and are read faster when they are not too large."""
    lines = [b"x" * 9] * 4
    found = list(portions([run(lines, start) for start in range(0, 40, 4)], size=100, rows=1000))

    assert [len(portion) for portion in found] == [8, 8, 8, 8, 8]
    assert [time for portion in found for time in portion.times] == list(range(40))
    assert all(len(portion.documents.split(b"\n")) == len(portion) for portion in found)


def test_a_run_that_is_too_large_is_parted_between_its_events() -> None:
    """The limit of a message is far above a block; and one event may be larger than any block."""
    lines = [b"a" * 30, b"b" * 30, b"c" * 500, b"d" * 30, b"e" * 30, b"f" * 30]
    by_size = list(portions([run(lines)], size=100, rows=1000))
    by_rows = list(portions([run(lines)], size=10_000, rows=4))

    assert [bytes(portion.documents).split(b"\n") for portion in by_size] == [lines[:2], lines[2:3], lines[3:6]]
    assert [list(portion.times) for portion in by_rows] == [[0, 1, 2, 3], [4, 5]]
    assert [portion.xmls.split(b"\n") for portion in by_rows] == [lines[:4], lines[4:]]


class _Body(bytes):
    """Knows how often it was cut."""

    cuts = 0

    def split(self, *arguments: Any) -> list[bytes]:
        self.cuts += 1
        return super().split(*arguments)


def test_a_large_run_is_cut_once_however_many_portions_it_makes() -> None:
    """Cut anew for each, the 100 blocks of one full message took 15 s, and nobody else got a turn meanwhile."""
    whole = run([b"x" * 99] * 500)
    bodies = _Body(whole.documents), _Body(whole.xmls)

    found = list(portions([Run(whole.times, whole.ids, whole.keys, *bodies)], size=1000, rows=1000))

    assert [len(portion) for portion in found] == [10] * 50
    assert [body.cuts for body in bodies] == [2, 1]  # the first of them is measured as well


def test_a_run_is_parted_in_one_go_by_any_rows() -> None:
    """By days: a source with a wild clock names three hundred of them in one message."""
    lines = [b"%d" % number for number in range(400)]
    whole = run(lines)
    bodies = _Body(whole.documents), _Body(whole.xmls)
    groups = [list(range(day, 400, 100)) for day in range(100)]

    found = list(Run(whole.times, whole.ids, whole.keys, *bodies).parted(groups))

    assert [list(part.times) for part in found] == groups
    assert [part.documents.split(b"\n") for part in found] == [[lines[row] for row in rows] for rows in groups]
    assert [body.cuts for body in bodies] == [1, 1]
