"""What ``wef serve`` does not load, because it would hold the memory for as long as it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
"""Each takes its second or more; ``./tests/run`` runs them."""

HEAVY = (
    "confluent_kafka", "cryptography", "elastic_transport", "elasticsearch", "evtx", "gssapi", "kafka", "pygments",
    "rich",
)  # fmt: skip
"""Each holds 3 to 12 MB, and is for a listener, a sink or a command that somebody may not use."""
FOR_OTHERS = (
    "collector.auth.certificate", "collector.auth.kerberos", "collector.doctor", "collector.simulate",
    "collector.sinks.elasticsearch.sink", "collector.sinks.kafka.sink", "multiprocessing", "pydoc", "unittest",
)  # fmt: skip
"""Small beside them, and as useless to this collector."""
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
"""
SAY_MODULES = "print(json.dumps(sorted(sys.modules)))"
SAY_AUTHORITIES = """
import os
from aiohttp import connector
print(json.dumps([len(connector._SSL_CONTEXT_VERIFIED.get_ca_certs()), os.environ.get("SSL_CERT_FILE")]))
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


def said(folder: Path, question: str, **environment: str) -> Any:
    """What a process that has run a collector answers to *question*."""
    (folder / "subscriptions").mkdir()
    (folder / "collector.toml").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-c", RUN + question],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_collector_that_only_stores_events_loads_nobody_elses_client(tmp_path: Path) -> None:
    """A virtual machine at a branch office has 512 MB for everything; a library that nobody uses is a bad guest."""
    loaded = said(tmp_path, SAY_MODULES)

    assert not sorted({name.partition(".")[0] for name in loaded} & set(HEAVY))
    assert not sorted(set(loaded) & set(FOR_OTHERS))


def test_the_system_s_authorities_are_not_loaded_for_a_client_that_calls_nobody(tmp_path: Path) -> None:
    """aiohttp makes that context when it is loaded, 2 MB of certificates; who does call (a sink) brings its own.

    What the process was started with is left as it was: a sink's own context obeys it.
    """
    assert said(tmp_path, SAY_AUTHORITIES, SSL_CERT_FILE="/etc/ours.pem") == [0, "/etc/ours.pem"]
