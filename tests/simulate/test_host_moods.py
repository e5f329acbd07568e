"""A machine in a bad mood, and what a collector's own wire and reader make of it: nothing is believed that is wrong."""

from __future__ import annotations

import pytest

from collector.simulate.host_manners import MOODS, HostManners, spoilt
from collector.wire.trouble import Trouble
from collector.wsman.answers import Pulled, SourceFault
from collector.wsman.header import EnvelopeError
from tests.simulate.caller import record_numbers, standing

pytestmark = pytest.mark.slow
"""Each takes its second or more; ``./tests/run`` runs them."""


@pytest.mark.parametrize(
    ("mood", "reasons"),
    [
        ("cut", {"cut"}),
        ("cut-header", {"cut", "http"}),
        ("cut-body", {"cut"}),
        ("cut-answer", {"cut"}),
        ("foreign-charset", {"charset"}),
        ("endless", {"too-large"}),
        ("drip", {"timeout"}),
        ("dead", {"timeout"}),
        ("reboot", {"cut"}),
    ],
)
async def test_the_wire_names_what_went_wrong(mood: str, reasons: set[str]) -> None:
    """A word for the state of the source, and no answer."""
    async with standing(f"pull:{mood}") as stand:
        caller = stand.caller(stand.connection(timeout=1.0 if reasons == {"timeout"} else 20.0))
        await caller.subscribe(read_existing_events=True)
        stand.happen(2)
        with pytest.raises(Trouble) as caught:
            await caller.pull()

    assert caught.value.reason in reasons
    assert stand.manners.shown == [("pull", mood)]


@pytest.mark.parametrize(
    ("mood", "status"),
    [("redirect", 302), ("unauthorized", 401), ("missing", 404), ("error", 500), ("busy", 503), ("html", 200)],
)
async def test_http_itself_answers(mood: str, status: int) -> None:
    """No envelope: a proxy, a wrong path, a machine that is too busy."""
    async with standing(f"pull:{mood}") as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(2)
        with pytest.raises((EnvelopeError, Trouble)):
            await caller.pull()
        answered = caller.status
        pulled = await caller.pull()

    assert answered == status
    assert isinstance(pulled, Pulled) or mood == "html"  # that one has done it


@pytest.mark.parametrize("mood", ["garbage", "charset", "doctype", "relates", "empty"])
async def test_the_reader_believes_no_answer_that_is_none(mood: str) -> None:
    """HTTP was content with it."""
    async with standing(f"pull:{mood}") as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(2)
        with pytest.raises((EnvelopeError, Trouble)):
            await caller.pull()


@pytest.mark.parametrize(
    ("mood", "name", "code"),
    [
        ("quota", "w:InternalError", 2150859174),
        ("denied", "w:AccessDenied", 5),
        ("channel", "e:EventSourceUnableToProcess", 15007),
        ("locked", "e:EventSourceUnableToProcess", 5),
        ("timedout", "w:TimedOut", 2150858793),
        ("internal", "w:InternalError", 2147942402),
        ("expired", "n:InvalidEnumerationContext", 2150858779),
    ],
)
async def test_a_refusal_leaves_everything_as_it_was(mood: str, name: str, code: int) -> None:
    """The machine has not moved on: the same context gives all."""
    async with standing(f"pull:{mood}") as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(2)
        refused = await caller.pull()
        pulled = await caller.pulled()

    assert isinstance(refused, SourceFault)
    assert (refused.name, refused.code) == (name, code)
    assert len(pulled.pieces) == 2


async def test_an_answer_that_was_cut_off_has_moved_the_machine_on() -> None:
    """Its context is dead with it: a bookmark brings the events back, a second Pull does not."""
    async with standing("pull:cut-answer") as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(2)
        with pytest.raises(Trouble):
            await caller.pull()
        again = await caller.pull()
        await caller.subscribe(read_existing_events=True)
        pulled = await caller.pulled()

    assert isinstance(again, SourceFault)
    assert again.name == "n:InvalidEnumerationContext"
    assert len(pulled.pieces) == 2
    assert stand.host.source.ledger.duplicates == 2


async def test_items_come_twice_bookmarks_go_back_and_contexts_are_made_up() -> None:
    """Well spelled and wrong: only who remembers can tell."""
    async with standing("pull:doubled", "pull:backwards", "pull:unmarked", "pull:context") as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(4)
        doubled = await caller.pulled(most=1)
        backwards = await caller.pulled(most=1)
        unmarked = await caller.pulled(most=1)
        await caller.pulled(most=1)
        lost = await caller.pull()

    assert record_numbers(doubled) == [stand.log.newest("System") - 3] * 2
    assert f'RecordId="{stand.log.newest("System") - 2 - 7}"' in (backwards.bookmark or "")
    assert unmarked.bookmark is None
    assert isinstance(lost, SourceFault)


async def test_a_subscription_may_be_closed_behind_its_good_answer() -> None:
    """The first Pull finds out."""
    async with standing("subscribe:close") as stand:
        caller = stand.caller()
        await caller.subscribe()
        closed = await caller.pull()

    assert isinstance(closed, SourceFault)
    assert closed.code == 2150858760


async def test_slow_is_late_and_well() -> None:
    """No fault, no loss."""
    async with standing("pull:slow", slow=0.02) as stand:
        caller = stand.caller()
        await caller.subscribe(read_existing_events=True)
        stand.happen(1)
        pulled = await caller.pull()

    assert isinstance(pulled, Pulled)


def test_a_script_entry_for_a_kind_waits_for_that_kind() -> None:
    """The others pass it."""
    manners = HostManners(["pull:cut", "well", "dead"])

    assert [manners.next(kind) for kind in ("subscribe", "pull", "pull", "unsubscribe", "pull")] == [
        "well",
        "cut",
        "well",
        "dead",
        "well",
    ]
    assert manners.left == 0


def test_a_word_that_is_no_mood_is_named() -> None:
    """A script with a typing error would test nothing."""
    with pytest.raises(ValueError, match='"cutt" is no mood'):
        HostManners(["pull:cutt"])


def test_moods_of_the_connection_leave_the_text_alone() -> None:
    """They are done at the door."""
    texts = {"garbage", "html", "empty", "doctype", "context", "relates", "doubled", "backwards", "unmarked"}

    assert all(spoilt("<s:Envelope/>", mood) == "<s:Envelope/>" for mood in MOODS if mood not in texts)
