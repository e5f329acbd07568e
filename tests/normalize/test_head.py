"""What is remembered of headers, and what is too long to be."""

from __future__ import annotations

from collector.kernel.fields import read_event
from collector.normalize import default_rules
from collector.normalize.head import head
from tests.normalize.samples import event


def test_a_kind_of_event_is_worked_out_once() -> None:
    """Some hundred kinds make up a log; this is a fifth of what an event costs."""
    first, second = (read_event(event(record=f"<EventRecordID>{n}</EventRecordID>")) for n in (1, 2))

    assert head(first, default_rules()) is head(second, default_rules())
    assert head(first, None) is not head(first, default_rules())


def test_headers_made_to_fill_memory_are_not_remembered() -> None:
    """A source may claim any provider; thousands of long ones must not stay."""
    long = read_event(event(provider="p" * 2000))

    assert head(long, None) == head(long, None)
    assert head(long, None) is not head(long, None)
