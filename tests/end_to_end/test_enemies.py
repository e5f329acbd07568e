"""A collector in a process of its own among enemies: it stays small, it stays calm, it serves."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.stage import Stage
from tests.listener.speaking import enumerate_, envelope

pytestmark = pytest.mark.slow

SINKS = '[sinks.nothing]\ntype = "null"\n'
PLAIN = '[listeners.plain]\ntransport = "http"\naddress = "127.0.0.1"\nport = {}\nauthentication = ["none"]\n'
MIB = 2**20


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    built = Stage.build(tmp_path, sinks=SINKS, channels=["System"], clients=["ws-1.lab.example"])
    yield built
    if built.process is not None and built.process.poll() is None:
        built.kill()


def with_plain(stage: Stage) -> int:
    """A plain listener beside the other; its port."""
    from tests.end_to_end.stage import free_port

    port = free_port()
    config = stage.folder / "collector.toml"
    config.write_text(config.read_text() + PLAIN.format(port))
    return port


def post(port: int, body: bytes, *headers: str, path: str = "/wsman") -> int:
    """The status of one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        lines = [f"POST {path} HTTP/1.1", "Host: w", f"Content-Length: {len(body)}", "Connection: close", *headers]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return int(connection.recv(64).split()[1])


def test_bombs_do_not_make_it_grow(stage: Stage) -> None:
    """2.1 GB, 19 s and 1.9 GB of log is what 32 of them cost elsewhere."""
    port = with_plain(stage)
    stage.start()
    assert post(port, enumerate_().encode()) == 200
    before = stage.memory()
    bomb = b"\xff\xab\xfd" + b"\xff\xff\x00" * 100_000 + struct.pack("<I", 2**31 - 1)
    deep = envelope("urn:x", "<x>" * 200_000 + "</x>" * 200_000).encode()
    lots = ("<!DOCTYPE x [<!ENTITY a '" + "a" * 1000 + "'>]>" + envelope("urn:x", "&a;" * 100_000)).encode()

    statuses = [
        (post(port, bomb, "Content-Encoding: SLDC"), post(port, deep), post(port, lots), post(port, b"\0" * MIB))
        for _ in range(16)
    ]
    for number in range(1000):  # what nobody has authenticated must not be remembered
        post(port, b"", path=f"/made/up/{number}")

    assert set(statuses) == {(413, 500, 500, 400)}
    assert stage.memory() - before < 64 * MIB
    assert len(stage.log()) < 200_000
    assert "/made/" not in stage.metrics()
    assert post(port, enumerate_().encode()) == 200
    assert stage.stop() == 0


def test_at_the_descriptor_limit_it_waits_quietly_and_goes_on_by_itself(stage: Stage) -> None:
    """Elsewhere 99 % of a core and 59 MB/s of log, until somebody restarts it."""
    stage.start(files=80)
    context = ssl.create_default_context(cafile=str(stage.folder / "tls/ca.pem"))
    certificate = stage.folder / "tls/clients/ws-1.lab.example.pem"
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with contextlib.ExitStack() as crowd:
        for _ in range(120):
            crowd.enter_context(socket.create_connection(("127.0.0.1", stage.port), timeout=10))
        give_up = time.monotonic() + 10
        while "Too many open files" not in stage.log():
            assert time.monotonic() < give_up, stage.log()
        used, written = stage.seconds(), len(stage.log())
        time.sleep(3)  # noqa: TID251 - to see that nothing happens takes time
        assert stage.seconds() - used < 1.0
        assert len(stage.log()) - written < 5_000

    give_up = time.monotonic() + 20
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", stage.port), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                body = enumerate_().encode()
                secure.sendall(b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                assert secure.recv(64).startswith(b"HTTP/1.1 200")
                break
        except OSError:
            assert time.monotonic() < give_up, "nobody is served after the crowd has gone"
    assert stage.stop() == 0
