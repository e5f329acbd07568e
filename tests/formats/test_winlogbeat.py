"""``winlogbeat``: the document and where it came from."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from collector.formats import spell
from collector.model import Batch, Caller
from collector.normalize import harvest
from tests.normalize.samples import CLASSIC, RECEIVED, SUBSCRIPTION, batch, event

PROVENANCE = {
    "subscription": {"id": "6f1d6bd4-5a0c-4a6e-9d1e-0d5e3f9b8c01", "name": "everything", "revision": "r7"},
    "client": {"name": "pc07", "principal": "PC07$@CORP.EXAMPLE", "ip": "192.0.2.7"},
    "collector": "wec1",
}


def spelled(*texts: str, drop: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    records = spell(harvest(batch(*texts)), "winlogbeat", drop)
    return [orjson.loads(records.record(row)) for row in range(len(records))]


def test_each_document_is_the_harvests_with_its_provenance_behind_it() -> None:
    """Whoever holds a document can say who sent it, under which subscription, and when it arrived."""
    found = harvest(batch(event(), "garbage"))
    for row, document in enumerate(spelled(event(), "garbage")):
        assert document.pop("wef") == {"event_id": found.ids[row], **PROVENANCE}
        assert document["event"].pop("created") == "2026-03-04T05:06:07.890123Z"
        assert document == found.fields()[row]


def test_what_a_batch_has_in_common_is_the_same_bytes_at_the_end() -> None:
    """Prebuilt once for a batch: two runs round the id (contract.md 4)."""
    records = spell(harvest(batch(event(), CLASSIC)), "winlogbeat")
    first, second = (records.record(row).split(b',"created":"')[1] for row in range(2))

    assert first.replace(records.ids[0].encode(), records.ids[1].encode()) == second
    assert first.endswith(b'},"collector":"wec1"}}')


def test_dropped_fields_are_gone_and_the_others_stay() -> None:
    """A sink that must not have names, or pays by the byte."""
    drop = ("winlog.event_data.IpAddress", "tags", "wef.client", "event.created", "no.such.field", "message.x")
    (whole,), (document,) = spelled(event()), spelled(event(), drop=drop)
    del whole["winlog"]["event_data"]["IpAddress"], whole["tags"], whole["wef"]["client"], whole["event"]["created"]

    assert document == whole
    assert list(document)[-1] == "wef"


@pytest.mark.parametrize("drop", [("wef",), ("wef.event_id",), ("wef", "wef.client"), ("wef.client", "wef")])
def test_the_event_id_cannot_be_dropped(drop: tuple[str, ...]) -> None:
    """Without it a duplicate cannot be told from an event."""
    document = spelled(event(), drop=drop)[0]

    assert document["wef"]["event_id"] == harvest(batch(event())).ids[0]
    assert (len(document["wef"]) == 1) == ("wef" in drop)


def test_dropping_for_one_sink_takes_nothing_from_another() -> None:
    """Lanes share a harvest."""
    found = harvest(batch(event()))
    spell(found, "winlogbeat", ("winlog.event_data", "event"))
    whole = orjson.loads(spell(found, "winlogbeat").record(0))

    assert whole["winlog"]["event_data"]["LogonType"] == "3"
    assert "event_data" in found.fields()[0]["winlog"]


def test_names_that_json_must_escape_are_escaped_in_the_prebuilt_run_too() -> None:
    """A certificate's name is chosen by whoever signed it."""
    caller = Caller("k", 'a"b\\', "x\ud800\n", "certificate", "::1")
    records = spell(harvest(Batch(caller, SUBSCRIPTION, RECEIVED, [event()], "c")), "winlogbeat")
    client = json.loads(records.record(0))["wef"]["client"]

    assert client == {"name": 'a"b\\', "principal": "x\ufffd\n", "ip": "::1"}
    assert records.block.count(b"\n") == 1
