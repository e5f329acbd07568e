"""What a Kafka client library must do for the sink, and the values that go in and come out.

The sink knows this promise; the engines (``python_engine``, ``librdkafka_engine``) keep it, each
with a library that the other does not know. Both pass ``tests/contracts/test_kafka_engines.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A record as Kafka gets it. *timestamp*: milliseconds since 1970. *key* None: any partition."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int


class Verdict(Enum):
    """What became of a message that was not stored, as far as the library can tell."""

    LATER = "later"  # broker away, time-out, too few replicas: offer it again
    REFUSED = "refused"  # for good - or only because it was in one batch with such a message: ask again, alone
    BLOCKED = "blocked"  # no right, no such topic, wrong password: a person must act


@dataclass(frozen=True, slots=True)
class Failure:
    """*row* of the messages that were handed over was not stored, or nobody knows whether it was."""

    row: int
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class TopicTrouble:
    """Why messages for *topic* cannot be sent: ``BLOCKED`` when it is not there or not ours, else ``LATER``.

    *absent*: the cluster has answered, and has no such topic; whatever else blocks is not the topic's.
    """

    topic: str
    verdict: Verdict
    reason: str
    absent: bool = False


class Engine(Protocol):
    """A producer. Every method may be called from the event loop, and none blocks it."""

    async def open(self) -> None:
        """Make ready; a broker that is away is no error here."""

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure]:
        """Send *messages* and return when the fate of each is known; ``acks=all``. Failures ascend by row.

        Ends by itself: after the engine's delivery time-out what is undecided is ``LATER``, and a producer
        that gives no answer is abandoned and replaced. For each key the order of *messages* is kept, and
        the order of the calls; a failure says nothing about the messages behind it. Several calls may be
        under way. Raises nothing for what brokers do. Being cancelled leaves the engine usable.
        """

    async def look_up(self, topics: Collection[str]) -> Sequence[TopicTrouble]:
        """Which of *topics* cannot be written to, asked of the cluster now (bounded by a few seconds)."""

    async def close(self) -> None:
        """Send what was handed over (a few seconds at most), let go of sockets and threads. ``open`` works again."""
