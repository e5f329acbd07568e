"""Who is there, and since when silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from collector.evidence.presence import Presences, lag_of, state_of
from collector.model import Caller
from collector.store.base import Presence

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PC = Caller("pc01.corp.example", "PC01.corp.example", "PC01.corp.example", "certificate", "192.0.2.7")


def entry(*, event: float | None = None, heartbeat: float | None = None) -> Presence:
    def ago(seconds: float | None) -> datetime | None:
        return None if seconds is None else NOW - timedelta(seconds=seconds)

    return Presence(
        "pc", "pc", "192.0.2.7", "s", NOW - timedelta(days=1), NOW, last_event=ago(event), last_heartbeat=ago(heartbeat)
    )


@pytest.mark.parametrize(
    ("event", "heartbeat", "state"),
    [
        (10, None, "active"),
        (100, 10, "alive"),
        (110, None, "alive"),
        (500, 500, "silent"),
        (None, 119, "alive"),
        (None, 121, "silent"),
        (None, None, "silent"),
    ],
)
def test_a_source_owes_a_sign_of_life_within_its_heartbeat(
    event: float | None, heartbeat: float | None, state: str
) -> None:
    """[DSP0226] R10.2.5-2 with a heartbeat of 60 s; twice that before it counts as silent."""
    assert state_of(entry(event=event, heartbeat=heartbeat), 60, NOW) == state


def test_asking_for_subscriptions_is_no_sign_that_one_of_them_works() -> None:
    """A source that enumerates for ever and delivers nothing is the case operators look for."""
    book = Presences()
    book.seen(PC, "s", NOW)

    (presence,) = book.all()

    assert presence.last_seen == NOW
    assert state_of(presence, 60, NOW) == "silent"


def test_the_running_total_of_dropped_events_is_counted_once() -> None:
    """DroppedEvents carries a total since the subscription began, and it comes with every batch."""
    book = Presences()

    assert [book.dropped(PC, "s", NOW, total) for total in (3, 3, 5, 2)] == [3, 0, 2, 2]


def test_only_what_changed_is_saved_again() -> None:
    """Ten thousand sources, a save each second."""
    book = Presences()
    book.heard(PC, "s", NOW)

    assert [presence.key for presence in book.changed()] == [PC.key]
    assert book.changed() == []


def test_the_version_a_source_runs_is_remembered() -> None:
    """It tells who has picked up a changed subscription."""
    book = Presences()
    book.heard(PC, "s", NOW, version="A")
    book.heard(PC, "s", NOW)

    assert book.all()[0].version == "A"


def test_lag_is_the_age_of_the_newest_event_when_it_arrived() -> None:
    """A source that works off a backlog shows it here."""
    book = Presences()
    book.delivered(PC, "s", NOW, events=3, newest=int((NOW - timedelta(seconds=90)).timestamp() * 1e9))

    assert lag_of(book.all()[0]) == 90
    assert book.all()[0].events == 3


def test_what_could_not_be_saved_is_offered_again() -> None:
    """A full disk for a moment, and a machine that then falls silent would be missing from the list for ever."""
    presences = Presences()
    presences.heard(PC, "s", NOW)
    entries = presences.changed()
    assert presences.changed() == []

    presences.unsaved(entries)

    assert presences.changed() == entries


def test_a_batch_without_a_time_of_its_own_leaves_the_newest_one() -> None:
    """An event with a broken time must not make a source look as if it had never sent any."""
    book = Presences()
    for newest in (int(NOW.timestamp() * 1e9), 0):
        book.delivered(PC, "s", NOW, events=1, newest=newest)
        assert book.all()[0].last_event_time == NOW
    assert [(entry.events, entry.last_event_time) for entry in book.changed()] == [(2, NOW)]

    book.delivered(PC, "s", NOW, events=1, newest=0)

    assert book.all()[0].last_event_time == NOW


def test_what_was_told_does_not_change_afterwards() -> None:
    """The store writes it in a thread of its own, while the next batch comes in."""
    book = Presences()
    book.delivered(PC, "s", NOW, events=1, newest=0)
    (told,), (listed,) = book.changed(), book.all()

    book.delivered(PC, "s", NOW, events=5, newest=0)

    assert (told.events, listed.events, book.all()[0].events) == (1, 1, 6)


def test_what_could_not_be_saved_is_saved_with_what_came_since() -> None:
    book = Presences()
    book.delivered(PC, "s", NOW, events=1, newest=0)
    unsaved = book.changed()
    book.delivered(PC, "s", NOW, events=2, newest=0)
    book.unsaved(unsaved)

    assert [entry.events for entry in book.changed()] == [3]


def test_more_sources_than_are_listed_are_served_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; evidence is not part of the guarantee."""
    monkeypatch.setattr("collector.evidence.presence.MOST", 1)
    book, other = Presences(), replace(PC, key="other")
    book.heard(PC, "s", NOW)
    book.heard(other, "s", NOW)
    book.delivered(other, "s", NOW, events=1, newest=0)
    book.refused(other, "s", NOW, "no")

    assert [book.dropped(other, "s", NOW, 3), len(book.all())] == [3, 1]
