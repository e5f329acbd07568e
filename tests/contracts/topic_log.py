"""Topics of a real broker, as the tests see them: made with the settings they need, read back whole, guarded.

It must not know the collector: what is read back is compared by those who sent it.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its names are public, and not in its __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

SECONDS = 20.0
"""For what a broker answers in milliseconds: when it is over something is broken."""
ATTEMPT = 3.0
"""For one request, where a second one may help."""
_numbers = itertools.count()


class Stored(NamedTuple):
    """One message of the log."""

    partition: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    timestamp: int


def make_topic(bootstrap: str, *, prefix: str = "t", partitions: int = 4, **config: str) -> str:
    """A new topic with a name of its own; *config*: the broker's words with ``_`` for ``.``. Answers the name."""
    name = f"{prefix}{os.getpid()}-{next(_numbers)}"
    settings = {word.replace("_", "."): value for word, value in config.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = NewTopic(name, partitions, 1, config=settings)
    while not _made(admin, wanted):
        pass  # a broker that was stalled just now loses the first request
    _partitions(admin, name)
    return name


def _made(admin: AdminClient, wanted: NewTopic) -> bool:
    (future,) = admin.create_topics([wanted], request_timeout=ATTEMPT, operation_timeout=ATTEMPT).values()
    try:
        future.result(SECONDS)
    except KafkaException as raised:
        error: Any = raised.args[0]
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return True
        if error.code() not in (KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT, KafkaError._TRANSPORT):
            raise
        return False
    return True


def allow_writing(bootstrap: str, principal: str, prefix: str) -> None:
    """*principal* (``User:name``) may write to the topics that begin with *prefix*, from now on."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    kind, pattern, allow = ResourceType.TOPIC, ResourcePatternType.PREFIXED, AclPermissionType.ALLOW
    binding = AclBinding(kind, prefix, pattern, principal, "*", AclOperation.WRITE, allow)
    for future in admin.create_acls([binding]).values():
        future.result(SECONDS)
    asked = AclBindingFilter(kind, prefix, pattern, principal, "*", AclOperation.WRITE, allow)
    while not admin.describe_acls(asked).result(SECONDS):
        pass  # the controller has it, and the broker reads what the controller writes


def read_log(bootstrap: str, topic: str) -> list[Stored]:
    """Every message of *topic*, each partition in its order."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        return _read(consumer, topic)
    finally:
        consumer.close()


def _partitions(client: Consumer | AdminClient, topic: str) -> list[int]:
    """The partitions of *topic*, once each has a leader: the broker reads later what the controller decides."""
    while True:
        found = client.list_topics(topic, timeout=SECONDS).topics[topic]
        if found.error is None and all(each.leader >= 0 for each in found.partitions.values()):
            return sorted(found.partitions)


def _end(consumer: Consumer, partition: TopicPartition) -> int:
    """Where *partition* ends; a broker that was away leads it again only after a moment."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            _, end = consumer.get_watermark_offsets(partition, timeout=SECONDS)
        except KafkaException:
            if time.monotonic() > until:
                raise
        else:
            return int(end)


def _read(consumer: Consumer, topic: str) -> list[Stored]:
    numbers = _partitions(consumer, topic)
    partitions = [TopicPartition(topic, number, 0) for number in numbers]
    ends = {each.partition: _end(consumer, each) for each in partitions}
    found: dict[int, list[Stored]] = {number: [] for number in numbers}
    waiting = {number for number, end in ends.items() if end}
    consumer.assign(partitions)
    while waiting:
        message: Any = consumer.poll(SECONDS)  # the library's stub says that anything in it may be None
        if message is None or message.error():
            raise AssertionError(f"{topic} ends at {ends}, but only this can be read: {found}; {message}")
        number = message.partition()
        found[number].append(
            Stored(number, message.key(), message.value(), message.headers() or [], message.timestamp()[1])
        )
        if message.offset() + 1 >= ends[number]:
            waiting.discard(number)
    return [one for number in numbers for one in found[number]]
