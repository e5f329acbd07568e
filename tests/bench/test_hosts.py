"""What the pull bench pulls from is what it says: other events each time, and no batch counted too early."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime

import pytest

from collector.wsman.answers import Pulled, SourceFault, read_answer
from collector.wsman.calls import Voice, write_pull
from tests.bench.hosts import _CONTEXT, Answer, Host, Hosts, Strange

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ASKED = "uuid:DC17922E-EBE7-4333-B92A-7157EB37{:04}"


def test_no_two_answers_hold_the_same_event() -> None:
    """A store that has the ids already writes nothing, and would look ten times as fast as it is."""
    made, seen = Answer(10, 0), set[str]()
    for batch in (1, 2, 4_567_890):
        found = read_answer(made.text(batch, ASKED.format(batch % 10).encode(), NOW).decode(), ASKED.format(batch % 10))
        assert isinstance(found, Pulled)
        assert found.sliced
        assert f'RecordId="1{batch:07}99"' in (found.bookmark or "")
        assert all(f"<EventRecordID>1{batch:07}0{row}<" in piece for row, piece in enumerate(found.pieces))
        assert all("SystemTime='2026-11-30T12:00:00.0000000Z'" in piece for piece in found.pieces)
        seen.update(found.pieces)
    assert len(seen) == 3 * 10


class _Spoken(Hosts):
    """Says what it would send."""

    def __init__(self, rate: float | None) -> None:
        super().__init__(1, rate)
        self.said: list[bytes] = []

    def _say(self, host: Host, body: bytes, status: str = "200") -> None:
        self.said.append(body)


def _pull(hosts: _Spoken, number: int, context: str, timeout: float = 60.0) -> None:
    asked = ASKED.format(number)
    text = write_pull(Voice("http://x/wsman"), context, (), message_id=asked, timeout=timeout, max_elements=100)
    hosts._pulled(hosts.all[0], asked.encode(), text.encode())


def test_a_batch_counts_when_the_next_pull_comes_with_its_context() -> None:
    """Only that tells a source that its events are safe."""
    with _Spoken(None) as hosts:
        hosts.all[0].context = _CONTEXT.encode()
        _pull(hosts, 1, _CONTEXT)
        assert hosts._outcome.events == 0
        found = read_answer(hosts.said[-1].decode(), ASKED.format(1))
        assert isinstance(found, Pulled)
        with pytest.raises(Strange):
            _pull(hosts, 2, _CONTEXT)
        _pull(hosts, 3, found.context or "")
        assert hosts._outcome.events == len(found.pieces) == 100


def test_a_machine_on_which_nothing_happens_says_so_when_it_was_asked_to() -> None:
    """As Windows does: w:TimedOut."""
    with _Spoken(0.0) as hosts:
        hosts.all[0].context = _CONTEXT.encode()
        _pull(hosts, 1, _CONTEXT, timeout=0.001)
        hosts._wake(time.perf_counter() + 1.0)
        fault = read_answer(hosts.said[-1].decode(), ASKED.format(1))
    assert isinstance(fault, SourceFault)
    assert fault.name == "w:TimedOut"


def test_every_machine_has_a_port_of_its_own() -> None:
    """Two sources with one name would be one."""
    with Hosts(20, 0.0) as hosts:
        ports = {host.port for host in hosts.all}
        assert len(ports) == 20
        for port in ports:
            socket.create_connection(("127.0.0.1", port), 5).close()
