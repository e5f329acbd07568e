"""A conversation with one source, as a play: when the next Pull leaves, and what is done when something breaks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from collector.errors import Backpressure
from collector.model import Bookmark
from collector.pull.conversation import Conversation
from collector.pull.line import Line
from collector.pull.turns import Allowance
from collector.subscriptions.subscription import DeliverySettings, Spoofing
from collector.wire.connection import Answer
from tests.pull.stage import (
    ID,
    PC01,
    PULLED,
    URL,
    Cue,
    House,
    Stage,
    bookmark,
    contexts,
    envelope,
    event,
    fault,
    pulled,
    renewed,
    spoken,
    subscribed,
    trouble,
)
from tests.routing.scripted_sink import eventually


async def test_events_are_safe_with_their_bookmark_and_the_next_pull_has_the_newest_context(tmp_path: Path) -> None:
    """The whole of pull in its simplest form: Windows' context is new in every answer."""
    house = House(tmp_path)
    stage = Stage(subscribed(), pulled(1, 2, context="uuid:C1"), pulled(3, context="uuid:C2"))

    await house.play(stage)

    assert len(house.sink.taken) == 3
    assert house.bookmark() == bookmark(3)
    assert stage.plot == ["Subscribe", "Pull", "Pull", "Pull", "Unsubscribe"]
    assert contexts(stage) == ["uuid:C0", "uuid:C1", "uuid:C2"]
    assert stage.connections == 2  # the last Pull had no answer, and its connection cannot be used for anything else


async def test_the_next_pull_leaves_only_after_the_last_answer_is_safe(tmp_path: Path) -> None:
    """A Pull is the acknowledgement: after it the source has forgotten what it sent before."""
    house = House(tmp_path, "hang", patience=3600.0)
    stage = Stage(subscribed(), pulled(1), pulled(2))
    conversation = house.conversation(stage)
    task = asyncio.ensure_future(conversation.run())

    await eventually(lambda: bool(house.sink.called))
    assert stage.plot == ["Subscribe", "Pull"]
    assert house.bookmark() is None

    house.sink.let_go()
    await stage.over.wait()
    assert stage.plot == ["Subscribe", "Pull", "Pull", "Pull"]
    assert house.bookmark() == bookmark(2)
    conversation.retire()
    await task


async def test_it_resumes_from_the_bookmark_in_the_store(tmp_path: Path) -> None:
    """After a restart, whoever was pulled before goes on where it stopped."""
    house = House(tmp_path)
    await house.store.save_bookmark(PC01.key, ID, Bookmark(bookmark(41)))
    stage = Stage(subscribed())

    await house.play(stage)

    assert stage.heard[0].value("w:Bookmark") == bookmark(41)
    assert stage.heard[-1].value("e:Identifier") == "SUB-1"


NOTHING: dict[str, Cue] = {
    "empty items": pulled(context="uuid:C1"),
    "no items at all": envelope(
        "http://schemas.xmlsoap.org/ws/2004/09/enumeration/PullResponse",
        "<n:PullResponse><n:EnumerationContext>uuid:C1</n:EnumerationContext></n:PullResponse>",
    ),
    "end of sequence": pulled(context="uuid:C1", extra="<n:EndOfSequence/>"),
}


@pytest.mark.parametrize("cue", NOTHING.values(), ids=list(NOTHING))
async def test_nothing_now_is_said_in_several_ways(tmp_path: Path, cue: Cue) -> None:
    """Each means: ask again, with the context that came; the source was there."""
    house = House(tmp_path)
    stage = Stage(subscribed(), cue, pulled(7, context="uuid:C2"))

    await house.play(stage)

    assert contexts(stage)[:2] == ["uuid:C0", "uuid:C1"]
    assert house.bookmark() == bookmark(7)
    assert house.presences.all()[0].last_heartbeat is not None
    assert house.refusal == ""


async def test_after_timed_out_the_same_context_is_asked_again(tmp_path: Path) -> None:
    """openwsman says so and keeps its context; no trouble is reported ([DSP0226] R10.2.9.5-5)."""
    house = House(tmp_path)
    timed_out = fault("w:TimedOut", 0x80338029)
    stage = Stage(subscribed(), timed_out, timed_out, pulled(7, context=None), pulled(8, context=None))

    await house.play(stage)

    assert set(contexts(stage)) == {"uuid:C0"}
    assert house.bookmark() == bookmark(8)
    assert house.refusal == ""


