"""Every real event at hand becomes a sound document (normalization.md 10.1, second rung)."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from collector.formats import spell
from collector.normalize import Harvest, harvest
from tests.conftest import absent
from tests.normalize.samples import batch


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    file = folder / "events" / f"{name}.jsonl.gz"
    if not file.is_file():
        absent(f"the real events are not at {file}")
    with gzip.open(file, "rt", encoding="utf-8") as rows:
        return [json.loads(row) for row in rows]


def strings(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a document with its value, at any depth."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield name, below
            yield from strings(below)


@pytest.mark.parametrize("name", ["forwarder_style", "sample_permissive", "weird"])
def test_every_real_event_becomes_a_sound_document(shared_data: Path, name: str) -> None:
    """Valid JSON, safe keys, one row each, nothing unparsable: these all came out of real logs."""
    rows = lines(shared_data, name)
    found = harvest(batch(*(row["xml"] for row in rows)))
    records = spell(found, "winlogbeat")

    assert len(records) == len(rows)
    assert found.flaws["unparsable"] == found.flaws["several_events"] == 0
    for number in range(len(records)):
        document = orjson.loads(records.record(number))
        assert document["wef"]["event_id"] == found.ids[number]
        assert document["event"]["kind"] == "event"
        for key, value in strings(document):
            assert "." not in key, key
            assert key == key.strip() != "", key
            assert len(key) <= 128, key
            assert value not in (None, {}), key


def test_the_ids_of_different_events_differ(shared_data: Path) -> None:
    """Two events of one id would become one in the store: lost evidence."""
    rows = lines(shared_data, "forwarder_style")
    found = harvest(batch(*(row["xml"] for row in rows)))

    texts: dict[str, set[str]] = {}
    for row_id, text in zip(found.ids, found.texts, strict=True):
        texts.setdefault(row_id, set()).add(text)
    assert [row_id for row_id, same in texts.items() if len(same) > 1] == []


@pytest.fixture(scope="module")
def weird(shared_data: Path) -> dict[str, list[tuple[str, dict[str, Any], Counter[str]]]]:
    """Case -> (text, document, flaws) of each of its events."""
    cases: dict[str, list[tuple[str, dict[str, Any], Counter[str]]]] = {}
    for row in lines(shared_data, "weird"):
        found: Harvest = harvest(batch(row["xml"]))
        cases.setdefault(row["case"].split(" (")[0], []).append((row["xml"], found.fields()[0], found.flaws))
    return cases


def test_control_characters_are_shown_and_tagged(weird: Any) -> None:
    """XML 1.0 forbids them and Windows writes them all the same: the event is kept, the reader warned."""
    for _, document, flaws in weird["control-char"]:
        assert flaws["control_characters"] == 1
        assert "_control_characters" in document["tags"]
        assert "\\u00" in json.dumps(document, ensure_ascii=False)


def test_unnamed_values_get_positions_and_a_list(weird: Any) -> None:
    """Elastic reads param2, Sigma reads Data."""
    for _, document, _ in weird["unnamed Data"]:
        data = document["winlog"]["event_data"]
        assert data["Data"] == [value for key, value in data.items() if key.startswith("param")]
        assert data["Data"]


def test_binary_is_kept_as_given(weird: Any) -> None:
    """Hexadecimal text of whatever the provider appended; an empty one is dropped like every empty value."""
    kept = 0
    for text, document, _ in weird["Binary"]:
        binary = document["winlog"]["event_data"].get("Binary", "")
        assert f"<Binary>{binary}</Binary>" in text or (not binary and "<Binary/>" in text)
        kept += bool(binary)
    assert kept


def test_classic_providers_simply_have_fewer_fields(weird: Any) -> None:
    for _, document, _ in weird["no Version/Opcode/Execution/Correlation"]:
        assert {"version", "opcode", "process", "activity_id"}.isdisjoint(document["winlog"])


def test_empty_event_data_leaves_no_field(weird: Any) -> None:
    for _, document, _ in weird["empty EventData"]:
        assert "event_data" not in document["winlog"]


def test_user_data_names_its_root(weird: Any) -> None:
    for text, document, _ in weird["UserData"]:
        data = document["winlog"].get("user_data")
        assert data is None or f"<{data['xml_name']}" in text


def test_nested_user_data_is_flattened(weird: Any) -> None:
    """What beats lose: wherever something was said below the first level, a key is a path."""
    for text, document, _ in weird["UserData nested"]:
        paths = [key for key in document["winlog"]["user_data"] if "_" in key and key != "xml_name"]
        assert paths or "<Files><File/></Files>" in text


def test_texts_of_any_script_arrive_as_they_were(weird: Any) -> None:
    """French messages, box drawing, kanji: every character of the event is in its document."""
    for text, document, _ in weird["non-ASCII"]:
        spelled = orjson.dumps(document).decode()
        assert {character for character in text if not character.isascii()} <= set(spelled)


@pytest.mark.parametrize(("case", "digits"), [("9-digit SystemTime", 9), ("3-digit SystemTime", 3)])
def test_every_digit_of_the_time_is_kept(weird: Any, case: str, digits: int) -> None:
    """The order of events inside a microsecond is in the last digits."""
    for text, document, flaws in weird[case]:
        assert f"SystemTime='{document['@timestamp']}'" in text
        assert len(document["@timestamp"].rstrip("Z").split(".")[1]) == digits
        assert not flaws


def test_large_values_are_whole(weird: Any) -> None:
    for _, document, _ in weird["value > 8 KB"]:
        sizes = [len(v) for _, v in strings(document) if isinstance(v, str)]
        assert max(sizes) > 8000


def test_parameter_codes_stay_codes(weird: Any) -> None:
    """Rules match on %%1833, not on its text in some language."""
    for _, document, _ in weird["%%codes"]:
        assert any(str(value).startswith("%%") for value in document["winlog"]["event_data"].values())


def test_blanks_in_names_stay(weird: Any) -> None:
    for _, document, _ in weird["space in Data Name"]:
        assert any(" " in key for key in document["winlog"]["event_data"])


def test_processing_errors_are_kept(weird: Any) -> None:
    for _, document, _ in weird["section ProcessingErrorData"]:
        assert document["error"] == {"code": "15005", "id": "shellId"}
        assert document["winlog"]["processing_error"]["event_payload"].startswith("6800")


def test_of_two_values_with_one_name_the_first_counts(weird: Any) -> None:
    for text, document, _ in weird["duplicate Data Name"]:
        data = document["winlog"].get("event_data", {})
        assert all(f"<Data Name='{key}'>" in text for key in data)
        assert len(data) < text.count("<Data Name=")


@pytest.mark.parametrize("case", ["section Event", "section SubscriptionBookmarkEvent", "event > 12 KB"])
def test_other_oddities_are_plain_events(weird: Any, case: str) -> None:
    """An unknown section, an event of the forwarder itself, a large one: no flaw, a header that says who."""
    for _, document, flaws in weird[case]:
        assert not flaws
        assert document["event"]["provider"] == document["winlog"]["provider_name"]
