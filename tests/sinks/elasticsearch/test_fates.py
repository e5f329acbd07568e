"""Answers of Elasticsearch, and what they mean for each record: sinks.md 2.5 as a table."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.sinks.elasticsearch.fates import (
    LONGEST_REASON,
    Outcome,
    Unreadable,
    Whole,
    items_outcome,
    reason,
    retry_after,
    whole,
)
from tests.sinks.elasticsearch.fake import error

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def answer(*items: tuple[int, dict[str, Any] | None]) -> bytes:
    said = [{"create": {"status": status, **({"error": trouble} if trouble else {})}} for status, trouble in items]
    return orjson.dumps({"errors": True, "items": said})


def fate(status: int, trouble: dict[str, Any] | None = None) -> tuple[str, str]:
    """What became of one record: accepted, rejected, kept or blocked; and why."""
    outcome = items_outcome(answer((status, trouble)), [0], ["logs-a-b"])
    if outcome.rejected:
        return "rejected", outcome.rejected[0]
    if outcome.kept:
        return ("blocked" if outcome.blocked else "kept"), outcome.kept[0]
    return "accepted", ""


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (200, "", "accepted"),
        (201, "", "accepted"),
        (409, "version_conflict_engine_exception", "accepted"),
        (429, "es_rejected_execution_exception", "kept"),
        (429, "circuit_breaking_exception", "kept"),
        (429, "cluster_block_exception", "blocked"),
        (403, "cluster_block_exception", "blocked"),
        (403, "security_exception", "blocked"),
        (401, "security_exception", "blocked"),
        (404, "index_not_found_exception", "blocked"),
        (400, "document_parsing_exception", "rejected"),
        (400, "mapper_parsing_exception", "rejected"),
        (400, "illegal_argument_exception", "rejected"),
        (413, "content_too_large", "rejected"),
        (500, "anything", "kept"),
        (503, "unavailable_shards_exception", "kept"),
        (502, "", "kept"),
    ],
)
def test_each_status_has_its_fate(status: int, kind: str, word: str) -> None:
    """Rejecting what would be taken later loses evidence; keeping what never will be stops everything."""
    assert fate(status, error(kind) if kind else None)[0] == word


def test_a_missing_template_names_the_stream_and_the_command() -> None:
    """The person who reads it has to do exactly that."""
    _, text = fate(404, error("index_not_found_exception", "no such index [logs-a-b]"))

    assert "logs-a-b" in text
    assert "wef setup elasticsearch --apply" in text


def test_a_full_disk_is_told_from_overload() -> None:
    """Both are 429, but no waiting cures a full disk (servers.md 10, 13)."""
    assert "disk" in fate(429, error("cluster_block_exception"))[1]


def test_a_missing_pipeline_is_nobodys_record() -> None:
    """Every record would be a letter, because of one line in a template."""
    word, text = fate(400, error("illegal_argument_exception", "pipeline with id [mine] does not exist"))

    assert word == "blocked"
    assert "pipeline" in text


@pytest.mark.parametrize(
    ("kind", "said", "advice"),
    [
        (
            "validation_exception",
            "Validation Failed: 1: this action would add [1] shards, but this cluster currently has [1000]/[1000]"
            " maximum normal shards open;",
            "cluster.max_shards_per_node",
        ),
        ("index_closed_exception", "closed", "_open"),
        ("illegal_argument_exception", "no write index is defined for alias [logs-a-b]. The write", "is_write_index"),
    ],
)
def test_an_index_that_cannot_be_written_is_nobodys_record(kind: str, said: str, advice: str) -> None:
    """Elasticsearch says 400 to each of them: every event of the stream would be a letter until somebody looks."""
    word, text = fate(400, error(kind, said))

    assert word == "blocked"
    assert advice in text


def test_a_rejection_gives_the_deepest_reason_and_no_more_than_a_line() -> None:
    """The outermost words are "failed to parse"; what was wrong lies below, and a document may be quoted."""
    middle = error("mid", "y", caused_by=error("end", "z" * 5000))
    deep = error("document_parsing_exception", "x" * 5000, caused_by=middle)

    word, text = fate(400, deep)

    assert word == "rejected"
    assert text.startswith("400 document_parsing_exception: x")
    assert "end: z" in text
    assert len(text) <= LONGEST_REASON


def test_a_chain_of_causes_has_an_end() -> None:
    """A hostile answer may nest without measure."""
    nested: dict[str, Any] = error("last")
    for _ in range(500):
        nested = error("more", "r", caused_by=nested)

    assert len(reason(nested)) <= LONGEST_REASON


def test_the_neighbours_of_a_bad_record_are_safe() -> None:
    """Fates belong to rows; nothing is decided for a whole bulk."""
    body = answer((201, None), (400, error("a")), (409, error("b")), (429, error("es_rejected_execution_exception")))

    outcome = items_outcome(body, [7, 8, 9, 12])

    assert list(outcome.rejected) == [8]
    assert list(outcome.kept) == [12]
    assert (outcome.present, outcome.blocked) == (1, False)


def test_the_failure_store_is_counted() -> None:
    """Stored, but no search of the stream finds it: somebody should know."""
    body = orjson.dumps({"items": [{"create": {"status": 201, "failure_store": "used"}}, {"create": {"status": 201}}]})

    outcome = items_outcome(body, [0, 1])

    assert (outcome.failures, outcome.kept, outcome.rejected) == (1, {}, {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"items":{}}',
        b'{"items":[]}',
        b'{"errors":false}',
        b'{"items":[{"create":{"status":201}},{"create":{"status":201}}]}',
        b'{"items":[{"create":{}}]}',
        b'{"items":[{"create":{"status":"201"}}]}',
        b'{"items":[{"create":{"status":true}}]}',
        b'{"items":[{"create":{"status":1}}]}',
        b'{"items":[{"create":{"status":302}}]}',
        b'{"items":[{"create":[]}]}',
        b'{"items":[null]}',
        b'{"items":[{}]}',
    ],
)
def test_what_is_no_answer_to_the_question_says_nothing(body: bytes) -> None:
    """A proxy's page with status 200, or one item short: nobody knows, so everything is kept."""
    with pytest.raises(Unreadable):
        items_outcome(body, [0])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["items", "create", "status", "error", "type", "reason", "caused_by"]), inner)
    ),
)


