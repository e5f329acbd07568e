"""The librdkafka engine alone: what it does with a library that is full, silent, fatally ill or refuses its settings.

What it does with brokers is in tests/contracts/test_kafka_engines.py.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from collector.errors import OperatorError
from collector.sinks.kafka.engine import Message, Verdict
from collector.sinks.kafka.librdkafka_engine import SLICE, LibrdkafkaEngine
from collector.sinks.kafka.librdkafka_producer import configuration
from collector.sinks.kafka.librdkafka_verdicts import verdict_of
from collector.sinks.kafka.settings import KafkaSettings
from tests.sinks.kafka.scripted_producer import ScriptedProducer

PLAIN = {"brokers": ["127.0.0.1:9092"]}
SILENCE = -0.95
"""Margin that leaves 50 ms of the shortest delivery time-out, 1 s."""


def settings(**more: Any) -> KafkaSettings:
    return KafkaSettings.model_validate({**PLAIN, "request_timeout": "500ms", "delivery_timeout": "1s", **more})


def messages(count: int, first: int = 0) -> list[Message]:
    return [Message("events", b"pc01", b"%d" % n, [], 1) for n in range(first, first + count)]


class Workshop:
    """An open engine, and the producers that it had made, the newest last."""

    def __init__(self, room: int = 10**6, margin: float = 30.0) -> None:
        self.made: list[ScriptedProducer] = []
        self._room = room
        self.engine = LibrdkafkaEngine("siem", settings(), build=self._build, margin=margin)

    def _build(self, told: dict[str, Any]) -> ScriptedProducer:
        self.made.append(ScriptedProducer(told, self._room))
        return self.made[-1]

    async def __aenter__(self) -> Workshop:
        await self.engine.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()


async def until(true: Callable[[], bool]) -> None:
    """Let the loop run until it is so."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - a scripted library sets no event
            await asyncio.sleep(0.001)


async def test_a_full_library_is_waited_for_and_the_order_stays() -> None:
    """Memory is bounded by the library's own queue; what has no room there waits in its turn and is never dropped."""
    async with Workshop(room=10) as shop:
        calls = [asyncio.create_task(shop.engine.deliver(messages(25, n))) for n in (0, 25)]
        producer = shop.made[0]
        while not all(call.done() for call in calls):
            producer.settle()
            await asyncio.sleep(0)

    assert [list(call.result()) for call in calls] == [[], []]
    assert producer.values == [b"%d" % n for n in range(50)]


async def test_the_loop_serves_others_between_slices() -> None:
    """A lane may hand over 20,000 records at once; a listener that waits for all of them misses its deadlines."""
    async with Workshop() as shop:
        call = asyncio.create_task(shop.engine.deliver(messages(10 * SLICE)))
        seen: list[int] = []
        while len(shop.made[0].values) < 10 * SLICE:
            seen.append(len(shop.made[0].values))
            await asyncio.sleep(0)
        shop.made[0].settle()
        assert list(await call) == []

    assert max(later - earlier for earlier, later in itertools.pairwise(seen)) <= SLICE


async def test_many_calls_together_have_no_more_than_a_slice_of_a_turn() -> None:
    """Small batches come by the hundred after an outage; each hands over at once, and all of them at once is long."""
    async with Workshop() as shop:
        calls = [asyncio.create_task(shop.engine.deliver(messages(SLICE // 4, n))) for n in range(40)]
        seen: list[int] = [0]
        while len(shop.made[0].values) < 10 * SLICE:
            await asyncio.sleep(0)
            seen.append(len(shop.made[0].values))
        shop.made[0].settle()
        await asyncio.gather(*calls)

    assert max(later - earlier for earlier, later in itertools.pairwise(seen)) <= SLICE


async def test_a_call_is_handed_over_before_the_loop_turns() -> None:
    """What was made just now is in the processor's cache; later it is not, and costs a third more."""
    async with Workshop() as shop:
        call = asyncio.create_task(shop.engine.deliver(messages(3)))
        await asyncio.sleep(0)
        assert len(shop.made[0].values) == 3
        shop.made[0].settle()
        await call


async def test_a_silent_library_is_replaced_and_what_it_held_is_offered_again() -> None:
    """It promises an answer within its time-out; one that breaks this keeps a lane waiting for ever."""
    async with Workshop(margin=SILENCE) as shop:
        failures = await shop.engine.deliver(messages(3))
        again = asyncio.create_task(shop.engine.deliver(messages(3)))
        await until(lambda: len(shop.made) == 2 and len(shop.made[1].values) == 3)
        shop.made[1].settle()
        assert list(await again) == []
        await until(shop.made[0].closed.is_set)

    assert [(failure.row, failure.verdict) for failure in failures] == [(row, Verdict.LATER) for row in range(3)]


async def test_a_library_that_is_only_full_is_not_replaced() -> None:
    """A stalled broker fills it; what it holds has its own time-out, and a new producer would send it twice."""
    async with Workshop(room=0, margin=SILENCE) as shop:
        failures = await shop.engine.deliver(messages(3))

    assert [(failure.row, failure.verdict) for failure in failures] == [(row, Verdict.LATER) for row in range(3)]
    assert len(shop.made) == 1


async def test_a_row_that_failed_is_found_among_its_neighbours() -> None:
    """All rows share one callback: blaming the wrong one loses the guilty and repeats the innocent."""
    async with Workshop() as shop:
        call = asyncio.create_task(shop.engine.deliver(messages(5)))
        await until(lambda: len(shop.made[0].values) == 5)
        shop.made[0].settle(most=2)
        shop.made[0].settle(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), most=1)
        shop.made[0].settle(most=1)
        shop.made[0].settle(KafkaError(KafkaError.NOT_ENOUGH_REPLICAS))
        failures = await call

    assert [(failure.row, failure.verdict) for failure in failures] == [(2, Verdict.REFUSED), (4, Verdict.LATER)]


async def test_rows_that_are_alike_fail_together() -> None:
    """The library cannot say which of them it stored; offered again is better than lost."""
    twins = [Message("events", None, b"same", [], 1), *messages(1), Message("events", None, b"same", [], 2)]
    async with Workshop() as shop:
        call = asyncio.create_task(shop.engine.deliver(twins))
        await until(lambda: len(shop.made[0].values) == 3)
        shop.made[0].settle(KafkaError(KafkaError.NOT_ENOUGH_REPLICAS), most=1)
        shop.made[0].settle()
        failures = await call

    assert [failure.row for failure in failures] == [0, 2]


async def test_a_row_without_an_answer_is_never_taken_for_stored() -> None:
    """Whoever gives up in the middle offers all of the call again, but for what was refused: that keeps its verdict."""
    async with Workshop(margin=SILENCE) as shop:
        call = asyncio.create_task(shop.engine.deliver(messages(5)))
        await until(lambda: len(shop.made[0].values) == 5)
        shop.made[0].settle(most=2)
        shop.made[0].settle(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), most=1)
        failures = await call

    assert [failure.row for failure in failures] == [0, 1, 2, 3, 4]
    assert [failure.row for failure in failures if failure.verdict is Verdict.REFUSED] == [2]


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, Verdict.LATER),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, Verdict.BLOCKED),
    ],
)
async def test_a_fatal_error_costs_the_producer_its_place(code: int, verdict: Verdict) -> None:
    """An idempotent producer that met one refuses everything from then on; only a new one helps."""
    async with Workshop() as shop:
        call = asyncio.create_task(shop.engine.deliver(messages(2)))
        await until(lambda: len(shop.made[0].values) == 2)
        shop.made[0].raising = KafkaException(KafkaError(code, "no way back", True))
        failures = await call
        again = asyncio.create_task(shop.engine.deliver(messages(1)))
        await until(lambda: len(shop.made) == 2 and len(shop.made[1].values) == 1)
        shop.made[1].settle()
        assert list(await again) == []

    assert [failure.verdict for failure in failures] == [verdict, verdict]
    assert "no way back" in failures[0].reason


