"""The Kafka sink over engines without a network: topics are looked up, failures settled, and memory bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from collector.clock import ManualClock
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable
from collector.sinks.kafka.engine import Failure, Message, TopicTrouble, Verdict
from collector.sinks.kafka.known import MISSING_FOR
from collector.sinks.kafka.sink import SEARCH, KafkaSink
from collector.sinks.kafka.standing import STRANGERS, TRUSTED_FOR
from tests.events.made import NOON, made, records
from tests.sinks.kafka.scripted_engine import ModelBroker, ScriptedEngine, failing, sink_over

SECURITY = "windows-system.security"
ABSENT = TopicTrouble(SECURITY, Verdict.BLOCKED, "there is no such topic", absent=True)


def batch(first: int, last: int, computer: str = "pc01", channel: str = "Security") -> Records:
    return records(
        [made(n, NOON + n, computer=computer, channel=channel) for n in range(first, last)], form="winlogbeat"
    )


async def opened(engine: ScriptedEngine, *, letters: bool = False, clock: ManualClock | None = None) -> KafkaSink:
    made_sink = sink_over(engine, letters=letters, clock=clock)
    await made_sink.open()
    return made_sink


async def settle() -> None:
    """Let everybody do what can be done."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_topics_are_looked_up_once() -> None:
    """A look-up for each batch would cost more than the batch."""
    engine = ScriptedEngine()
    kafka = await opened(engine)

    for n in range(5):
        await kafka.write(batch(n, n + 1))

    assert engine.looked == [{SECURITY}]
    assert len(engine.log) == 5


async def test_a_delivery_that_raises_doubt_has_the_topic_looked_up_again() -> None:
    """Deleted topics look like outages to every client library."""
    engine = ScriptedEngine(failing(Verdict.LATER))
    kafka = await opened(engine)

    with pytest.raises(SinkUnavailable):
        await kafka.write(batch(0, 1))
    await kafka.write(batch(0, 1))

    assert engine.looked == [{SECURITY}] * 2


async def test_a_missing_topic_is_told_with_the_command_that_makes_it() -> None:
    """The person who reads it at night shall not search."""
    engine = ScriptedEngine()
    engine.troubles[SECURITY] = ABSENT
    kafka = await opened(engine)

    with pytest.raises(SinkUnavailable, match=rf"topic {SECURITY}.*wef setup kafka --apply") as caught:
        await kafka.write(batch(0, 3))

    assert caught.value.blocked
    assert engine.asked == []


async def test_records_of_a_missing_topic_can_become_letters() -> None:
    """Where a topic for each computer is wanted, one that nobody made must not stop all others."""
    engine, clock = ScriptedEngine(), ManualClock()
    engine.troubles[SECURITY] = ABSENT
    kafka = await opened(engine, letters=True, clock=clock)
    mixed = records([made(0), made(1, channel="System"), made(2)], form="winlogbeat")

    rejected = await kafka.write(mixed)
    await kafka.write(mixed)

    assert [rejection.row for rejection in rejected] == [0, 2]
    assert len(engine.looked) == 1
    assert [message.topic for message in engine.log] == ["windows-system.system"] * 2


async def test_a_wrong_password_makes_no_letters() -> None:
    """Where missing topics make letters, every topic looks amiss to who is not let in; no record is at fault."""
    engine = ScriptedEngine()
    engine.troubles[SECURITY] = TopicTrouble(SECURITY, Verdict.BLOCKED, "wrong password")
    kafka = await opened(engine, letters=True)

    with pytest.raises(SinkUnavailable, match="wrong password") as caught:
        await kafka.write(batch(0, 1))

    assert caught.value.blocked
    assert "wef setup" not in str(caught.value)


async def test_a_missing_topic_is_not_missing_for_ever() -> None:
    """Somebody has run the command meanwhile."""
    engine, clock = ScriptedEngine(), ManualClock()
    engine.troubles[SECURITY] = ABSENT
    kafka = await opened(engine, letters=True, clock=clock)
    await kafka.write(batch(0, 1))
    engine.troubles.clear()

    clock.advance(MISSING_FOR + 1)

    assert list(await kafka.write(batch(0, 1))) == []


