"""A place in a log, drawn from: how far, how much, and what is passed."""

from __future__ import annotations

import pytest

from collector.simulate.host_cursor import Cursor, TooLarge
from collector.simulate.log import EventLog, Record


def logged(*channels: str, size: int = 10, capacity: int | None = None) -> EventLog:
    log = EventLog("pc1", capacity)
    for channel in channels:
        log.append(channel, lambda number: f"{number:x<{size}}")
    return log


def cursor(log: EventLog, selects: str = "", greeting: str | None = None, **start: int) -> Cursor:
    def meant(record: Record) -> bool:
        return not selects or record.channel == selects

    return Cursor(log, start=start, selects=meant, size=len, greeting=greeting)


def test_what_was_drawn_is_gone_whether_it_arrives_or_not() -> None:
    """Windows does not wait for an acknowledgement either: only a bookmark brings events back."""
    made = cursor(logged("A", "A", "A"))
    first, second = made.draw(2, 1000, 1000), made.draw(2, 1000, 1000)

    assert first is not None
    assert first.sequences == (0, 1)
    assert second is not None
    assert second.sequences == (2,)
    assert made.draw(2, 1000, 1000) is None
    assert made.at_end


def test_the_greeting_comes_first_and_alone() -> None:
    """Event 111; its bookmark is where the reading begins."""
    log = logged("A", "A")
    made = cursor(log, greeting="hello", A=log.newest("A") - 1)
    first, second = made.draw(9, 1000, 1000), made.draw(9, 1000, 1000)

    assert first is not None
    assert (first.events, first.sequences) == (("hello",), ())
    assert f'RecordId="{log.newest("A") - 1}"' in first.bookmark
    assert second is not None
    assert second.sequences == (1,)


def test_records_that_are_not_selected_are_passed_and_never_come_back() -> None:
    """Else a cursor would look at them again with every Pull."""
    log = logged("B", "B", "A")
    made = cursor(log, "A")
    drawn = made.draw(9, 1000, 1000)

    assert drawn is not None
    assert drawn.sequences == (2,)
    assert 'Channel="B"' not in drawn.bookmark
    log.append("B", str)
    assert made.draw(9, 1000, 1000) is None
    assert made.at_end


def test_room_ends_a_draught_and_an_event_larger_than_that_is_told_apart() -> None:
    """What the machine itself could send is refused, so that a larger envelope gets it; the rest is dropped."""
    made = cursor(logged("A", "A", "A", size=400))
    first = made.draw(9, 900, 2000)

    assert first is not None
    assert len(first.events) == 2
    with pytest.raises(TooLarge):
        made.draw(9, 399, 2000)
    dropped = made.draw(9, 399, 399)
    assert dropped is not None
    assert (dropped.events, dropped.dropped) == ((), 1)
    assert made.at_end


def test_what_rolled_out_of_the_log_is_counted() -> None:
    """The place is then the oldest record there is."""
    made = cursor(logged(*"A" * 40, capacity=8))
    drawn = made.draw(99, 10_000, 10_000)

    assert drawn is not None
    assert made.lost + len(drawn.events) == 40