async def test_a_source_that_says_nothing_at_once_is_not_asked_all_the_time(tmp_path: Path) -> None:
    """It should have waited for events; one that does not would be asked thousands of times in a second."""
    house = House(tmp_path)

    await house.play(Stage(subscribed(), *[pulled(context="uuid:C1")] * 5))

    assert house.slept == [1.0, 2.0, 4.0, 5.0, 5.0]


LOST: dict[str, Cue] = {
    "no answer in time": trouble("timeout", sent=True),
    "the connection is cut": trouble("cut", sent=True),
    "a seal that does not fit": trouble("sealing", sent=True),
    "the session is gone": trouble("authentication", sent=True),
    "an unknown charset": trouble("charset", sent=True),
    "HTML": spoken("<html><body>Service Unavailable</body></html>"),
    "no XML": spoken("what?"),
    "a DOCTYPE": spoken("<!DOCTYPE x><x/>"),
    "an answer to somebody else": lambda _: pulled(9)("uuid:99999999-0000-4000-8000-000000000000"),
    "an answer to something else": subscribed(),
    "a redirect": Answer(302, "", b""),
    "no body": Answer(200, "", b""),
}


@pytest.mark.parametrize("cue", LOST.values(), ids=list(LOST))
async def test_a_pull_whose_answer_broke_is_never_repeated(tmp_path: Path, cue: Cue) -> None:
    """The source has moved on: what was in the answer is only to be had from the bookmark."""
    house = House(tmp_path)
    stage = Stage(
        subscribed(),
        pulled(1, context="uuid:C1"),
        cue,
        envelope("http://schemas.xmlsoap.org/ws/2004/08/eventing/UnsubscribeResponse", ""),
        subscribed("uuid:D0", "SUB-2"),
        pulled(2, context="uuid:D1"),
    )

    await house.play(stage)

    assert stage.plot[:6] == ["Subscribe", "Pull", "Pull", "Unsubscribe", "Subscribe", "Pull"]
    assert contexts(stage)[:4] == ["uuid:C0", "uuid:C1", "uuid:D0", "uuid:D1"]
    assert stage.heard[3].value("e:Identifier") == "SUB-1"
    assert stage.heard[4].value("w:Bookmark") == bookmark(1)
    assert house.bookmark() == bookmark(2)
    assert house.slept == [0.5]  # back-off before it is called again


async def test_a_pull_that_never_reached_the_source_is_said_again(tmp_path: Path) -> None:
    """Then the context is as good as before; an idle connection that the source closed costs nothing else."""
    house = House(tmp_path)
    stage = Stage(subscribed(), trouble("refused", sent=False), pulled(1))

    await house.play(stage)

    assert stage.plot[:3] == ["Subscribe", "Pull", "Pull"]
    assert contexts(stage)[:2] == ["uuid:C0", "uuid:C0"]
    assert house.refusal == "refused: http://pc01.corp.example:5985/wsman: refused"


@pytest.mark.parametrize(
    "cue",
    [fault("n:InvalidEnumerationContext"), fault("w:InternalError", 0x80338008), fault("w:InternalError", 0x8033800A)],
    ids=["invalid context", "subscription closed", "no call within the heartbeat"],
)
async def test_a_subscription_that_the_source_forgot_is_made_again_from_the_bookmark(tmp_path: Path, cue: Cue) -> None:
    """Every reboot does that; there is nothing to unsubscribe, and the first time nothing to wait for."""
    house = House(tmp_path)
    stage = Stage(subscribed(), pulled(1), cue, subscribed("uuid:D0"), pulled(2))

    await house.play(stage)

    assert stage.plot[:5] == ["Subscribe", "Pull", "Pull", "Subscribe", "Pull"]
    assert stage.heard[3].value("w:Bookmark") == bookmark(1)
    assert house.slept == []