async def test_a_cluster_that_does_not_answer_is_an_outage() -> None:
    """Nobody has to act yet."""
    engine = ScriptedEngine()
    engine.troubles[SECURITY] = TopicTrouble(SECURITY, Verdict.LATER, "no broker answers")
    kafka = await opened(engine)

    with pytest.raises(SinkUnavailable, match="no broker answers") as caught:
        await kafka.write(batch(0, 1))

    assert not caught.value.blocked


async def test_poison_in_a_shared_batch_is_found_while_others_wait() -> None:
    """A producer's batch holds records of several writes; only the culprit is condemned."""
    poison = batch(0, 20).record(7)
    engine = ModelBroker(5, {poison}, 0, "together")
    kafka = await opened(engine)
    await kafka.write(batch(0, 0))
    await kafka.write(batch(900, 901))  # from here on the topic is known, and writes go out together
    engine.log.clear()

    rejections = await asyncio.gather(
        kafka.write(batch(0, 20)), *(kafka.write(batch(n, n + 20, f"pc{n}")) for n in range(20, 200, 20))
    )

    assert [[rejection.row for rejection in found] for found in rejections] == [[7], *[[]] * 9]
    assert {message.value for message in engine.log} == {
        batch(start, start + 20, f"pc{start}" if start else "pc01").record(row)
        for start in range(0, 200, 20)
        for row in range(20)
    } - {poison}


def refusing(engine: ScriptedEngine, times: int, clock: ManualClock, seconds: float = 0.0) -> None:
    """*engine* refuses all of the next deliveries, each after *seconds*."""

    def step(messages: Sequence[Message]) -> Sequence[Failure]:
        clock.advance(seconds)
        return failing(Verdict.REFUSED)(messages)

    engine.steps = [step] * times


async def test_a_topic_that_refuses_everything_is_at_fault_and_no_record_is() -> None:
    """A compacted topic, say: a person must mend it, and a night of letters would not tell anybody."""
    engine, clock = ScriptedEngine(), ManualClock()
    kafka = await opened(engine, clock=clock)
    refusing(engine, 1000, clock)

    with pytest.raises(SinkUnavailable, match=f"topic {SECURITY} refuses every record.*scripted") as caught:
        await kafka.write(batch(0, 100))

    assert caught.value.blocked
    assert len(engine.asked) < 40


async def test_single_records_count_together_and_the_topic_is_asked_again() -> None:
    """A quiet site sends one at a time. Once the topic is mended, the next record ends the matter."""
    engine, clock = ScriptedEngine(), ManualClock()
    kafka = await opened(engine, clock=clock)
    refusing(engine, 1000, clock)
    for n in range(STRANGERS - 1):
        assert len(await kafka.write(batch(n, n + 1))) == 1

    for _ in range(2):
        with pytest.raises(SinkUnavailable, match="refuses every record"):
            await kafka.write(batch(90, 91))
    engine.steps.clear()

    assert list(await kafka.write(batch(90, 91))) == []
    clock.advance(TRUSTED_FOR + 1)
    refusing(engine, 2, clock)
    assert len(await kafka.write(batch(91, 92))) == 1  # the count begins anew


async def test_a_topic_that_takes_others_may_refuse_a_whole_batch() -> None:
    """Whatever a hostile machine sends, it must not stop everybody's lane: its records are at fault."""
    engine, clock = ScriptedEngine(), ManualClock()
    kafka = await opened(engine, clock=clock)
    await kafka.write(batch(900, 901))
    clock.advance(TRUSTED_FOR / 2)
    refusing(engine, 1000, clock, seconds=10.0)

    rejected = await kafka.write(batch(0, 100))

    assert [rejection.row for rejection in rejected] == list(range(100))


async def test_a_topic_that_is_changed_is_not_trusted_for_long() -> None:
    """It took everything this morning; since somebody changed its policy it takes nothing."""
    engine, clock = ScriptedEngine(), ManualClock()
    kafka = await opened(engine, clock=clock)
    await kafka.write(batch(900, 901))
    clock.advance(TRUSTED_FOR + 1)
    refusing(engine, 1000, clock)

    with pytest.raises(SinkUnavailable, match="refuses every record"):
        await kafka.write(batch(0, 100))


