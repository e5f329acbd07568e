"""kafka-python's engine when its producer is of no use: nothing waits for ever, nothing is lost, a new one is made."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import (
    InvalidTimestampError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    TopicAuthorizationFailedError,
)
from kafka.future import Future
from kafka.net.compat import KafkaNetClient

from collector.sinks.kafka.engine import Message, Verdict
from collector.sinks.kafka.python_engine import PythonEngine
from collector.sinks.kafka.python_producer import connection_settings
from collector.sinks.kafka.python_verdicts import WHISPERS, verdict_of
from collector.sinks.kafka.settings import KafkaSettings
from tests.sinks.kafka.test_settings import settings

QUICK: KafkaSettings = settings(delivery_timeout="1s", request_timeout="500ms")


class PretendedSender:
    """The part of a producer that it is ended by."""

    def __init__(self, producer: PretendedProducer) -> None:
        self._producer = producer

    def force_close(self) -> None:
        self._producer.ended.set()

    def join(self, seconds: float) -> None:
        """It is gone at once."""


class PretendedProducer:
    """Resolves each send with *error* (None: stored), or never. It keeps what was sent."""

    def __init__(
        self, *, silent: bool = False, error: Exception | None = None, raised: Exception | None = None
    ) -> None:
        self.silent, self.error, self.raised = silent, error, raised
        self.sent: list[bytes] = []
        self.ended = threading.Event()
        self._sender = PretendedSender(self)

    def send(self, topic: str, value: bytes, **_rest: Any) -> Any:
        self.sent.append(value)
        if self.raised is not None:
            raise self.raised
        future = Future()
        if not self.silent:
            if self.error is None:
                future.success(None)
            else:
                future.failure(self.error)
        return future

    def close(self, timeout: float) -> None:
        self.ended.set()


def messages(count: int) -> list[Message]:
    return [Message("t", b"k", str(number).encode(), [], 0) for number in range(count)]


def engine(*producers: PretendedProducer | Exception, margin: float = 5.0) -> PythonEngine:
    """Each producer that is made is the next of *producers*; an exception is raised instead."""
    waiting = list(producers)

    def make() -> Any:
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return PythonEngine("siem", QUICK, margin=margin, make=make)


async def test_a_producer_that_never_answers_is_replaced_and_ended() -> None:
    """kafka-python's wedge: its futures stay open for ever, and only a new producer helps."""
    silent, good = PretendedProducer(silent=True), PretendedProducer()
    kafka = engine(silent, good, margin=-0.95)
    await kafka.open()

    failures = await kafka.deliver(messages(3))

    assert [(failure.row, failure.verdict) for failure in failures] == [(row, Verdict.LATER) for row in range(3)]
    assert await asyncio.to_thread(silent.ended.wait, 5)
    assert await kafka.deliver(messages(2)) == []
    assert good.sent == [b"0", b"1"]
    await kafka.close()


async def test_a_thread_that_died_is_replaced() -> None:
    """What nobody foresaw in the library ends a thread, not the sink."""
    good = PretendedProducer()
    kafka = engine(KafkaTimeoutError("away"), good)
    await kafka.open()
    assert kafka._thread is not None
    await asyncio.to_thread(kafka._thread.end, 5)

    assert [failure.verdict for failure in await kafka.deliver(messages(1))] == [Verdict.LATER]
    assert await kafka.deliver(messages(1)) == []
    await kafka.close()


async def test_who_waited_while_the_cluster_was_away_is_not_made_to_wait_again() -> None:
    """Reaching a dead cluster takes 5 s; 200 writes that each tried would take a quarter of an hour."""
    gate, tries = threading.Event(), []

    def make() -> Any:
        tries.append(1)
        gate.wait(5)
        raise KafkaTimeoutError("Unable to bootstrap")

    kafka = PythonEngine("siem", QUICK, make=make)
    await kafka.open()
    waiting = [asyncio.create_task(kafka.deliver(messages(1))) for _ in range(20)]
    await asyncio.sleep(0)
    gate.set()

    answers = await asyncio.gather(*waiting)

    assert len(tries) == 1
    assert {failures[0].verdict for failures in answers} == {Verdict.LATER}
    await kafka.close()


