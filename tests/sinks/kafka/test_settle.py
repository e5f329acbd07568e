"""What fails is offered again so that nothing is lost, no key is out of order, and nobody innocent is condemned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sinks.base import SinkUnavailable
from collector.sinks.kafka.engine import Message, Verdict
from collector.sinks.kafka.settle import deliver_tails, isolate, tails
from tests.sinks.kafka.scripted_engine import ModelBroker, ScriptedEngine, failing, in_order


def message(number: int, key: str | None, topic: str = "t") -> Message:
    return Message(topic, key.encode() if key else None, str(number).encode(), [], 0)


def keyed(keys: str) -> list[Message]:
    """One message for each letter, which is its key; ``-``: none."""
    return [message(number, None if key == "-" else key) for number, key in enumerate(keys)]


def values(messages: list[Message]) -> str:
    return "".join(message.value.decode() for message in messages)


def test_a_tail_is_everything_of_a_key_from_its_first_failure() -> None:
    """Order is kept by repeating what is behind a gap, and nothing else is repeated."""
    assert tails(keyed("abab-b-"), range(7), {1, 4}) == [1, 3, 4, 5]


def test_the_same_key_in_another_topic_is_another_key() -> None:
    """Two topics are two logs; a gap in one is none in the other."""
    assert tails([message(0, "a", "t"), message(1, "a", "u")], range(2), {0}) == [0]


async def test_what_was_stored_behind_a_failure_is_offered_again() -> None:
    """The log reads 0 2 3 1 3: repeated, but each key in its order."""
    engine = ScriptedEngine(failing(Verdict.LATER, 1))

    assert await deliver_tails(keyed("abab"), engine.deliver) == []

    assert values(engine.log) == "02313"


async def test_a_cluster_that_takes_nothing_is_asked_once() -> None:
    """The lane can wait better than the sink: it has a spool."""
    engine = ScriptedEngine(failing(Verdict.LATER, reason="broker away"))

    with pytest.raises(SinkUnavailable, match="broker away") as caught:
        await deliver_tails(keyed("ab"), engine.deliver)

    assert len(engine.asked) == 1
    assert not caught.value.blocked


async def test_a_cluster_that_always_drops_one_ends_the_write() -> None:
    """A write must end by itself, whatever the cluster does."""
    engine = ScriptedEngine(*[failing(Verdict.LATER, 0)] * 50)

    with pytest.raises(SinkUnavailable):
        await deliver_tails(keyed("aaaa"), engine.deliver)

    assert len(engine.asked) < 10


async def test_a_write_whose_time_is_over_offers_nothing_again() -> None:
    """Each pass of a flapping cluster may last a whole delivery time-out; the lane knows better what to do."""
    engine = ScriptedEngine(*[failing(Verdict.LATER, 0)] * 50)
    answers = iter([False, True])

    with pytest.raises(SinkUnavailable, match="scripted"):
        await deliver_tails(keyed("aaaa"), engine.deliver, late=lambda: next(answers))

    assert len(engine.asked) == 2


async def test_what_only_a_person_can_mend_is_told_at_once() -> None:
    """A missing right is no outage; the lane raises the alarm."""
    engine = ScriptedEngine(failing(Verdict.BLOCKED, 1, reason="no right"))

    with pytest.raises(SinkUnavailable, match="no right") as caught:
        await deliver_tails(keyed("ab"), engine.deliver)

    assert caught.value.blocked


async def test_an_outage_during_the_search_condemns_nobody() -> None:
    """Half an answer would make a letter of a record that a broker would have taken."""
    engine = ScriptedEngine(failing(Verdict.REFUSED), failing(Verdict.LATER))

    with pytest.raises(SinkUnavailable):
        await isolate(keyed("abcdef"), range(6), engine.deliver)


async def test_a_culprit_that_is_set_apart_is_found_in_three_questions() -> None:
    """Everybody else waits while the search goes on."""
    broker = ModelBroker(0, {b"57"}, 0, "apart")
    messages = [message(number, "a") for number in range(100)]

    assert await isolate(messages, range(100), broker.deliver) == {57: "poison"}

    assert len(broker.asked) == 3


@given(
    keys=st.text("abcd-", min_size=1, max_size=40),
    poison=st.sets(st.integers(0, 39), max_size=8),
    outages=st.integers(0, 12),
    seed=st.integers(0, 2**32),
)
async def test_whatever_brokers_do_nothing_is_lost_and_only_poison_is_rejected(
    keys: str, poison: set[int], outages: int, seed: int
) -> None:
    """The promise of the sink, against a broker that fails whole batches and stores some that it reports as failed."""
    messages = keyed(keys)
    broker = ModelBroker(seed, {str(number).encode() for number in poison}, outages)

    rejected = await _settled(messages, broker)

    assert set(rejected) == {number for number in poison if number < len(messages)}
    for key in {message.key for message in messages}:
        wanted = [m for row, m in enumerate(messages) if m.key == key and row not in rejected]
        if key is not None:
            assert in_order(wanted, broker.log)
        assert all(message in broker.log for message in wanted)


async def _settled(messages: list[Message], broker: ModelBroker) -> dict[int, str]:
    """As a lane does it: everything again until it succeeds; outages end."""
    for _ in range(60):
        try:
            doubtful = await deliver_tails(messages, broker.deliver)
            return await isolate(messages, doubtful, broker.deliver) if doubtful else {}
        except SinkUnavailable:
            continue
    raise AssertionError("it never ended")