@settings(max_examples=60, deadline=None)
@given(value=json_values, status=st.integers(100, 599))
def test_no_answer_of_any_shape_breaks_the_reading(value: Any, status: int) -> None:
    """Everything from the network is hostile; the lane must live on."""
    body = orjson.dumps(value) if not _huge(value) else b"{}"
    whole(status, body)
    with contextlib.suppress(Unreadable):
        items_outcome(body, [0])


def _huge(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return True
    return False


def es(kind: str, text: str = "") -> bytes:
    return orjson.dumps({"error": error(kind, text), "status": 400})


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, b"", Whole.ITEMS),
        (413, b"", Whole.SPLIT),
        (400, es("illegal_argument_exception", "Malformed action/metadata line [1]"), Whole.BISECT),
        (400, es("action_request_validation_exception", "id is too long"), Whole.BISECT),
        (400, es("media_type_header_exception"), Whole.BLOCKED),
        (
            400,
            es("illegal_argument_exception", "contains unrecognized parameter: [require_data_stream]"),
            Whole.WITHOUT,
        ),
        (400, es("illegal_argument_exception", "contains unrecognized parameter: [filter_path]"), Whole.BLOCKED),
        (400, b"The plain HTTP request was sent to HTTPS port", Whole.BLOCKED),
        (400, b'{"error":"no"}', Whole.BLOCKED),
        (401, b"", Whole.BLOCKED),
        (403, b"", Whole.BLOCKED),
        (404, b"", Whole.BLOCKED),
        (406, es("media_type_header_exception"), Whole.BLOCKED),
        (302, b"", Whole.BLOCKED),
        (408, b"", Whole.LATER),
        (429, es("es_rejected_execution_exception"), Whole.LATER),
        (500, b"", Whole.LATER),
        (502, b"<html>", Whole.LATER),
        (503, b"", Whole.LATER),
        (504, b"", Whole.LATER),
    ],
)
def test_each_status_of_a_whole_request_has_its_meaning(status: int, body: bytes, meaning: Whole) -> None:
    """Only Elasticsearch's own 400 is about records; whatever a proxy says is about the way there."""
    assert whole(status, body)[0] is meaning


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("9" * 500, 999999999.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 12:00:30 -0000", 30.0),
        ("Tue, 99 Nov 2026 12:00:30 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float) -> None:
    """RFC 9110 10.2.3 allows both, and a proxy writes anything."""
    assert retry_after(value, NOW) == seconds


def test_outcomes_of_halves_add_up() -> None:
    """A bulk that was split has one outcome."""
    outcome = Outcome(rejected={0: "a"}, present=1)
    outcome.add(Outcome(kept={1: "b"}, blocked=True, retry_after=3.0, present=2, failures=1))

    assert (outcome.rejected, outcome.kept) == ({0: "a"}, {1: "b"})
    assert (outcome.blocked, outcome.retry_after, outcome.present, outcome.failures) == (True, 3.0, 3, 1)