async def test_a_topic_without_partitions_is_waited_for_once() -> None:
    """Each send would block for two seconds."""
    producer = PretendedProducer(raised=KafkaTimeoutError("no metadata"))
    kafka = engine(producer)
    await kafka.open()

    failures = await kafka.deliver(messages(50))

    assert len(failures) == 50
    assert len(producer.sent) == 1
    await kafka.close()


async def test_what_fails_is_told_by_row() -> None:
    """The sink decides row by row."""
    kafka = engine(PretendedProducer(error=MessageSizeTooLargeError("too large")))
    await kafka.open()

    failures = await kafka.deliver(messages(2))

    assert [(failure.row, failure.verdict) for failure in failures] == [(0, Verdict.REFUSED), (1, Verdict.REFUSED)]
    assert "too large" in failures[0].reason
    await kafka.close()


async def test_a_wrong_password_is_told_apart_from_an_outage_and_tried_anew() -> None:
    """The library calls both a time-out, and never asks again where it was refused once."""
    refused, good = PretendedProducer(error=KafkaTimeoutError("Expiring 1 record")), PretendedProducer()
    kafka = engine(refused, good)
    await kafka.open()
    whisper = threading.Thread(
        target=lambda: logging.getLogger("kafka.net").error("Connection failed: SaslAuthenticationFailedError: no"),
        name="wef-siem-network-thread",
    )
    original = refused.send

    def send(*arguments: Any, **named: Any) -> Any:
        whisper.start()
        whisper.join()
        return original(*arguments, **named)

    refused.send = send  # type: ignore[method-assign]

    (failure,) = await kafka.deliver(messages(1))

    assert failure.verdict is Verdict.BLOCKED
    assert "check sasl, username and password of sinks.siem" in failure.reason
    assert await kafka.deliver(messages(1)) == []
    assert await asyncio.to_thread(refused.ended.wait, 5)
    await kafka.close()


def test_other_peoples_troubles_are_not_ours() -> None:
    """Two sinks share one library and its log."""
    WHISPERS.listen()
    begun = time.monotonic()
    logging.getLogger("kafka.net").warning("somebody's trouble")

    assert WHISPERS.since(begun, {"wef-siem-network-thread"}) == ""
    assert WHISPERS.since(begun, {threading.current_thread().name}) == "somebody's trouble"


def test_errors_ask_for_what_they_mean() -> None:
    """A wrong verdict loses a record, or blocks a sink for one."""
    assert verdict_of(InvalidTimestampError()) is Verdict.REFUSED
    assert verdict_of(KafkaError("because it was part of a batch which had one")) is Verdict.REFUSED
    assert verdict_of(TopicAuthorizationFailedError("t")) is Verdict.BLOCKED
    assert verdict_of(NotEnoughReplicasError()) is Verdict.LATER
    assert verdict_of(KafkaError("anything new")) is Verdict.LATER


async def test_a_delivery_to_a_closed_engine_is_for_later() -> None:
    """The lane has the records."""
    kafka = engine()

    assert [failure.verdict for failure in await kafka.deliver(messages(1))] == [Verdict.LATER]


async def test_a_closed_engine_looks_nothing_up() -> None:
    """Writes that wait for their turn to ask would keep whoever closes waiting, four seconds for each."""
    (trouble,) = await engine().look_up(["one"])

    assert (trouble.verdict, trouble.absent, "closed" in trouble.reason) == (Verdict.LATER, False, True)


def test_no_answer_is_decoded_that_could_fill_the_memory() -> None:
    """The library reads 100 MB by default, and what is no broker can make gigabytes of objects out of them."""
    assert connection_settings("siem", QUICK)["receive_message_max_bytes"] <= 16 * 2**20


def test_an_outage_leaves_no_descriptors_behind() -> None:
    """A collector seldom looks for reference cycles, and the library leaves a socket in one with each attempt."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        away = connection_settings("siem", settings(brokers=[f"127.0.0.1:{nobody.getsockname()[1]}"]))
        before = descriptors()
        gc.disable()
        try:
            client = KafkaNetClient(**away, metrics=None, metric_group_prefix="")
            with pytest.raises(KafkaError):
                client._manager.bootstrap(300)
            client.close()
            assert descriptors() == before
        finally:
            gc.enable()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
