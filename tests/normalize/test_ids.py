"""The event id and the key: what duplicates collapse by, what routing and the store ask."""

from __future__ import annotations

import base64
import hashlib

import pytest

from collector.model import Key
from collector.normalize import harvest
from tests.normalize.samples import BOOKMARK_EVENT, RENDERING, batch, event


def digest(*parts: str) -> str:
    """contract.md 4, written once more and differently."""
    hashed = hashlib.blake2b("\0".join(parts).encode("utf-8"), digest_size=16)
    return base64.urlsafe_b64encode(hashed.digest()).rstrip(b"=").decode("ascii")


def id_of(text: str) -> str:
    return harvest(batch(text)).ids[0]


def test_the_id_is_the_hash_that_the_contract_writes_down() -> None:
    """Other programs compute it too; a change would double every event of the past."""
    assert id_of(event()) == digest(
        "pc07.corp.example",
        "security",
        "4711",
        "2026-03-04T05:06:01.1234567Z",
        "Microsoft-Windows-Security-Auditing",
        "4624",
    )
    assert len(id_of(event())) == 22


def test_the_same_event_has_one_id_however_it_comes() -> None:
    """Through two subscriptions, rendered or not, with the channel in another case."""
    assert id_of(event()) == id_of(event(RENDERING)) == id_of(event(channel="SECURITY", computer="pc07.CORP.example"))


@pytest.mark.parametrize(
    "other",
    [
        event(time="2026-03-04T05:06:01.1234568Z"),
        event(time="2026-03-04T05:06:01.12345670Z"),
        event(record="<EventRecordID>4712</EventRecordID>"),
        event(computer="PC08"),
        event(channel="System"),
        event(provider="Other"),
        event().replace(">4624<", ">4625<"),
    ],
)
def test_whatever_distinguishes_events_distinguishes_ids(other: str) -> None:
    """Logs are cleared and machines are cloned: record numbers alone come again."""
    assert id_of(other) != id_of(event())


@pytest.mark.parametrize(
    "text", [BOOKMARK_EVENT, event(record=""), event(record="<EventRecordID>?</EventRecordID>"), "garbage", ""]
)
def test_without_a_record_number_the_text_is_hashed(text: str) -> None:
    assert id_of(text) == digest(text)


def test_the_key_holds_the_time_to_the_last_digit() -> None:
    """The store orders by it."""
    key = harvest(batch(event(time="2026-03-04T05:06:01.123456789Z"))).keys[0]

    assert key == Key(
        1772600761_123456789, "PC07.corp.example", "Security", "Microsoft-Windows-Security-Auditing", "4624", 0
    )


def test_a_made_up_level_does_not_get_into_an_index() -> None:
    text = event().replace("<Level>0</Level>", "<Level>99999999999999999999</Level>")
    assert harvest(batch(text)).keys[0].level == 0
