"""Whose fault a refusal is: the record's, or the topic's. It asks nobody; it counts what it is told.

A record that fails alone is guilty (``settle``), unless everything fails: a compacted topic takes no record without
a key, and one with a small max.message.bytes takes none at all. Letters for a whole night would be the wrong
answer to that: a person has to mend the topic, and the records can wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from collector.clock import Clock
from collector.sinks.base import SinkUnavailable

STRANGERS: Final = 8
"""Records that a topic refused one by one, with none taken in between, after which the refusal is not about records."""
TRUSTED_FOR: Final = 60.0
"""Seconds for which a topic that took a record is believed to take records. Whatever a machine sends, it does not stop
all others; a topic that was changed costs a minute of letters at most."""
MOST: Final = 4_096
"""Topics that are remembered."""


@dataclass(slots=True)
class _Standing:
    taken: float  # when it last took a record
    refused: int = 0  # records refused alone since


class Standings:
    """How the topics of *sink* stand. One that is not remembered has taken nothing yet."""

    def __init__(self, sink: str, clock: Clock) -> None:
        self._sink, self._clock = sink, clock
        self._topics: dict[str, _Standing] = {}

    def taken(self, topic: str) -> None:
        """*topic* has stored a record. A hot path."""
        standing = self._of(topic)
        standing.taken = self._clock.monotonic()
        standing.refused = 0

    def trusted(self, topic: str) -> bool:
        """Whether it took a record lately, so that what it refuses now is to blame itself."""
        return self._clock.monotonic() - self._of(topic).taken <= TRUSTED_FOR

    def refused(self, topic: str, reason: str) -> None:
        """*topic* has refused a record that was sent alone. Raises ``SinkUnavailable`` when it does so with all."""
        standing = self._of(topic)
        standing.refused += 1
        if standing.refused >= STRANGERS:
            raise SinkUnavailable(
                f"topic {topic} refuses every record, so it is not about records: {reason}; compare cleanup.policy and"
                f" max.message.bytes of the topic with key and max_message_size of sinks.{self._sink}"
                " (wef setup kafka does)",
                blocked=True,
            )

    def _of(self, topic: str) -> _Standing:
        standing = self._topics.get(topic)
        if standing is None:
            if len(self._topics) >= MOST:
                self._topics.clear()
            standing = self._topics[topic] = _Standing(taken=float("-inf"))
        return standing
