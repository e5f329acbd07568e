"""What ``wef serve`` does not load, because it would hold the memory for as long as it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("confluent_kafka", "elastic_transport", "elasticsearch", "evtx", "gssapi", "kafka", "pygments", "rich")
"""Each holds 3 to 12 MB, and is for a sink or a command that somebody may not use."""
RUN = """
import asyncio, json, sys
from collector.cli import main, serve
from collector.cli.settings import load_settings
from collector.app import Collector

async def run():
    collector = Collector(load_settings("collector.toml"))
    await collector.start()
    await collector.stop("test")

asyncio.run(run())
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
SETTINGS = """
state = "state"
min_free = "1MiB"
[monitoring]
port = 0
[listeners.plain]
transport = "http"
address = "127.0.0.1"
port = 0
authentication = ["none"]
[sinks.events]
type = "events"
"""


def test_a_collector_that_only_stores_events_loads_nobody_elses_client(tmp_path: Path) -> None:
    """A virtual machine at a branch office has 512 MB for everything; a library that nobody uses is a bad guest."""
    (tmp_path / "subscriptions").mkdir()
    (tmp_path / "collector.toml").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not sorted(set(HEAVY) & set(loaded))