async def test_a_source_that_forgets_every_subscription_is_not_asked_faster_than_back_off(tmp_path: Path) -> None:
    """Two machines with one name behind a balancer do that; a loop would be an attack on them."""
    house = House(tmp_path)
    forgetful = [subscribed(), fault("n:InvalidEnumerationContext")] * 12

    await house.play(Stage(*forgetful))

    assert house.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 150.0, 150.0, 150.0]
    assert house.refusal.startswith("protocol: n:InvalidEnumerationContext")


async def test_it_is_called_for_ever_with_doubling_pauses(tmp_path: Path) -> None:
    """A machine may be away for months; its state says why."""
    house = House(tmp_path)

    await house.play(Stage(*[trouble("unreachable", sent=False)] * 11, subscribed(), pulled(1)))

    assert house.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 150.0, 150.0]
    assert house.bookmark() == bookmark(1)


REFUSED: dict[str, tuple[Cue, str]] = {
    "access denied": (fault("w:AccessDenied", 5), "access-denied: w:AccessDenied 5: the account needs Event Log Read"),
    "a channel it may not read": (
        fault("e:EventSourceUnableToProcess", 5, provider="Event Forwarding Plugin"),
        "channel: e:EventSourceUnableToProcess 5: the account cannot read a channel",
    ),
    "no such channel": (fault("w:InternalError", 15007), "channel: w:InternalError 15007: "),
    "no such channel as HRESULT": (fault("w:InternalError", 0x80073A9F), "channel: w:InternalError 15007: "),
    "quota": (fault("w:InternalError", 2150859174), "quota: w:InternalError 0x803381A6: exhausted: concurrent operat"),
    "quota by subcode": (fault("w:QuotaLimit"), "quota: w:QuotaLimit: exhausted"),
    "anything else": (fault("w:UnsupportedFeature", 0x80338094), "protocol: w:UnsupportedFeature 0x80338094: no"),
}


@pytest.mark.parametrize(("cue", "said"), REFUSED.values(), ids=list(REFUSED))
async def test_a_refusal_is_shown_with_its_reason_and_remedy(tmp_path: Path, cue: Cue, said: str) -> None:
    """``wef sources`` is where an administrator looks first."""
    house = House(tmp_path)

    await house.play(Stage(cue))

    assert house.refusal.startswith(said)
    assert house.slept == [15.0 if "quota" in said else 0.5]


async def test_a_refused_bookmark_is_dropped_loudly_and_the_whole_log_is_read(tmp_path: Path) -> None:
    """It can never work again. To begin "from now" would lose what the log still holds; repetitions collapse by id."""
    house = House(tmp_path)
    await house.store.save_bookmark(PC01.key, ID, Bookmark(bookmark(41)))
    stage = Stage(fault("w:InvalidBookmark", 0x80338050, detail="Expired"), subscribed(), pulled(7), pulled(8))

    await house.play(stage)

    assert "<w:Bookmark>" not in stage.heard[1].text
    assert "ReadExistingEvents" in stage.heard[1].text
    assert house.bookmark() == bookmark(8)
    assert house.slept == []


async def test_answers_that_do_not_fit_are_asked_for_smaller_and_grow_again(tmp_path: Path) -> None:
    """A single burst of large events must not make a source slow for ever."""
    house = House(tmp_path)
    too_large = fault("w:EncodingLimit", detail="MaxEnvelopeSize")
    full = pulled(*range(1, 257))
    stage = Stage(
        subscribed(), too_large, envelope("x", ""), subscribed(), trouble("too-large", sent=True), envelope("x", ""),
        subscribed(), full, full, full, full,
    )  # fmt: skip

    await house.play(stage)

    asked = [int(heard.value("MaxElements")) for heard in stage.heard if heard.action == "Pull"]
    assert asked == [32000, 512, 256, 256, 256, 256, 512]
    assert len(house.slept) == 1, "who sends more than it was asked for, 16 MiB at a time, is not asked at once"


