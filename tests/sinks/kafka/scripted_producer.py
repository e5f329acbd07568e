"""A producer as librdkafka's, that does what a script says: for what real brokers cannot be made to do on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException


class ScriptedProducer:
    """Takes *room* messages at a time and says nothing of them until it is told to ``store`` or ``fail`` them."""

    def __init__(self, configuration: dict[str, Any], room: int = 10**6) -> None:
        self.configuration = configuration
        self.room = room
        self.values: list[bytes] = []  # all that it ever took
        self.raising: KafkaException | None = None  # what ``poll`` raises, once
        self.closed = threading.Event()
        self._held: list[Callable[[Any, Any], None]] = []
        self._answers: list[tuple[Callable[[Any, Any], None], Any]] = []

    def produce(self, _topic: str, value: bytes, _key: bytes | None, **more: Any) -> None:
        if len(self._held) >= self.room:
            raise BufferError
        self.values.append(value)
        self._held.append(more["on_delivery"])

    def settle(self, error: Any = None, most: int | None = None) -> None:
        """Have the first *most* of what is held stored, or failed with *error*; told at the next poll."""
        held, self._held = self._held[:most], self._held[len(self._held[:most]) :]
        self._answers.extend((report, error) for report in held)

    def poll(self, _timeout: float) -> int:
        if self.raising is not None:
            raised, self.raising = self.raising, None
            raise raised
        answers, self._answers = self._answers, []
        for report, error in answers:
            report(error, None)
        return len(answers)

    def purge(self) -> None:
        self._held.clear()

    def close(self) -> None:
        self.closed.set()
