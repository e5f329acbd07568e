"""Work that blocks holds up nobody, and not the end of the process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from collector.wire.aside import aside
from collector.wire.hosts import Hosts


async def test_what_comes_out_is_told_and_what_goes_wrong_is_raised() -> None:
    """As if it had been called."""
    assert await aside(lambda: threading.current_thread() is not threading.main_thread())
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)
    with pytest.raises(RuntimeError):
        await aside(lambda: next(iter(())))


async def test_more_that_hang_than_the_event_loop_has_threads_stop_nobody() -> None:
    """Forty dead directories, and a KDC that answers."""
    goes_on = threading.Event()
    hanging = [asyncio.ensure_future(aside(goes_on.wait)) for _ in range(40)]
    try:
        assert await aside(lambda: 7) == 7
        assert await asyncio.to_thread(lambda: 8) == 8
        hanging[0].cancel()
        goes_on.set()
        assert await asyncio.gather(*hanging[1:]) == [True] * 39
    finally:
        goes_on.set()


END = """
import asyncio, socket, threading
from collector.wire.hosts import Hosts

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()  # a dead name server

async def main():
    hosts = Hosts(threads=2)
    asked = [asyncio.ensure_future(hosts.places(f"pc{row}.corp.example", 5985)) for row in range(9)]
    await asyncio.wait(asked, timeout=0.1)
    hosts.close()
    await asyncio.gather(*asked, return_exceptions=True)

asyncio.run(main())
print("ended")
"""


def test_a_dead_name_server_does_not_hold_up_the_end_of_the_process() -> None:
    """A service that does not end in its time is killed, and that looks like a crash."""
    ended = subprocess.run([sys.executable, "-c", END], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.stdout, ended.stderr, ended.returncode) == ("ended\n", "", 0)


async def test_who_gives_up_on_a_name_leaves_it_to_the_others() -> None:
    """Two subscriptions of one source wait for its name, and one of them ends."""
    hosts = Hosts(threads=1)
    first, second = (asyncio.ensure_future(hosts.places("localhost", 5985)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert await second
    hosts.close()
