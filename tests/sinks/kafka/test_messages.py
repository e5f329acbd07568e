"""Key, headers and timestamp as consumers rely on them, and what happens to a record that is too large."""

from __future__ import annotations

import orjson

from collector.model import Records
from collector.sinks.datasets import datasets
from collector.sinks.kafka.messages import AHEAD, Prepared, Spelling, size_of
from collector.sinks.kafka.topics import TopicTemplate
from tests.events.made import NOON, RECEIVED, made, records

NOW = RECEIVED.timestamp()


def spelling(
    *, format: str = "winlogbeat", key: str = "computer", limit: int = 10**6, truncate: bool = True
) -> Spelling:
    dataset = datasets()
    return Spelling(
        TopicTemplate("w-{dataset}", dataset), dataset, format=format, key=key, limit=limit, truncate=truncate
    )


def prepared(batch: Records, **options: object) -> Prepared:
    return spelling(**options).prepare(batch, NOW)  # type: ignore[arg-type]


def test_a_message_says_in_its_headers_what_routers_need() -> None:
    """Consumers pick by header, without reading the document; event-id is what they deduplicate by."""
    event = made(1, NOON, computer="PC01.Corp.Example")

    (message,) = prepared(records([event], form="winlogbeat")).messages

    assert message.topic == "w-system.security"
    assert message.key == b"pc01.corp.example"
    assert message.timestamp == NOON // 1_000_000
    assert message.headers == [
        ("event-id", event.id.encode()),
        ("computer", b"PC01.Corp.Example"),
        ("channel", b"Security"),
        ("dataset", b"system.security"),
        ("provider", b"Microsoft-Windows-Security-Auditing"),
        ("event-code", b"4624"),
        ("subscription", b"everything"),
        ("schema", b"wef.winlogbeat.v1"),
        ("content-type", b"application/json"),
    ]


def test_the_value_is_the_record_without_its_line_end() -> None:
    """A consumer parses one document."""
    batch = records([made(n) for n in range(3)], form="winlogbeat")

    assert [message.value for message in prepared(batch).messages] == [batch.record(row) for row in range(3)]


def test_a_key_can_hold_the_channel_or_nothing() -> None:
    """Domain controllers are chatty: their channels can be spread."""
    batch = records([made(1, computer="DC1", channel="System")], form="winlogbeat")

    assert prepared(batch, key="computer+channel").messages[0].key == b"dc1|system"
    assert prepared(batch, key="none").messages[0].key is None


def test_a_time_that_brokers_refuse_is_brought_into_bounds() -> None:
    """One clock that runs ahead would fail the batch of everybody (servers.md 3.3)."""
    batch = records([made(1, NOON + 10 * 3600 * 10**9), made(2, 0), made(3, -1)], form="winlogbeat")

    noon = int(NOW * 1000)
    assert [message.timestamp for message in prepared(batch).messages] == [noon + AHEAD, noon, noon]


def test_names_without_end_do_not_fill_headers() -> None:
    """Sources choose them; the document holds all of it."""
    batch = records([made(1, computer="x" * 100_000, provider="é" * 100_000)], form="winlogbeat")

    (message,) = prepared(batch).messages

    assert size_of(message) - len(message.value) < 16_384


def test_a_document_above_the_limit_is_shortened_and_says_so() -> None:
    """Losing the end of a script block is better than losing the event."""
    batch = records([made(0), made(1, message="m" * 50_000)], form="winlogbeat")

    found = prepared(batch, limit=20_000)

    assert found.rejections == []
    assert size_of(found.messages[1]) <= 20_000
    assert orjson.loads(found.messages[1].value)["tags"] == ["_truncated"]
    assert found.messages[0].value == batch.record(0)


def test_xml_above_the_limit_is_a_letter() -> None:
    """XML that was cut is no XML."""
    batch = records([made(0), made(1, message="m" * 50_000, data={"a": "x" * 50_000}), made(2)], form="raw")

    found = prepared(batch, format="raw", limit=20_000)

    assert list(found.rows) == [0, 2]
    assert [rejection.row for rejection in found.rejections] == [1]
    assert "max_message_size" in found.rejections[0].reason


def test_oversized_can_mean_a_letter_for_documents_too() -> None:
    """Who must not lose a byte says so."""
    batch = records([made(1, message="m" * 50_000)], form="winlogbeat")

    assert [rejection.row for rejection in prepared(batch, limit=20_000, truncate=False).rejections] == [0]
