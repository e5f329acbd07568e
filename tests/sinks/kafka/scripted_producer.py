"""A producer as librdkafka's, that does what a script says: for what real brokers cannot be made to do on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException


class Reported:
    """A message as the library hands it to a callback."""

    def __init__(self, topic: str, key: bytes | None, value: bytes) -> None:
        self._topic, self._key, self._value = topic, key, value

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes:
        return self._value


class ScriptedProducer:
    """Takes *room* messages at a time and says nothing of them until it is told to ``store`` or ``fail`` them."""

    def __init__(self, configuration: dict[str, Any], room: int = 10**6) -> None:
        self.configuration = configuration
        self.room = room
        self.values: list[bytes] = []  # all that it ever took
        self.raising: KafkaException | None = None  # what ``poll`` raises, once
        self.closed = threading.Event()
        self._held: list[tuple[Callable[[Any, Any], None], Reported]] = []
        self._answers: list[tuple[Callable[[Any, Any], None], Any, Reported]] = []

    def produce(self, topic: str, value: bytes, key: bytes | None, **more: Any) -> None:
        if len(self._held) >= self.room:
            raise BufferError
        self.values.append(value)
        self._held.append((more["on_delivery"], Reported(topic, key, value)))

    def settle(self, error: Any = None, most: int | None = None) -> None:
        """Have the first *most* of what is held stored, or failed with *error*; told at the next poll."""
        held, self._held = self._held[:most], self._held[len(self._held[:most]) :]
        self._answers.extend((report, error, message) for report, message in held)

    def poll(self, _timeout: float) -> int:
        if self.raising is not None:
            raised, self.raising = self.raising, None
            raise raised
        answers, self._answers = self._answers, []
        for report, error, message in answers:
            report(error, message)
        return len(answers)

    def purge(self) -> None:
        self._held.clear()

    def close(self) -> None:
        self.closed.set()
