"""A listener that stops: what is begun gets an answer, what cannot end does not hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from collector.model import Bookmark
from tests.contracts.memory_store import MemoryStore
from tests.delivery.conversation import ID, Corridor, bookmark, event
from tests.listener.speaking import corridor_in, envelope, listening
from tests.routing.scripted_sink import ScriptedSink

EVENTS = envelope(
    "http://schemas.dmtf.org/wbem/wsman/1/wsman/Events",
    '<w:Events><w:Event Action="http://schemas.dmtf.org/wbem/wsman/1/wsman/Event">'
    f"<![CDATA[{event(1)}]]></w:Event></w:Events>",
    header=f"<e:Identifier>{ID.upper()}</e:Identifier><w:Bookmark>{bookmark(1)}</w:Bookmark>",
)


class StuckStore(MemoryStore):
    """A disk that never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def save_bookmark(self, source: str, subscription: str, bookmark: Bookmark) -> None:
        self.asked.set()
        await asyncio.Event().wait()


def request(body: str) -> bytes:
    return f"POST /wsman HTTP/1.1\r\nHost: wec:5985\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def test_a_body_that_is_still_under_way_is_refused_when_the_collector_stops(tmp_path: Path) -> None:
    """Nothing more of it is read, so waiting for it would take the whole time that draining has."""
    corridor = corridor_in(tmp_path)
    async with listening(corridor) as place:
        talk, other = await place.call(), await place.call()
        await talk.send(request(EVENTS)[:-100])
        assert (await other.post(EVENTS)).status == 200  # by now the first request is being served
        async with asyncio.timeout(10):
            await place.stop(60)
        answer = await talk.answer()

    assert answer.status == 503
    assert corridor.store.bookmark("ws-1.corp.example", ID) is not None  # of the other


async def test_draining_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    """Twice as long, and the time of the lanes is gone, or systemd kills what was nearly done."""
    store = StuckStore()
    async with listening(Corridor(tmp_path, ScriptedSink(), store=store)) as place:
        talk = await place.call()
        await talk.send(request(EVENTS))
        await store.asked.wait()
        async with asyncio.timeout(2.8):
            await place.stop(1.5)
        assert await talk.at_end()


async def test_a_connection_that_comes_in_the_moment_of_the_stop_is_not_waited_for(tmp_path: Path) -> None:
    """It has not begun to wait for its first request, so it does not hear the word to end."""
    async with listening(corridor_in(tmp_path)) as place:
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            stopping: list[asyncio.Task[None]] = []

            def greet() -> asyncio.BaseProtocol:
                protocol = place.greet()
                made = protocol.connection_made

                def made_and_stopped(transport: asyncio.BaseTransport) -> None:
                    made(transport)
                    stopping.append(loop.create_task(place.stopping(60)))

                protocol.connection_made = made_and_stopped  # type: ignore[method-assign]
                return protocol

            await loop.connect_accepted_socket(greet, ours)
            async with asyncio.timeout(10):
                await stopping[0]
            theirs.settimeout(10)
            assert await asyncio.to_thread(theirs.recv, 1) == b""


async def test_a_connection_that_is_made_after_the_stop_is_closed_at_once(tmp_path: Path) -> None:
    """A TLS handshake that was under way ends whenever it likes."""
    async with listening(corridor_in(tmp_path)) as place:
        protocol = place.greet()
        async with asyncio.timeout(10):
            await place.stop(60)
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
            theirs.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(theirs.recv, 1) == b""
