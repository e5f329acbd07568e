"""An Ack that is spelled beforehand is the Ack that the writer spells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.wsman.acks import ack
from collector.wsman.messages import Ack
from collector.wsman.payload import Payload, close_payload
from collector.wsman.writer import write_envelope

NEW = "uuid:6C4C4B1E-0000-4000-8000-3F9A0D7C1B22"


def written(charset: str, relates_to: str | None) -> tuple[str, bytes]:
    text = write_envelope(Ack(), message_id=NEW, relates_to=relates_to)
    return close_payload(text, Payload("", charset, bom=True))


@given(relates_to=st.one_of(st.uuids().map(lambda number: f"uuid:{number}".upper()), st.text(max_size=60)))
@pytest.mark.parametrize("charset", ["utf-8", "utf-16le", "utf-16be"])
def test_it_is_the_writers_or_left_to_the_writer(charset: str, relates_to: str) -> None:
    """The writer is the specification: markup, blanks and characters that XML cannot hold are its business."""
    found = ack(charset, NEW, relates_to)

    assert found is None or found == written(charset, relates_to)


@pytest.mark.parametrize("charset", ["utf-8", "utf-16le"])
def test_what_windows_sends_is_answered_without_the_writer(charset: str) -> None:
    assert ack(charset, NEW, "uuid:981C530F-BE2A-4AAB-BACB-000000000001") is not None


@pytest.mark.parametrize("relates_to", [None, "", "a&b", "<", "a b", "a\n", "é", "x" * 2048])
def test_an_unusual_id_is_left_to_the_writer(relates_to: str | None) -> None:
    assert ack("utf-8", NEW, relates_to) is None