async def test_one_event_that_is_too_large_is_asked_for_in_larger_envelopes_and_then_named(tmp_path: Path) -> None:
    """It blocks its source, so the last word has to say so; nothing behind it is skipped."""
    house = House(tmp_path)
    answer = fault("w:EncodingLimit", detail="MaxEnvelopeSize")
    rounds = [cue for _ in range(16) for cue in (subscribed(), answer, envelope("x", ""))]

    stage = Stage(*rounds)
    await house.play(stage)

    sizes = [int(heard.value("MaxEnvelopeSize")) for heard in stage.heard if heard.action == "Pull"]
    assert sizes[0] == 512000
    assert sizes[-1] == 8 * 2**20
    assert house.refusal.startswith("too-large: w:EncodingLimit/MaxEnvelopeSize")


async def test_one_pull_at_a_time(tmp_path: Path) -> None:
    """Whatever made the source think that there are two: neither context can be trusted."""
    house = House(tmp_path)
    stage = Stage(subscribed(), fault("w:InternalError", 0x8033808B), envelope("x", ""), subscribed("uuid:D0"))

    await house.play(stage)

    assert stage.plot[:4] == ["Subscribe", "Pull", "Unsubscribe", "Subscribe"]


async def test_a_subscription_that_ends_is_renewed_or_made_again(tmp_path: Path) -> None:
    """Windows renews nothing (e:UnableToRenew), others do."""
    house = House(tmp_path)
    stage = Stage(
        subscribed(expires="PT10S"), *[pulled()] * 4, renewed("PT10S"),
        *[pulled()] * 2, fault("e:UnableToRenew", 0x80338024), envelope("x", ""), subscribed("uuid:D0"), pulled(1),
    )  # fmt: skip

    await house.play(stage)

    assert stage.plot[:12] == [
        "Subscribe", *["Pull"] * 4, "Renew", *["Pull"] * 2, "Renew", "Unsubscribe", "Subscribe", "Pull",
    ]  # fmt: skip
    assert house.bookmark() == bookmark(1)


async def test_an_artificial_first_event_only_moves_the_bookmark(tmp_path: Path) -> None:
    """Event 111 is no log event; nothing goes to a sink, and a good bookmark is not replaced by it."""
    house = House(tmp_path)
    text = (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider"
        " Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID></System>"
        "<SubscriptionBookmarkEvent><SubscriptionId></SubscriptionId></SubscriptionBookmarkEvent></Event>"
    )
    backward = '<BookmarkList Direction="backward"><Bookmark Channel="System" RecordId="7"/></BookmarkList>'
    marker = envelope(
        "http://schemas.xmlsoap.org/ws/2004/09/enumeration/PullResponse",
        f"<n:PullResponse><n:EnumerationContext>uuid:C1</n:EnumerationContext><n:Items>{text}</n:Items></n:PullResponse>",
        f"<w:Bookmark>{backward}</w:Bookmark>",
    )

    await house.play(Stage(subscribed(), marker))
    assert house.bookmark() == backward
    await house.play(Stage(subscribed(), pulled(9), marker))

    assert house.bookmark() == bookmark(9)
    assert len(house.sink.taken) == 1


async def test_a_batch_that_is_not_safe_yet_is_offered_again_and_not_pulled_again(tmp_path: Path) -> None:
    """The source still waits for the next Pull, so the same answer can wait as well."""
    house = House(tmp_path)
    stage = Stage(subscribed(), pulled(1))
    house.trouble = Backpressure("state", "the disk is full")
    house.mends_after = 2

    await house.play(stage)

    assert stage.plot == ["Subscribe", "Pull", "Pull", "Unsubscribe"]
    assert house.bookmark() == bookmark(1)
    assert house.refusal == "backpressure: state: the disk is full"


async def test_a_batch_that_never_becomes_safe_is_dropped_with_its_context(tmp_path: Path) -> None:
    """No Pull and no bookmark: the source still has it all, and is asked from the bookmark when we can take it."""
    house = House(tmp_path)
    await house.store.save_bookmark(PC01.key, ID, Bookmark(bookmark(1)))
    house.trouble = Backpressure("spool_full", "the spool is full")
    stage = Stage(subscribed(), pulled(2), envelope("x", ""), subscribed("uuid:D0", "SUB-2"))

    await house.play(stage)

    assert stage.plot == ["Subscribe", "Pull", "Unsubscribe", "Subscribe", "Pull", "Unsubscribe"]
    assert contexts(stage) == ["uuid:C0", "uuid:D0"]
    assert stage.heard[3].value("w:Bookmark") == bookmark(1)
    assert sum(house.slept[:-1]) < 45.0
    assert house.company.bytes.held == 0
    assert house.sink.taken == []