async def test_a_long_search_for_poison_lets_others_pass() -> None:
    """A batch that is poison throughout takes two questions for each record; nobody else may wait for all of them."""
    engine, clock = ScriptedEngine(), ManualClock()
    kafka = await opened(engine, clock=clock)
    await kafka.write(batch(900, 901))
    others: list[asyncio.Task[Sequence[Rejection]]] = []

    def step(messages: Sequence[Message]) -> Sequence[Failure]:
        clock.advance(SEARCH)
        if len(engine.asked) == 5:
            others.append(asyncio.create_task(kafka.write(batch(500, 501, "pc02"))))
        return [Failure(row, Verdict.REFUSED, "no") for row, one in enumerate(messages) if one.key == b"pc01"]

    engine.steps = [step] * 1000
    search = asyncio.create_task(kafka.write(batch(0, 100)))
    while not others:
        await settle()

    await others[0]

    assert not search.done()
    assert len(engine.asked) < 20
    assert len(await search) == 100


async def test_a_write_ends_after_its_patience() -> None:
    """A cluster that stores a little each time holds a write no longer than two delivery time-outs and one."""
    engine, clock = ScriptedEngine(), ManualClock()
    kafka = await opened(engine, clock=clock)

    def step(messages: Sequence[Message]) -> Sequence[Failure]:
        clock.advance(40.0)
        return failing(Verdict.LATER, 0)(messages)

    engine.steps = [step] * 10
    with pytest.raises(SinkUnavailable):
        await kafka.write(batch(0, 5))

    assert len(engine.asked) <= 2


async def test_a_write_that_is_given_up_keeps_its_room_until_the_engine_is_done() -> None:
    """The engine still holds the records: memory is bounded by what it holds, not by who waits."""
    engine = ScriptedEngine()
    kafka = await opened(engine)
    kafka._window._most_records = 5
    engine.gate.clear()
    first = asyncio.create_task(kafka.write(batch(0, 5)))
    await settle()

    first.cancel()
    second = asyncio.create_task(kafka.write(batch(5, 10)))
    await settle()

    assert len(engine.asked) == 1
    engine.gate.set()
    await second
    assert len(engine.log) == 10


async def test_the_first_writes_are_not_overtaken_while_topics_are_looked_up() -> None:
    """One computer's batches follow each other into one partition."""
    engine = ScriptedEngine()
    kafka = await opened(engine)

    writes = []
    for n in range(50):
        writes.append(asyncio.create_task(kafka.write(batch(n, n + 1))))
        await asyncio.sleep(0)
    await asyncio.gather(*writes)

    assert [message.value for message in engine.log] == [batch(0, 50).record(n) for n in range(50)]


async def test_a_cluster_that_does_not_answer_is_asked_once_for_all_who_wait() -> None:
    """Each look-up takes seconds then: two hundred of them, one by one, were a quarter of an hour in which the lane
    does not notice that the cluster is back, and letters cannot be replayed.
    """
    engine = ScriptedEngine()
    engine.troubles[SECURITY] = TopicTrouble(SECURITY, Verdict.LATER, "no broker answers")
    kafka = await opened(engine)

    ends = await asyncio.gather(*(kafka.write(batch(n, n + 1)) for n in range(50)), return_exceptions=True)

    assert {str(end) for end in ends} == {"no broker answers"}
    assert len(engine.looked) == 1
    engine.troubles.clear()
    assert await kafka.write(batch(0, 1)) == ()


@pytest.mark.parametrize("letters", [True, False])
async def test_what_a_look_up_had_time_for_is_not_asked_again(letters: bool) -> None:
    """Records of one share can name more topics than are looked up in time; it would never get any further."""
    engine = ScriptedEngine()
    system = "windows-system.system"
    engine.troubles[system] = TopicTrouble(system, Verdict.LATER, "no broker answers")
    kafka = await opened(engine, letters=letters)
    mixed = records(
        [made(n, NOON + n, channel=channel) for n, channel in enumerate(["Security", "System"])], form="winlogbeat"
    )

    with pytest.raises(SinkUnavailable, match="no broker answers"):
        await kafka.write(mixed)
    engine.troubles.clear()
    await kafka.write(mixed)

    assert [len(topics) for topics in engine.looked] == [2, 1]


async def test_a_closed_sink_keeps_nothing() -> None:
    """The lane has the records and will offer them again."""
    kafka = await opened(ScriptedEngine())
    await kafka.close()

    with pytest.raises(SinkUnavailable, match="closed"):
        await kafka.write(batch(0, 1))
