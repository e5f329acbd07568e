"""The load that the benches send is what it says: other events each time, in streams that any decoder reads."""

from __future__ import annotations

import pytest

from collector.kernel import sldc
from collector.wsman.messages import Delivery
from collector.wsman.payload import open_payload
from collector.wsman.reader import read_envelope
from collector.wsman.requests import Target
from tests.bench import compressed
from tests.bench.envelopes import templates
from tests.bench.load import Outcome
from tests.bench.pipeline import HEAD, Row, Sample, line

TARGET = Target("https://localhost:5986/wsman/subscriptions/1", "4DC7C0CB-6C2C-4A46-9F43-F10A7E9C2C11", "V", "R")


@pytest.mark.parametrize("sldc", [False, True])
def test_no_two_batches_hold_the_same_event(sldc: bool) -> None:
    """A store that has the ids already writes nothing, and would look ten times as fast as it is."""
    seen: set[str] = set()
    for made in templates(2, 10, TARGET, rendered=True, sldc=sldc):
        for machine, batch in ((1, 1), (23, 4_567_890), (23, 4_567_891)):
            body = made.body(machine, batch)
            text = open_payload(body, "application/soap+xml;charset=UTF-16", "SLDC" if sldc else "", 10**6).text
            found = read_envelope(text)
            assert isinstance(found, Delivery)
            assert found.sliced
            assert found.header.machine_id == f"bench-{machine:04}.corp.example"
            assert f'RecordId="1{batch:07}99"' in (found.bookmark or "")
            assert all(f"<EventRecordID>1{batch:07}0{row}<" in piece for row, piece in enumerate(found.pieces))
            seen.update(found.pieces)
    assert len(seen) == 2 * 3 * 10


def test_what_is_written_over_a_compressed_text_is_all_that_changes() -> None:
    """Otherwise the load would measure how fast a server finds out that a stream is broken."""
    plain = b"number 0000, again number 0000, and again: number 0000." * 40
    places = [place + at for place in (7, 26) for at in range(4)]
    body, bits = compressed.stream(plain, places)
    assert sldc.decode(bytes(body), 10**6) == plain
    assert len(body) < len(plain) / 3
    for bit, digit in zip(bits, b"12345678", strict=True):
        compressed.write_over(body, bit, digit)
    assert sldc.decode(bytes(body), 10**6) == plain.replace(b"0000", b"1234", 1).replace(b"0000", b"5678", 1)


def test_a_row_has_as_many_cells_as_the_table_has_columns() -> None:
    sample = Sample(Outcome(100, 1, 2.0, 0.1, [0.001, 0.004]), 0.01)
    assert line(Row("null"), "pure", [sample]).count("|") == HEAD.count("|")
