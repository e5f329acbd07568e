"""The table of formats, the raw ones, and the records they become."""

from __future__ import annotations

import orjson
import pytest

from collector.formats import FORMATS, spell
from collector.model import Batch
from collector.normalize import harvest
from tests.normalize.samples import CALLER, CLASSIC, RECEIVED, SUBSCRIPTION, batch, event

TWO_LINES = event("<EventData><Data Name='a'>one\r\ntwo\n</Data></EventData>")


def test_the_table_offers_what_the_contract_names_and_hides_the_stores_own() -> None:
    """Settings offer what is public."""
    assert {name for name, entry in FORMATS.items() if entry.public} == {"winlogbeat", "raw", "raw_json"}
    assert not FORMATS["stored"].public


@pytest.mark.parametrize("name", list(FORMATS))
def test_each_record_is_one_line_and_picking_keeps_ids_and_bytes_together(name: str) -> None:
    """Sinks cut the block at its ends; a row that slips gives an event another's id."""
    records = spell(harvest(batch(event(), TWO_LINES, CLASSIC, "bad\ntext")), name)
    picked = records.pick([1, 3])

    assert records.block.count(b"\n") == len(records) == len(records.ids) == len(records.keys) == 4
    assert records.ends[-1] == len(records.block)
    assert [records.record(row) for row in range(4)] == records.block.split(b"\n")[:-1]
    assert [picked.record(row) for row in range(2)] == [records.record(1), records.record(3)]
    assert list(picked.ids) == [records.ids[1], records.ids[3]]
    assert picked.ends[-1] == len(picked.block)


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_batch_without_events_is_an_empty_block(name: str) -> None:
    records = spell(harvest(batch()), name)
    assert (records.block, len(records)) == (b"", 0)


def test_records_say_where_they_came_from() -> None:
    """Path templates are filled with it."""
    records = spell(harvest(batch(event())), "raw")
    assert (records.format, records.source, records.subscription) == ("raw", "pc07", "everything")
    assert records.received == RECEIVED


def test_a_format_is_spelled_once_for_a_batch() -> None:
    """However many lanes want it; raw formats have no fields that could be dropped."""
    found = harvest(batch(event()))

    assert spell(found, "winlogbeat") is spell(found, "winlogbeat")
    assert spell(found, "raw", ["tags"]) is spell(found, "raw")
    assert spell(found, "winlogbeat", ["tags"]) is spell(found, "winlogbeat", ("tags",))
    assert spell(found, "winlogbeat", ["tags"]) is not spell(found, "winlogbeat")


def test_raw_is_the_xml_as_received_on_one_line() -> None:
    """An XML parser reads the references back as the characters they stand for."""
    record = spell(harvest(batch(TWO_LINES)), "raw").record(0).decode()

    assert record == TWO_LINES.replace("\r", "&#13;").replace("\n", "&#10;")


def test_raw_json_is_openwecs_line() -> None:
    """Users of OpenWEC keep their pipelines."""
    row = orjson.loads(spell(harvest(batch(TWO_LINES)), "raw_json").record(0))

    assert row == {
        "meta": {
            "IpAddress": "192.0.2.7",
            "TimeReceived": "2026-03-04T05:06:07.890123+00:00",
            "Principal": "PC07$@CORP.EXAMPLE",
            "Client": "PC07$@CORP.EXAMPLE",
            "Subscription": {
                "Uuid": "6f1d6bd4-5a0c-4a6e-9d1e-0d5e3f9b8c01",
                "Version": "0A1B",
                "Name": "everything",
                "ClientRevision": "r7",
            },
            "Node": "wec1",
        },
        "data": TWO_LINES,
    }


def test_stored_holds_the_document_and_the_xml_byte_for_byte() -> None:
    """What the store keeps is the evidence itself, however broken."""
    texts = [TWO_LINES, "\x00 garbage \ufffe", CLASSIC]
    found = harvest(batch(*texts))
    stored, documents = spell(found, "stored", ["tags"]), spell(found, "winlogbeat", ["tags"])

    for row, text in enumerate(texts):
        document, xml = stored.record(row).split(b"\t")
        assert document == documents.record(row)
        assert orjson.loads(xml) == text


def test_half_a_surrogate_pair_in_any_place_costs_nothing_but_itself() -> None:
    """UTF-8 cannot hold it; refusing would make the source send the batch for ever."""
    found = harvest(Batch(CALLER, SUBSCRIPTION, RECEIVED, ["x\ud800y"], "node\udfff"))

    for name in FORMATS:
        assert "\ufffd" in spell(found, name).record(0).decode()
