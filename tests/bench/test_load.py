"""The load that the benches send is what it says: other events each time, in streams that any decoder reads."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import cast

import pytest

from collector.kernel import sldc
from collector.wsman.messages import Delivery
from collector.wsman.payload import open_payload
from collector.wsman.reader import read_envelope
from collector.wsman.requests import Target
from tests.bench import compressed, peer
from tests.bench.envelopes import templates
from tests.bench.load import Line, Load, Outcome
from tests.bench.peer import PEER
from tests.bench.pipeline import HEAD, MEMORY, PACED, QUICK, WHOLE, Row, Sample, _parser, figures, line, rows_of

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


class _Slow(Load):
    """Two machines and a collector that answers when it likes; *dues* is when each batch should have left."""

    def __init__(self) -> None:
        self._lines = [cast("Line", SimpleNamespace(template=None)) for _ in range(2)]
        self.dues: list[float | None] = []

    def _begin(self, line: Line, batch: int, due: float | None) -> None:
        self.dues.append(due)

    def _hear(self, wait: float, outcome: Outcome) -> list[Line]:
        return self._lines[:1] if len(self.dues) > 1 else []


@pytest.mark.parametrize("rate", [0.0, 1e6])
def test_at_a_fixed_rate_a_batch_counts_from_when_it_was_due(rate: float) -> None:
    """A collector that answers late is asked late; counted from the asking, its worst moment would be left out."""
    load = _Slow()

    load._until(time.perf_counter() + 0.01, itertools.count(), rate, Outcome())

    if rate:
        dues = [due for due in load.dues if due is not None]
        assert [round((due - dues[0]) * rate) for due in dues] == list(range(len(load.dues)))
    else:
        assert set(load.dues) == {None}


SAMPLE = Sample(Outcome(100, 1, 2.0, 0.1, [0.001, 0.004]), 0.01)


def test_a_row_has_as_many_cells_as_the_table_has_columns() -> None:
    assert line(Row("null"), "pure", [SAMPLE]).count("|") == HEAD.count("|")


def test_a_row_beside_the_peer_has_as_many_cells_as_its_table_has_columns() -> None:
    beside = peer.beside(("file", "https", "plain", 100, 8), figures([SAMPLE]))

    assert beside is not None
    assert beside.count("|") == peer.HEAD.count("|")


def test_every_figure_of_the_peer_stands_beside_a_row_of_ours() -> None:
    """One that no row is like would never be printed, and nobody would miss it."""
    ours = {(row.sink, row.transport, row.spelled, row.size, row.connections) for row in WHOLE}

    assert set(PEER) <= ours


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([], WHOLE + PACED),
        (["--quick"], QUICK),
        (["--paced"], PACED),
        (["--memory", "1"], (MEMORY,)),
        (["--quick", "--sinks", "events", "--rate", "500"], (Row("events", pace=500.0),)),
    ],
)
def test_the_rows_are_those_that_were_asked_for(asked: list[str], expected: tuple[Row, ...]) -> None:
    """A rate makes every row a paced one, for which saturation says nothing of latency."""
    assert tuple(rows_of(_parser().parse_args(asked))) == expected
