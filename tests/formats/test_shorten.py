"""A record above a far end's limit loses its longest texts, and nothing that says which event it is."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.formats.shorten import LEAST, LEAST_MESSAGE, TAG, shortened

Document = dict[str, Any]


def document(**more: Any) -> Document:
    """Keys in the order of winlogbeat's."""
    found: Document = {
        "@timestamp": "2026-01-02T03:04:05.000000600Z",
        "host": {"name": "pc01"},
        "message": more.pop("message", "An account was logged on."),
        "process": {"command_line": more.pop("command_line", "cmd.exe")},
        "tags": ["forwarded"],
        "winlog": {
            "channel": "Security",
            "record_id": "18446744073709551615",
            "event_data": more.pop("event_data", {"SubjectUserName": "alice"}),
        },
        "event": {
            "kind": "event",
            "original": more.pop("original", "<Event/>"),
            "code": "4624",
            "created": "2026-01-02T03:04:06Z",
        },
        "wef": {"event_id": "AAAAAAAAAAAAAAAAAAAAAA", "collector": "wec"},
    }
    return {**found, **more}


def spelled(found: Document) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def cut(found: Document, limit: int) -> Document:
    short = shortened(spelled(found), limit)
    assert short is not None
    assert len(short) <= limit
    read: Document = orjson.loads(short)
    assert read["tags"] == [*found["tags"], TAG]
    return read


def test_a_document_that_fits_is_left_as_it_is() -> None:
    """Nearly all of them do, to the byte."""
    record = spelled(document())

    assert shortened(record, len(record)) is record


def test_what_stands_elsewhere_goes_first() -> None:
    """The XML and the message are made of the fields; the fields are what rules look at."""
    found = document(message="m" * 300_000, original="o" * 400_000, command_line="c" * 200_000)

    read = cut(found, 800_000)

    assert (len(read["message"]), len(read["event"]["original"])) == (2**18, 2**18)
    assert read["process"] == found["process"]


def test_the_message_is_cut_as_far_as_its_first_lines_before_any_field_is_touched() -> None:
    """A command line of 90,000 characters may be the attack itself."""
    found = document(message="m" * 50_000, original="o" * 30_000, command_line="c" * 90_000)

    read = cut(found, 100_000)

    assert read["process"] == found["process"]
    assert LEAST_MESSAGE < len(read["message"]) == len(read["event"]["original"]) < 6000


def test_then_the_longest_texts_are_cut_to_one_length_wherever_they_are() -> None:
    """A short value next to a huge one is worth more than the end of the huge one."""
    data = {"Script": "s" * 70_000, "Name": "n" * 300, "List": ["l" * 80_000, "x"]}
    found = document(message="m" * 9000, command_line="c" * 60_000, event_data=data)

    read = cut(found, 30_000)

    after = read["winlog"]["event_data"]
    assert len(read["message"]) == LEAST_MESSAGE
    assert len(after["Script"]) == len(after["List"][0]) == len(read["process"]["command_line"]) > 9000
    assert (after["Name"], after["List"][1]) == ("n" * 300, "x")


def test_what_names_the_event_is_never_cut() -> None:
    """A record of which nobody knows whose it is, is no evidence; the dead letter keeps all of it."""
    found = document(original="o" * 5000)
    found["winlog"]["computer_name"] = "pc" * 50_000

    assert shortened(spelled(found), 50_000) is None


def test_many_short_values_cannot_be_made_to_fit() -> None:
    """Cutting all of them to stumps would leave a document that says nothing."""
    found = document(event_data={f"key{number}": "v" * LEAST for number in range(200)})

    assert shortened(spelled(found), 8000) is None


@pytest.mark.parametrize("other", [b"<Event>" * 100, b"", b"[" * 500, b'{"a":' * 100, b'"' + b"x" * 500, b"\\" * 500])
def test_what_is_no_document_is_refused(other: bytes) -> None:
    """raw records reach the same sinks; nothing may be cut out of the middle of an XML text."""
    assert shortened(other, 50) is (None if other else other)


def test_a_text_without_an_end_is_read_once() -> None:
    """A letter of old may hold anything: each quote of this one began another walk to the end, for minutes."""
    assert shortened(b'"\\' * 2**20, 50) is None


def test_numbers_and_the_spelling_of_everything_else_stay() -> None:
    """Above 2**53 most readers round; here nothing is read and written again."""
    record = spelled(document(message="m" * 9000)).replace(
        b'"kind":', b'"sequence":98765432109876543210,"f":1.50E+3,"kind":'
    )

    short = shortened(record, 3000)

    assert short is not None
    assert b'"event":{"sequence":98765432109876543210,"f":1.50E+3,"kind":"event"' in short


def test_a_document_without_tags_gets_them_before_event_and_wef() -> None:
    """drop_fields may have taken them; other code adds to the end of a document, which must stay the end."""
    found = document(message="m" * 9000)
    del found["tags"]

    short = shortened(spelled(found), 3000)

    assert short is not None
    assert list(orjson.loads(short)) == ["@timestamp", "host", "message", "process", "winlog", "tags", "event", "wef"]
    assert orjson.loads(short)["tags"] == [TAG]
    assert short.endswith(spelled({"x": found["wef"]}).removeprefix(b'{"x":'))


def test_the_tag_is_there_once() -> None:
    """normalize sets the same one for a message of megabytes."""
    found = document(message="m" * 9000, tags=["forwarded", TAG])

    short = shortened(spelled(found), 3000)

    assert short is not None
    assert orjson.loads(short)["tags"] == ["forwarded", TAG]


texts = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda part, times: part * times,
        st.text(st.sampled_from(["\\", '"', "\n", "\x01", "é", "漢", "\U0001f600", "x", "u"]), min_size=1, max_size=8),
        st.integers(0, 2000),
    ),
)
values = st.recursive(
    st.one_of(texts, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=8,
)


def begins_like(short: Any, whole: Any) -> bool:
    """Same shape and values, but for texts of which only the beginning is there."""
    if isinstance(whole, dict):
        return list(short) == list(whole) and all(begins_like(short[key], whole[key]) for key in whole)
    if isinstance(whole, list):
        return len(short) == len(whole) and all(map(begins_like, short, whole))
    if isinstance(whole, str):
        return short == whole or (whole.startswith(short) and len(json.dumps(whole)) > LEAST)
    return bool(short == whole and type(short) is type(whole))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=6), values, max_size=6), texts, texts, st.integers(300, 20_000), st.booleans())
def test_it_fits_reads_and_has_lost_only_ends_of_texts(
    data: Document, message: str, original: str, limit: int, escaped: bool
) -> None:
    """Whatever a source makes its events of."""
    found = document(message=message, original=original, event_data=data)
    record = json.dumps(found, ensure_ascii=escaped, separators=(",", ":")).encode()

    short = shortened(record, limit)

    if short is None or short is record:
        assert (len(record) <= limit) == (short is record)
        return
    read = json.loads(short.decode())
    assert len(short) <= limit
    assert read.pop("tags") == [*found.pop("tags"), TAG]
    assert begins_like(read, found)
    assert json.dumps(read, ensure_ascii=False).encode()  # no half of a surrogate pair
    assert read["wef"] == found["wef"]
    assert short == shortened(record, limit)
