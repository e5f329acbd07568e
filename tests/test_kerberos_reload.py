"""A collector with a Kerberos listener, as ``app`` builds it: start, SIGHUP, and what a broken keytab does to both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.app import Collector
from collector.config.load import load
from collector.errors import OperatorError
from collector.sinks.table import SINKS
from tests.listener.domain import Member
from tests.listener.speaking import Talk, enumerate_
from tests.servers.kdc import Kdc

pytestmark = pytest.mark.slow
SETTINGS = """
min_free = "1KiB"
[monitoring]
port = 0
[sinks.nothing]
type = "null"
[listeners.domain]
transport = "http"
address = "127.0.0.1"
port = 0
authentication = ["kerberos", "negotiate"]
keytab = "http.keytab"
"""


def collector_in(folder: Path) -> Collector:
    (folder / "collector.toml").write_text(SETTINGS)
    (folder / "subscriptions").mkdir()
    (folder / "subscriptions" / "one.toml").write_text('name = "one"\n[[select]]\nchannel = "System"\n')
    return Collector(load(folder / "collector.toml", sinks={word: kind.settings for word, kind in SINKS.items()}))


async def test_a_broken_keytab_stops_a_start_and_no_reload(tmp_path: Path, kdc: Kdc) -> None:
    """At the start somebody is looking; at SIGHUP ten thousand sources are being served, and stay so."""
    keytab = tmp_path / "http.keytab"
    collector = collector_in(tmp_path)
    with pytest.raises(OperatorError, match=r"http\.keytab cannot be read"):
        await collector.start()

    keytab.write_bytes(kdc.keytab("HTTP/localhost").read_bytes())
    collector = Collector(collector._settings)
    await collector.start()
    try:
        _, port = collector.addresses["domain"][0]
        talk, session = Talk(*await asyncio.open_connection("127.0.0.1", port)), Member(kdc, "pc01$").session()
        await session.prove(talk)
        keytab.write_bytes(b"half of it")
        with capture_logs() as lines:
            await collector.reload()
        assert "EnumerateResponse" in session.opened(await session.say(talk, enumerate_()))

        keytab.write_bytes(kdc.keytab("HTTP/localhost").read_bytes())
        await collector.reload()
        assert "EnumerateResponse" in session.opened(await session.say(talk, enumerate_()))
        talk.writer.close()
    finally:
        await collector.stop("the test is over")

    assert [line["log_level"] for line in lines] == ["error"]
    assert "http.keytab" in str(lines)
