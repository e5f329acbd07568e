"""The logs and ledgers of sources: what a verdict rests on."""

from __future__ import annotations

from collector.simulate.ledger import Ledger
from collector.simulate.log import EventLog


def test_an_event_counts_as_acknowledged_when_every_subscription_that_got_it_has_said_so() -> None:
    """One of two collectors' subscriptions failing must not hide behind the other."""
    ledger = Ledger()
    ledger.put_on_wire("a", [0, 1])
    ledger.confirm("a", [0, 1])
    assert (ledger.sent, ledger.acknowledged) == (2, 2)

    ledger.put_on_wire("b", [1])
    assert (ledger.sent, ledger.acknowledged) == (2, 1)
    ledger.confirm("b", [1])

    assert (ledger.sent, ledger.acknowledged, ledger.duplicates) == (2, 2, 0)
    assert ledger.confirmed() == [0, 1]


def test_what_goes_out_again_is_a_duplicate_and_not_a_second_event() -> None:
    """sent counts distinct events."""
    ledger = Ledger()
    ledger.put_on_wire("a", [3, 4])
    ledger.put_on_wire("a", [3, 4])
    ledger.confirm("a", [3])
    ledger.confirm("a", [3, 9])

    assert (ledger.sent, ledger.acknowledged, ledger.duplicates) == (2, 1, 2)
    assert ledger.open("a") == [4]


def test_record_numbers_count_per_channel_and_a_full_log_forgets_its_oldest() -> None:
    """As on Windows; and the memory of a long run is bounded."""
    log = EventLog("pc1", capacity=10)
    start = log.newest("System")
    for _ in range(50):
        log.append("System", lambda record_id: f"{record_id}")
    log.append("Security", lambda record_id: f"{record_id}")

    held = list(log.since(0))
    assert 10 <= len(held) <= 12
    assert held[-2].record_id == int(held[-2].xml) == start + 50
    assert held[-1].record_id == log.newest("Security")
    assert [record.sequence for record in held] == list(range(log.oldest, 51))
    assert log.record(0) is None
    assert log.record(50) is held[-1]


def test_a_log_goes_on_after_an_old_bookmark_but_never_changes_numbers_it_has_given() -> None:
    """A bookmark of an earlier life moves an unused channel on; a used one has a history of its own."""
    log = EventLog("pc1")
    log.append("System", lambda _: "")
    used = log.newest("System")
    log.go_on_after({"System": 10**6, "Security": 10**6})

    assert log.newest("System") == used
    assert log.append("Security", lambda _: "").record_id == 10**6 + 1
