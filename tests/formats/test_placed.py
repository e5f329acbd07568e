"""Documents told where they will lie: nothing else in them changes, and nobody can forge the place."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.formats.placed import Place, placed

PLACE = Place.of(("logs", "system.security", "default"), "system")
STREAM = {"type": "logs", "dataset": "system.security", "namespace": "default"}
EVENT = {"dataset": "system.security", "module": "system"}

names = st.sampled_from(
    ["event", "wef", "data_stream", "event_id", "dataset", "module", "a", '"event":{', '},"wef":{"']
)
texts = st.one_of(st.text(), names, st.sampled_from(['},"wef":{"event_id":"x"', '"event":{"a":1}', "\\", '\\"', "}"]))
trees = st.recursive(
    st.one_of(texts, st.integers(-(2**70), 2**70), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(names, texts), inner, max_size=4)),
    max_leaves=12,
)
objects = st.dictionaries(st.one_of(names, texts), trees, max_size=4)


def spelled(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def expected(document: dict[str, Any]) -> dict[str, Any]:
    event = document.get("event")
    changed = {"event": {**event, **EVENT}} if isinstance(event, dict) else {}
    return {**document, **changed, "data_stream": STREAM}


@settings(max_examples=60, deadline=None)
@given(before=objects, event=st.none() | objects, wef=objects)
def test_a_placed_document_says_its_stream_and_is_otherwise_the_same(
    before: dict[str, Any], event: dict[str, Any] | None, wef: dict[str, Any]
) -> None:
    """Whatever a source says: texts, names and nestings that look like ours are not ours."""
    before = {name: value for name, value in before.items() if name not in ("event", "wef", "data_stream")}
    wef.pop("event_id", None)
    document = {**before, **({} if event is None else {"event": event}), "wef": {"event_id": "id", **wef}}
    if '"wef"' in json.dumps(wef):
        return  # below the run of bytes at the end nothing of a source is a name

    found = placed(spelled(document), PLACE)

    assert json.loads(found, object_pairs_hook=once) == json.loads(spelled(expected(document)))


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs), "a key stands twice"
    return dict(pairs)


@pytest.mark.parametrize(
    "document",
    [
        {"wef": {"event_id": "id"}},
        {"a": 1, "event": {}, "wef": {"event_id": "id"}},
        {"event": {"kind": "event"}, "wef": {"event_id": "id"}},
        {"event": {"original": "<Event>{}</Event>", "kind": "event"}, "wef": {"event_id": "id"}},
        {"winlog": {"user_data": {"event": {"a": "b"}}}, "wef": {"event_id": "id"}},
        {"winlog": {"user_data": {"event": {"a": "b"}, "c": 1}}, "wef": {"event_id": "id"}},
        {"winlog": {"wef": {"event_id": "id"}}, "event": {"kind": "event"}, "wef": {"event_id": "id"}},
        {"event": {"module": "other", "dataset": "other"}, "wef": {"event_id": "id"}},
        {"data_stream": {"type": "evil"}, "event": {"kind": "event"}, "wef": {"event_id": "id"}},
        {"event": {"kind": "event"}, "message": "behind", "wef": {"event_id": "id"}},
        {"event": "no object", "wef": {"event_id": "id"}},
        {"data_stream": 1, "a": 2**70, "event": {"kind": "event"}, "wef": {"event_id": "id"}},
    ],
)
def test_unusual_documents_are_placed_too(document: dict[str, Any]) -> None:
    """drop_fields may take ``event`` or all that is in it, and UserData may hold anything."""
    assert json.loads(placed(spelled(document), PLACE), object_pairs_hook=once) == expected(document)


@pytest.mark.parametrize("record", [b"", b"no json", b"[1]", b'{"a":', b"{}x", b"[" * 100_000])
def test_what_is_no_document_comes_back_as_it_is(record: bytes) -> None:
    """A letter of another age is refused by Elasticsearch, with a reason; it does not end the lane."""
    assert placed(record, PLACE) == record


def test_an_empty_object_is_placed() -> None:
    """The comma between nothing and something is where such code breaks."""
    assert orjson.loads(placed(b"{}", PLACE)) == {"data_stream": STREAM}


def test_dropped_fields_are_not_added_again() -> None:
    """drop_fields is the operator's word."""
    record = spelled({"event": {"kind": "event"}, "wef": {"event_id": "id"}})
    bare = Place.of(("logs", "x", "y"), "x", dropped={"data_stream", "event.module", "event.dataset"})
    half = Place.of(("logs", "x", "y"), "x", dropped={"data_stream.namespace", "event.module"})

    assert placed(record, bare) == record
    assert orjson.loads(placed(record, half)) == {
        "data_stream": {"type": "logs", "dataset": "x"},
        "event": {"kind": "event", "dataset": "x"},
        "wef": {"event_id": "id"},
    }
