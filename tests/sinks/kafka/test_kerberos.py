"""Kerberos through the sink's own settings, against a realm and a broker of the test's own.

Each write has a process of its own, because the Kerberos library reads its environment once.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, absent
from tests.contracts.topic_log import allow_writing, make_topic, read_log
from tests.servers.fixtures import Factory
from tests.servers.fixtures import made as server_made
from tests.servers.kafka import SecureKafka
from tests.servers.kdc import Kdc, program
from tests.sinks.kafka.test_real_broker import batch

pytestmark = pytest.mark.slow

CHILD = """
import asyncio, json, sys
from collector.sinks.base import SinkUnavailable
from tests.sinks.kafka.test_real_broker import batch, opened

async def main():
    told, broker, topic = [], *sys.argv[1:3]
    async with opened(broker, topic=topic, security="sasl_plaintext", sasl="GSSAPI", engine="auto") as sink:
        try:
            told.append(len(await sink.write(batch(0, 10))))
            told.append(len(await sink.write(batch(10, 20))))
        except SinkUnavailable as error:
            told += [error.blocked, str(error)]
    print(json.dumps(told))

asyncio.run(main())
"""


@pytest.fixture
def kdc() -> Iterator[Kdc]:
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    with server_made(Kdc) as kdc:
        yield kdc.start().wait()


async def test_kerberos_tickets_open_the_door_and_missing_ones_are_told(
    kdc: Kdc, secure_kafka_factory: Factory[SecureKafka]
) -> None:
    """With a keytab alone too, as a service has it. No ticket is no outage; a realm that is away is one."""
    broker = secure_kafka_factory(realm=kdc)
    topic = await asyncio.to_thread(make_topic, broker.bootstrap)
    await asyncio.to_thread(allow_writing, broker.bootstrap, "User:collector", topic)
    ticket = await asyncio.to_thread(kdc.environment_of, "collector")
    nobody, keytab, later = ({**ticket, "KRB5CCNAME": f"FILE:{kdc.folder}/{name}.ccache"} for name in "abc")
    keytab["KRB5_CLIENT_KTNAME"] = later["KRB5_CLIENT_KTNAME"] = str(kdc.keytab("collector"))
    old = {**ticket, "KRB5CCNAME": f"FILE:{await asyncio.to_thread(expired, kdc)}"}

    async def written(environment: dict[str, str]) -> list[Any]:
        return await asyncio.to_thread(written_as, environment, broker.sasl_plaintext, topic)

    fine, service, without, late = await asyncio.gather(*map(written, (ticket, keytab, nobody, old)))
    kdc.stop()
    away = await written(later)

    assert fine == service == [0, 0]
    assert without[0] is late[0] is True
    assert "No Kerberos credentials" in without[1]
    assert "Ticket expired" in late[1]
    assert "KRB5_CLIENT_KTNAME" in without[1]
    assert away[0] is False
    assert "Cannot contact any KDC" in away[1]
    values = {one.value for one in await asyncio.to_thread(read_log, broker.bootstrap, topic)}
    assert values == {batch(0, 20).record(row) for row in range(20)}


def written_as(environment: dict[str, str], broker: str, topic: str) -> list[Any]:
    """What CHILD tells, as a process that has this environment: the Kerberos library reads it once."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, broker, topic],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: list[Any] = json.loads(done.stdout)
    return told


def expired(kdc: Kdc) -> Path:
    """A ticket whose time is over."""
    cache, keytab = kdc.folder / "old.ccache", kdc.keytab("collector")
    told = {**os.environ, **kdc.environment()}
    asked = ["-c", f"FILE:{cache}", "-l", "1s", "-k", "-t", str(keytab), kdc.full("collector")]
    subprocess.run([program("kinit"), *asked], env=told, check=True)
    while subprocess.run([program("klist"), "-s", "-c", f"FILE:{cache}"], env=told, check=False).returncode == 0:
        pass
    return cache
