"""What a subscription says next, without a network and with the time in hand."""

from __future__ import annotations

from dataclasses import replace

from collector.simulate.log import EventLog
from collector.simulate.reading import Beat, Parcel, Reading, Wait
from collector.wsman.messages import Offer

OFFER = Offer(
    name="all",
    identifier="A",
    version="V",
    revision="",
    notify_to="http://127.0.0.1/",
    profile=None,
    issuer=None,
    query="",
    bookmark=None,
    read_existing_events=True,
    content_format="Raw",
    locale=None,
    compression=False,
    ignore_channel_error=True,
    heartbeat=60.0,
    max_time=30.0,
    max_elements=None,
    max_envelope_size=512000,
    retry_interval=60.0,
    retry_total=5,
)


def reading(log: EventLog, offer: Offer = OFFER, **start: int) -> Reading:
    """A reading that has already had its first heartbeat acknowledged, at time 0."""
    made = Reading(offer, log, start=start, selects=lambda _: True, size=len, frame=1000)
    assert made.step(0.0) == Beat()
    made.acknowledged(0.0)
    return made


def logged(*channels: str, capacity: int | None = None) -> EventLog:
    log = EventLog("pc1", capacity)
    for number, channel in enumerate(channels):
        log.append(channel, lambda _, number=number: f"<Event>{number}</Event>")  # type: ignore[misc]
    return log


def test_a_batch_waits_for_company_no_longer_than_max_time() -> None:
    """The latency that the operator chose: 30 s after the first event was picked up, not after the last."""
    log = logged("System")
    made = reading(log)

    assert made.step(10.0) == Wait(30.0)
    log.append("System", lambda _: "<Event>1</Event>")
    assert made.step(39.0) == Wait(1.0)
    step = made.step(40.0)
    assert isinstance(step, Parcel)
    assert step.events == ("<Event>0</Event>", "<Event>1</Event>")


def test_a_full_batch_does_not_wait() -> None:
    """MaxElements reached: waiting would only cost time."""
    step = reading(logged(*["System"] * 5), replace(OFFER, max_elements=2)).step(0.0)

    assert isinstance(step, Parcel)
    assert len(step.events) == 2


def test_a_heartbeat_comes_after_silence_even_while_a_batch_waits_for_company() -> None:
    """R10.2.5-2: within the interval something is sent; R10.2.5-4: the timer restarts with events."""
    log = EventLog("pc1")
    made = reading(log)

    assert made.step(59.0) == Wait(1.0)
    log.append("System", lambda _: "<Event/>")
    assert made.step(59.5) == Wait(0.5)
    assert made.step(60.0) == Beat()
    made.acknowledged(60.0)
    assert made.step(60.0) == Wait(29.5)
    assert isinstance(made.step(89.5), Parcel)
    made.acknowledged(90.0)
    assert made.step(91.0) == Wait(59.0)


def test_without_an_acknowledgement_the_same_parcel_is_said_again_although_more_has_happened() -> None:
    """What was on the wire once must come again unchanged, or the bookmark would lie."""
    log = logged("System")
    made = reading(log, replace(OFFER, max_time=0.0))
    first = made.step(1.0)
    log.append("System", lambda _: "<Event>later</Event>")

    assert made.step(2.0) is first
    made.acknowledged(3.0)
    following = made.step(3.0)
    assert isinstance(following, Parcel)
    assert following.events == ("<Event>later</Event>",)


def test_reading_resumes_after_the_bookmark_in_each_channel_and_from_the_start_where_it_names_none() -> None:
    """R10.2.6-4, and what Windows does with a channel that a bookmark does not know: it replays all of it."""
    log = logged("System", "Security", "System", "Security")
    step = reading(log, replace(OFFER, max_time=0.0), System=log.newest("System") - 1).step(1.0)

    assert isinstance(step, Parcel)
    assert step.sequences == (1, 2, 3)


def test_records_that_rolled_out_of_the_log_unread_are_counted_as_lost() -> None:
    """A collector that was away too long; the verdict must say so."""
    log = logged(*["System"] * 100, capacity=8)
    made = reading(log, replace(OFFER, max_time=0.0))
    step = made.step(1.0)

    assert isinstance(step, Parcel)
    assert made.lost == 100 - len(step.events) > 80


def test_a_reading_is_settled_only_when_everything_was_acknowledged() -> None:
    """Else a run would end too early and call itself ok."""
    made = reading(logged("System"), replace(OFFER, max_time=0.0))
    assert not made.settled
    made.step(1.0)
    assert not made.settled
    made.acknowledged(1.0)

    assert made.settled


def test_a_collector_without_heartbeats_and_limits_is_served_all_the_same() -> None:
    """The C++ TLS collector offers hardly anything; nothing offered must not mean a flood."""
    bare = replace(OFFER, heartbeat=0.0, max_time=0.0, max_envelope_size=0, retry_total=0)
    log = EventLog("pc1")
    made = reading(log, bare)

    assert made.step(1e6) == Wait(float("inf"))
    log.append("System", lambda _: "<Event/>")
    assert isinstance(made.step(1e6), Parcel)