async def test_a_time_out_says_what_was_last_heard_of_the_connection() -> None:
    """ "Timed out" sends nobody to the right place; "authentication failed" does."""
    async with Workshop() as shop:
        call = asyncio.create_task(shop.engine.deliver(messages(1)))
        producer = shop.made[0]
        await until(lambda: len(producer.values) == 1)
        producer.configuration["error_cb"](KafkaError(KafkaError._AUTHENTICATION, "SASL says no"))
        producer.configuration["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN, "all down"))
        producer.settle(KafkaError(KafkaError._MSG_TIMED_OUT))
        (failure,) = await call

    assert failure.verdict is Verdict.BLOCKED
    assert "SASL says no" in failure.reason


async def test_a_certificate_that_cannot_be_read_is_said_at_the_start(tmp_path: Path) -> None:
    """A start that succeeds and never delivers is found days later."""
    (tmp_path / "ca.pem").write_text("this is no certificate")
    engine = LibrdkafkaEngine("siem", settings(security="ssl", ca=str(tmp_path / "ca.pem")))

    with pytest.raises(
        OperatorError, match=r"sinks\.siem: librdkafka refuses the settings: .*ssl.ca.location.*ca\.pem"
    ):
        await engine.open()


def test_kerberos_is_refused_with_a_way_out() -> None:
    """The library as it is distributed knows no GSSAPI; without this the producer dies with words about a DLL."""
    kerberos = settings().model_copy(update={"security": "sasl_ssl", "sasl": "GSSAPI"})

    with pytest.raises(OperatorError, match="use kafka-python"):
        configuration("siem", kerberos)


def test_a_password_reaches_the_library_and_no_text() -> None:
    """The only place where the secret is opened."""
    told = settings(security="sasl_plaintext", sasl="PLAIN", username="wef", password="secret word")

    assert configuration("siem", told)["sasl.password"] == "secret word"
    assert "secret word" not in repr(told)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, Verdict.REFUSED),
        (KafkaError.INVALID_TIMESTAMP, Verdict.REFUSED),
        (KafkaError.INVALID_RECORD, Verdict.REFUSED),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Verdict.BLOCKED),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Verdict.BLOCKED),
        (KafkaError._AUTHENTICATION, Verdict.BLOCKED),
        (KafkaError.NOT_ENOUGH_REPLICAS, Verdict.LATER),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Verdict.LATER),
        (KafkaError.KAFKA_STORAGE_ERROR, Verdict.LATER),
        (KafkaError._PURGE_INFLIGHT, Verdict.LATER),
        (KafkaError._MSG_TIMED_OUT, Verdict.LATER),
    ],
)
def test_each_error_has_one_of_three_consequences(code: int, verdict: Verdict) -> None:
    """A letter is for ever, an alarm wakes somebody, and everything else only waits: the doubtful must wait."""
    assert verdict_of(KafkaError(code)) is verdict


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("SSL handshake failed: certificate verify failed: unable to get local issuer certificate", Verdict.BLOCKED),
        ("SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?", Verdict.LATER),
    ],
)
def test_distrust_needs_a_person_and_a_broken_handshake_does_not(said: str, verdict: Verdict) -> None:
    """A broker that restarts breaks handshakes; one with a stranger's certificate will not be trusted tomorrow."""
    assert verdict_of(KafkaError(KafkaError._SSL, said)) is verdict