async def test_events_of_another_machine_are_taken_by_nobody_where_the_subscription_says_so(tmp_path: Path) -> None:
    """They stay at the source, and its state says why."""
    house = House(tmp_path)
    stage = Stage(subscribed(), pulled(1), envelope("x", ""))
    other = replace(PC01, name="pc99.corp.example", key="pc99.corp.example")
    page = house.book.open(other, ID, "pulled")
    conversation = house.conversation(stage, replace(PULLED, spoofing=Spoofing(policy="reject")))
    conversation._page = page
    conversation._caller = other
    task = asyncio.ensure_future(conversation.run())
    await stage.over.wait()
    conversation.retire()
    await task

    assert stage.plot[:4] == ["Subscribe", "Pull", "Unsubscribe", "Subscribe"]
    assert house.refusal.startswith("protocol: computer: the event says 'pc01'")
    assert house.sink.taken == []


async def test_whose_answers_take_long_to_be_read_is_asked_seldom(tmp_path: Path) -> None:
    """A source that makes them so would be asked again at once, and nobody else be served."""
    house = House(tmp_path)
    stage = Stage(
        subscribed(), pulled(1, context="uuid:C1"), pulled(2, context="uuid:C2"), pulled(3, context="uuid:C3")
    )
    ticks = iter([0.0, 0.01, 0.0, 0.5, 0.0, 9.0, 0.0, 0.2])
    line = Line(URL, stage.connect, lambda: next(ticks, 0.0))
    page = house.book.open(PC01, PULLED.id, PULLED.name)
    conversation = Conversation(PULLED, line, page, Allowance(10), house.company)
    task = asyncio.ensure_future(conversation.run())
    await stage.over.wait()
    conversation.retire()
    await task

    assert house.slept == [10.0, 45.0]


async def test_small_answers_are_given_time_to_grow_and_full_ones_are_not(tmp_path: Path) -> None:
    """One event in each answer would be ten times the work; a backlog is fetched without a pause."""
    house = House(tmp_path)
    patient = replace(PULLED, delivery=DeliverySettings(max_latency=30.0, max_items=2))
    stage = Stage(subscribed(), pulled(1, 2), pulled(3, 4), pulled(5), pulled(6))

    await house.play(stage, patient)

    assert house.slept == [4.375, 4.375]


async def test_it_leaves_its_place_when_others_wait_and_comes_back(tmp_path: Path) -> None:
    """More sources than places: everybody gets a minute, and goes on from the bookmark."""
    house = House(tmp_path)
    host = Allowance(1)
    first, second = Stage(subscribed(), *[pulled(n) for n in range(1, 40)]), Stage(subscribed(), pulled(50))
    slow = replace(PULLED, delivery=DeliverySettings(max_latency=30.0))
    one = house.conversation(first, slow, host)
    other = house.conversation(second, replace(slow, id=ID[:-1] + "6"), host)
    tasks = [asyncio.ensure_future(one.run()), asyncio.ensure_future(other.run())]

    await second.over.wait()
    assert first.plot == ["Subscribe", *["Pull"] * 14, "Unsubscribe"]
    assert house.bookmark() == bookmark(14)

    for conversation in (one, other):
        conversation.retire()
    await asyncio.gather(*tasks)


async def test_answers_wait_for_their_turn_at_the_sinks(tmp_path: Path) -> None:
    """A burst of all sources at once would overrun the lanes and go through the spool; here it costs a moment."""
    house = House(tmp_path)
    await house.company.saving.take(1)
    house.company.saving.limit = 1
    stage = Stage(subscribed(), pulled(1))
    conversation = house.conversation(stage)
    task = asyncio.ensure_future(conversation.run())
    await eventually(lambda: house.company.saving.wanted)
    assert house.sink.taken == []
    assert stage.plot == ["Subscribe", "Pull"]

    house.company.saving.give(1)
    await stage.over.wait()
    assert len(house.sink.taken) == 1
    assert house.bookmark() == bookmark(1)

    conversation.retire()
    await task
    assert house.company.saving.held == 0


