"""What the probes do with far ends that never end; what they see of good ones is in tests/cli/test_doctor."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from collector.doctor import probes

INTERIM = itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")
DRIPPING = itertools.chain([b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"], itertools.repeat(b"x"))


@contextlib.contextmanager
def talking(parts: Iterator[bytes]) -> Iterator[int]:
    """Says *parts* to whoever connects, one each time that the other side has room, until it goes; the port."""

    def talk() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                pause = threading.Event()
                for part in parts:
                    connection.sendall(part)
                    pause.wait(0.005)  # slowly: the client must not get through what it reads at most

    with socket.create_server(("127.0.0.1", 0)) as listening:
        speaker = threading.Thread(target=talk)
        speaker.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes who still accepts
            speaker.join()


@pytest.mark.parametrize("parts", [INTERIM, DRIPPING])
def test_a_far_end_that_never_ends_is_cut_off(parts: Iterator[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out of a socket counts from the last byte: each of these would hold the command for hours."""
    monkeypatch.setattr(probes, "WAIT", 0.2)

    with talking(parts) as port:
        seen = probes.reach("127.0.0.1", port, secure=False, host="localhost")

    assert seen.open
    assert seen.trouble
