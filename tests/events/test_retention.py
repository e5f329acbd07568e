"""Claims about what retention drops."""

from __future__ import annotations

from collector.events.days import DAY
from collector.events.retention import FileFacts, expendable

NOW = 20_000 * DAY
GIB = 2**30


def fact(name: str, age: int, *, received: int | None = None, size: int = GIB) -> FileFacts:
    """A file of the day *age* days ago, last written *received* days ago (default: on its day)."""
    return FileFacts(name, size, NOW - age * DAY, NOW - (age if received is None else received) * DAY)


def test_a_file_goes_when_its_day_and_its_last_arrival_are_too_old() -> None:
    """Thirty days means thirty days after the event came, or evidence of a late laptop is gone in a minute."""
    files = [fact("old", 31), fact("late", 300, received=2), fact("young", 29)]

    assert expendable(files, NOW, 30 * DAY, 100 * GIB) == ["old"]


def test_size_takes_the_oldest_days_first() -> None:
    """What is asked for most is what is young."""
    files = [fact("c", 1), fact("a", 9), fact("b", 5)]

    assert expendable(files, NOW, 30 * DAY, 2 * GIB) == ["a"]
    assert expendable(files, NOW, 30 * DAY, GIB) == ["a", "b"]


def test_the_newest_file_stays_however_large() -> None:
    """Dropping the file that is being written would drop what was acknowledged a second ago."""
    assert expendable([fact("today", 0, size=900 * GIB)], NOW, 30 * DAY, GIB) == []


def test_a_day_that_has_not_come_is_as_old_as_its_last_arrival() -> None:
    """A clock set to 2099 must not make a file that nothing ever drops."""
    future = FileFacts("2099-01-01", GIB, NOW + 9_999 * DAY, NOW - 40 * DAY)

    assert expendable([future, fact("today", 0)], NOW, 30 * DAY, 100 * GIB) == ["2099-01-01"]
