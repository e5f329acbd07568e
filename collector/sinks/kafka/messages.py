"""Records -> messages: key, headers, timestamp, and what becomes of a record that is too large. Pure.

Per computer, and per channel, provider and event code, everything is made once and remembered in bounded caches: this
is a hot path, and what differs between the events of a fleet is little. It knows no broker and no engine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from collector.formats.shorten import shortened
from collector.model import Records
from collector.sinks.base import Rejection
from collector.sinks.kafka.engine import Message
from collector.sinks.kafka.topics import TopicTemplate

Header = tuple[str, bytes]
_Names = tuple[str, str, str]
_Kind = tuple[str, list[Header]]

LONGEST_NAME: Final = 1024
"""Characters of a name in keys and headers. Real ones are far shorter; the document holds all of it."""
COMPUTERS: Final = 32_768
NAMES: Final = 4_096
"""Names that are remembered. Sources choose them, so there is a bound; it exceeds what a fleet has."""
SUBSCRIPTIONS: Final = 1_024
"""Subscriptions whose kinds are remembered: names from the settings, and from spools of older ones."""
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
        self._kinds: dict[str, dict[_Names, _Kind]] = {}  # by subscription
        self._key: Callable[[str, str], bytes | None] = functools.lru_cache(COMPUTERS)(KEYS[key])
        self._topic_varies = not template.fields.isdisjoint({"computer", "source"})
        self._various = self._topic_varies or key == "computer+channel"

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
        kinds = self._kinds_of(records.subscription)
        new, cls = tuple.__new__, Message  # the constructor that NamedTuple writes costs twice as much
        messages: list[Message] = []
        topics: set[str] = set()
        last = named = message_key = None  # a batch is one source, which is nearly always one computer
        for (time, computer, channel, provider, code, _), identifier, end in zip(
            records.keys, records.ids, records.ends, strict=True
        ):
            if computer != last:
                last, named, message_key = computer, self._computer(_cut(computer)), self._key(_cut(computer), "")
            topic, tail = kinds.get((channel, provider, code)) or self._kind(kinds, records, channel, provider, code)
            if self._various:
                topic, message_key = self._of_event(topic, records, _cut(computer), _cut(channel))
            topics.add(topic)
            at = time // 1_000_000 if time > 0 else received  # 0: it has none that is valid
            if at > latest:
                at = latest
            headers = [("event-id", identifier.encode()), named, *tail]
            messages.append(new(cls, (topic, message_key, block[start : end - 1], headers, at)))
            start = end
        return messages, frozenset(topics)

    def _kinds_of(self, subscription: str) -> dict[_Names, _Kind]:
        if len(self._kinds) > SUBSCRIPTIONS:
            self._kinds.clear()
        return self._kinds.setdefault(subscription, {})

    def _kind(self, kinds: dict[_Names, _Kind], records: Records, *names: str) -> _Kind:
        """What all events of these names (channel, provider, code) have in common: the topic, and the last headers."""
        channel, provider, code = map(_cut, names)
        values = {
            "channel": channel,
            "dataset": self._dataset(channel),
            "provider": provider,
            "event-code": code,
            "subscription": _cut(records.subscription),
        }
        headers = [_header(name, value) for name, value in values.items()]
        kind = self._topic_of(records, "", channel), [*headers, *self._constant]
        if sum(map(len, names)) <= LONGEST_NAME:  # else it is nobody that comes again
            if len(kinds) >= NAMES:
                kinds.clear()
            kinds[channel, provider, code] = kind
        return kind

    def _of_event(self, topic: str, records: Records, computer: str, channel: str) -> tuple[str, bytes | None]:
        """Topic and key where the settings let them depend on more than the kind of an event and its computer."""
        if self._topic_varies:
            topic = self._topic_of(records, computer, channel)
        return topic, self._key(computer, channel)

    def _topic_of(self, records: Records, computer: str, channel: str) -> str:
        return self._topic(channel=channel, subscription=records.subscription, computer=computer, source=records.source)

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