async def test_who_retires_before_its_turn_at_the_sinks_leaves_the_batch_to_the_source(tmp_path: Path) -> None:
    """No bookmark was saved for it, so the next Subscribe begins before it."""
    house = House(tmp_path)
    await house.company.saving.take(2**31)
    stage = Stage(subscribed(), pulled(1))
    conversation = house.conversation(stage)
    task = asyncio.ensure_future(conversation.run())
    await eventually(lambda: house.company.saving.wanted)

    conversation.retire()
    await task

    assert stage.plot == ["Subscribe", "Pull", "Unsubscribe"]
    assert house.sink.taken == []
    assert house.bookmark() is None
    assert house.company.saving.held == 2**31


async def test_who_retires_while_it_waits_goes_at_once(tmp_path: Path) -> None:
    """SIGTERM comes in the middle of a back-off of minutes."""
    house = House(tmp_path)
    stage = Stage(trouble("refused", sent=False))
    resting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        resting.set()
        await asyncio.Event().wait()

    object.__setattr__(house.company, "sleep", sleep)
    conversation = house.conversation(stage)
    task = asyncio.ensure_future(conversation.run())
    await resting.wait()

    conversation.retire()
    await task

    assert stage.plot == ["Subscribe"]
    assert house.company.places.held == 0
    assert house.company.bytes.held == 0


async def test_a_subscribe_under_way_is_heard_out_and_taken_back(tmp_path: Path) -> None:
    """What it made at the source would live on there, and hold one of the 15 operations that our account may have."""
    house = House(tmp_path)
    house.company = replace(house.company, grace=60.0)
    stage = Stage(subscribed())
    stage.goes_on.clear()
    conversation = house.conversation(stage)
    task = asyncio.ensure_future(conversation.run())
    await stage.asked.wait()

    conversation.retire()
    await asyncio.sleep(0)
    stage.goes_on.set()
    await task

    assert stage.plot == ["Subscribe", "Unsubscribe"]


async def test_a_subscribe_that_is_never_answered_does_not_hold_us(tmp_path: Path) -> None:
    """A dead source must not cost the whole time to drain."""
    house = House(tmp_path)
    house.company = replace(house.company, grace=0.01)
    stage = Stage()
    conversation = house.conversation(stage)
    task = asyncio.ensure_future(conversation.run())
    await stage.over.wait()

    conversation.retire()
    await task

    assert stage.plot == ["Subscribe"]


async def test_a_farewell_that_fails_is_no_trouble(tmp_path: Path) -> None:
    """The source finds out by itself, within its EnumerationTimeoutms."""
    house = House(tmp_path)
    stage = Stage(subscribed())
    conversation = house.conversation(stage)
    task = asyncio.ensure_future(conversation.run())
    await stage.over.wait()
    stage.script.append(trouble("refused", sent=False))

    conversation.retire()
    await task

    assert stage.plot == ["Subscribe", "Pull", "Unsubscribe"]


async def test_what_comes_twice_and_what_goes_back_is_taken_as_it_is(tmp_path: Path) -> None:
    """The source knows its own log best: it may have been cleared. Repetitions collapse by their id."""
    house = House(tmp_path)

    await house.play(Stage(subscribed(), pulled(5, 5), pulled(2)))

    assert len(house.sink.taken) == 3
    assert len(set(house.sink.taken)) == 2
    assert house.bookmark() == bookmark(2)


async def test_dropped_events_are_counted(tmp_path: Path) -> None:
    """What the source itself lost is lost, and somebody has to know."""
    house = House(tmp_path)
    dropped = '<w:DroppedEvents Action="http://schemas.dmtf.org/wbem/wsman/1/wsman/DroppedEvents">4</w:DroppedEvents>'
    answer = envelope(
        "http://schemas.xmlsoap.org/ws/2004/09/enumeration/PullResponse",
        "<n:PullResponse><n:EnumerationContext>uuid:C1</n:EnumerationContext>"
        f"<n:Items>{event(1)}{dropped}</n:Items></n:PullResponse>",
    )

    await house.play(Stage(subscribed(), answer))

    assert house.presences.all()[0].dropped == 4
