"""Two thousand sources in one process, against a collector in another."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.simulate.fleet import Fleet, FleetOptions, Progress
from tests.end_to_end.stage import Stage

pytestmark = pytest.mark.slow  # it starts a collector and talks to it for a while

SOURCES = 2000
MOST = 64 * 1024  # bytes of memory for each source; 28 KB were measured for an idle one, 45 KB while all say good-bye
SETTINGS = """\
state = "state"
min_free = "10MiB"
[limits]
connections = 5000
connections_per_address = 5000
[listeners.plain]
transport = "http"
address = "127.0.0.1"
port = {port}
authentication = ["none"]
[monitoring]
port = {monitoring}
[sinks.nothing]
type = "null"
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    built = Stage(tmp_path)
    (tmp_path / "collector.toml").write_text(SETTINGS.format(port=built.port, monitoring=built.monitoring))
    (tmp_path / "subscriptions").mkdir()
    (tmp_path / "subscriptions" / "all.toml").write_text(
        'name = "all"\n[delivery]\nmax_latency = "500ms"\nheartbeat = "3s"\n[[select]]\nchannel = "Security"\n'
    )
    built.start()
    yield built
    built.kill()


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def open_files() -> int:
    """Files that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_two_thousand_sources_fit_into_one_process_with_a_connection_each(stage: Stage) -> None:
    """The load generator of the benchmarks must not be the bottleneck, and must not lie about who was there."""
    url = f"http://127.0.0.1:{stage.port}/wsman/SubscriptionManager/WEC"
    options = FleetOptions(url, sources=SOURCES, rate=300.0, duration=2.0, refresh=3600, retry_interval=2.0)
    gc.collect()  # connections of the tests before this one
    before, held, memory, files = resident(), open_files(), 0, 0

    def look(progress: Progress) -> None:
        nonlocal memory, files
        memory = max(memory, resident() - before)
        files = max(files, open_files() - held)

    fleet = Fleet(options, SystemClock())
    verdict = await fleet.run(look)

    assert verdict.ok, fleet.notes
    assert len(fleet.sources) == SOURCES
    assert all(source.subscribed for source in fleet.sources.values())
    assert memory / SOURCES < MOST
    assert SOURCES <= files < SOURCES + 128
    acknowledged = verdict.sent + SOURCES  # each began with event 111
    assert f"wef_events_acknowledged_total {float(acknowledged)}" in stage.metrics()
