"""The Kafka engines under contract, and the messages that are sent through them and compared with the log.

It must not know what is claimed of them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from collector.sinks.kafka.engine import Engine, Failure, Message, Verdict
from collector.sinks.kafka.librdkafka_engine import LibrdkafkaEngine
from collector.sinks.kafka.python_engine import PythonEngine
from collector.sinks.kafka.settings import KafkaSettings
from tests.contracts.topic_log import Stored

ENGINES: dict[str, Callable[[str, KafkaSettings], Engine]] = {
    "kafka-python": PythonEngine,
    "librdkafka": LibrdkafkaEngine,
}
NOW = int(time.time() * 1000)
"""Brokers compare with their own clock, so this is the real one; nothing is measured with it."""
HEADERS = [("event-id", b"abcdefghijklmnopqrstuv"), ("computer", "pc\u00e4".encode()), ("empty", b"")]


def engine(kind: str, broker: str, **settings: Any) -> Engine:
    """Engine *kind* for *broker*, quick in giving up where nothing else is said."""
    quick = {"request_timeout": "500ms", "delivery_timeout": "10s"}
    return ENGINES[kind]("siem", KafkaSettings.model_validate({"brokers": [broker], **quick, **settings}))


@asynccontextmanager
async def opened(one: Engine) -> AsyncIterator[Engine]:
    await one.open()
    try:
        yield one
    finally:
        await one.close()


def message(topic: str, number: int, key: str | None = "pc01", **parts: Any) -> Message:
    value = parts.get("value", b'{"n":%d}' % number)
    headers: list[tuple[str, bytes]] = parts.get("headers", HEADERS)
    return Message(topic, None if key is None else key.encode(), value, headers, parts.get("timestamp", NOW + number))


def messages(topic: str, first: int, last: int, *, keys: int = 5) -> list[Message]:
    return [message(topic, n, f"pc{n % keys}") for n in range(first, last)]


def as_stored(one: Message, partition: int) -> Stored:
    return Stored(partition, one.key, one.value, one.headers, one.timestamp)


def orders(log: Sequence[Stored]) -> dict[bytes | None, list[bytes]]:
    """The values of each key in the order of the log."""
    found: dict[bytes | None, list[bytes]] = {}
    for one in log:
        found.setdefault(one.key, []).append(one.value)
    return found


def verdicts(failures: Sequence[Failure]) -> set[Verdict]:
    return {failure.verdict for failure in failures}
