"""Records -> messages: key, headers, timestamp, and what becomes of a record that is too large. Pure.

Per computer, channel and provider everything is made once and remembered in bounded caches: this is a hot
path, and what differs between the events of a fleet is little. It knows no broker and no engine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from collector.formats.shorten import shortened
from collector.model import Records
from collector.sinks.base import Rejection
from collector.sinks.kafka.engine import Message
from collector.sinks.kafka.topics import TopicTemplate

Header = tuple[str, bytes]
_Plan = tuple[str, bytes | None, list[Header]]

LONGEST_NAME: Final = 1024
"""Characters of a name in keys and headers. Real ones are far shorter; the document holds all of it."""
COMPUTERS: Final = 32_768
NAMES: Final = 4_096
"""Names that are remembered. Sources choose them, so there is a bound; it exceeds what a fleet has."""
AHEAD: Final = 50 * 60 * 1000
"""Milliseconds. Brokers refuse what is over an hour ahead of their clock (servers.md 3.3); ours may differ by ten."""
FRAME: Final = 128
"""Bytes that Kafka's record format may add around key, value and headers of ten headers."""
_NAMED: Final = 8 * 4 * LONGEST_NAME
"""More than key and headers can have, in bytes: below this distance nobody counts."""

CONTENT_TYPES: Final = {
    "winlogbeat": "application/json",
    "raw": "application/xml",
    "raw_json": "application/json",
}
STRUCTURED: Final = frozenset({"winlogbeat"})
"""Formats whose documents can be shortened and still say what happened."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """*messages*, the row of the records that each of them is, the rows that can be no message, and all *topics*."""

    messages: list[Message]
    rows: Sequence[int]
    rejections: list[Rejection]
    topics: frozenset[str]

    def without(self, topics: Mapping[str, str]) -> Prepared:
        """The same, where messages for *topics* are rejected with the reason that stands there."""
        pairs = list(zip(self.rows, self.messages, strict=True))
        kept = [(row, message) for row, message in pairs if message.topic not in topics]
        lost = [Rejection(row, topics[message.topic]) for row, message in pairs if message.topic in topics]
        return Prepared(
            [message for _, message in kept],
            [row for row, _ in kept],
            [*self.rejections, *lost],
            self.topics.difference(topics),
        )


class Spelling:
    """How records become messages. *key*: a word of the setting ``key``; *limit*: bytes of a whole record."""

    def __init__(
        self,
        template: TopicTemplate,
        dataset: Callable[[str], str],
        *,
        format: str,
        key: str,
        limit: int,
        truncate: bool,
    ) -> None:
        self.format = format
        self._topic, self._dataset = template.topic, dataset
        self._limit, self._truncate = limit, truncate and format in STRUCTURED
        self._constant: list[Header] = [
            ("schema", f"wef.{format}.v1".encode()),
            ("content-type", CONTENT_TYPES[format].encode()),
        ]
        self._computer = functools.lru_cache(COMPUTERS)(functools.partial(_header, "computer"))
        self._kind = functools.lru_cache(NAMES)(self._of_kind)
        self._key: Callable[[str, str], bytes | None] = functools.lru_cache(COMPUTERS)(KEYS[key])

    def prepare(self, records: Records, now: float) -> Prepared:
        """Messages of *records* in their order; *now*: seconds since 1970."""
        messages, topics = self._messages(records, int(now * 1000) + AHEAD)
        safe = self._limit - FRAME - _NAMED
        if len(records.block) <= safe or all(len(message.value) <= safe for message in messages):
            return Prepared(messages, range(len(messages)), [], topics)
        return self._cut(messages)

    def _messages(self, records: Records, latest: int) -> tuple[list[Message], frozenset[str]]:
        """All messages, whatever their size, and their topics. The hottest loop of the sink."""
        block, start = records.block, 0
        received = min(int(records.received.timestamp() * 1000), latest)
        plans: dict[tuple[Any, ...], _Plan] = {}  # of this batch only: a batch is one source, and says few names often
        subscription = "subscription", _cut(records.subscription).encode()
        new, cls = tuple.__new__, Message  # the constructor that NamedTuple writes costs twice as much
        messages: list[Message] = []
        for key, identifier, end in zip(records.keys, records.ids, records.ends, strict=True):
            names = key[1:5]
            plan = plans.get(names)
            if plan is None:
                plan = plans[names] = self._plan(records, subscription, *names)
            topic, message_key, headers = plan
            at = key[0] // 1_000_000 if key[0] > 0 else received  # 0: it has none that is valid
            if at > latest:
                at = latest
            own = [("event-id", identifier.encode()), *headers]
            messages.append(new(cls, (topic, message_key, block[start : end - 1], own, at)))
            start = end
        return messages, frozenset(topic for topic, _, _ in plans.values())

    def _plan(self, records: Records, subscription: Header, *names: str) -> _Plan:
        """What all events of these names have in common: topic, key and all headers but the first."""
        computer, channel, provider, code = names if sum(map(len, names)) <= LONGEST_NAME else map(_cut, names)
        headers = [
            self._computer(computer),
            *self._kind(channel, provider, code),
            subscription,
            *self._constant,
        ]
        topic = self._topic(
            channel=channel, subscription=records.subscription, computer=computer, source=records.source
        )
        return topic, self._key(computer, channel), headers

    def _of_kind(self, channel: str, provider: str, code: str) -> Sequence[Header]:
        named = ("channel", channel), ("dataset", self._dataset(channel)), ("provider", provider), ("event-code", code)
        return [_header(name, value) for name, value in named]

    # What is too large ---------------------------------------------------------------------------------------------

    def _cut(self, messages: Sequence[Message]) -> Prepared:
        """The same messages, those too large shortened or left out with a reason."""
        kept: list[Message] = []
        rows: list[int] = []
        rejections: list[Rejection] = []
        for row, message in enumerate(messages):
            fitting = self._fitting(message)
            if fitting is None:
                reason = f"a record of {size_of(message)} bytes is above max_message_size, {self._limit} bytes"
                rejections.append(Rejection(row, reason))
            else:
                kept.append(fitting)
                rows.append(row)
        return Prepared(kept, rows, rejections, frozenset(message.topic for message in kept))

    def _fitting(self, message: Message) -> Message | None:
        size = size_of(message)
        if size <= self._limit:
            return message
        if not self._truncate:
            return None
        shorter = shortened(message.value, self._limit - (size - len(message.value)))
        return None if shorter is None else message._replace(value=shorter)


def size_of(message: Message) -> int:
    """Bytes of a message as the broker counts them, and a few more."""
    named = sum(len(name) + len(value) for name, value in message.headers)
    return len(message.value) + len(message.key or b"") + named + FRAME


def _cut(name: str) -> str:
    return name[:LONGEST_NAME]


def _header(name: str, value: str) -> Header:
    return name, value.encode("utf-8", "replace")


def _by_computer(computer: str, _channel: str) -> bytes | None:
    return computer.lower().encode("utf-8", "replace")


def _by_computer_and_channel(computer: str, channel: str) -> bytes | None:
    return f"{computer.lower()}|{channel.lower()}".encode("utf-8", "replace")


def _by_nothing(_computer: str, _channel: str) -> bytes | None:
    return None


KEYS: Final[dict[str, Callable[[str, str], bytes | None]]] = {
    "computer": _by_computer,
    "computer+channel": _by_computer_and_channel,
    "none": _by_nothing,
}
"""The setting ``key``: one computer's records stay in order, one computer's of one channel do, or none."""
