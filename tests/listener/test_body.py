"""Bodies in pieces: what is judged with each piece, and who is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.config.settings import Limits
from collector.listener.budget import Budget
from collector.listener.connection import Connection
from tests.delivery.conversation import ID
from tests.listener.speaking import HEARTBEAT, UTF8, corridor_in, envelope, listening
from tests.listener.test_door import events
from tests.routing.scripted_sink import eventually

SIGN_OF_LIFE = envelope(HEARTBEAT, header=f"<e:Identifier>{ID.upper()}</e:Identifier>")


def padded(size: int) -> bytes:
    """A message of *size* bytes that says the same as a short one."""
    text = events(1)
    return text.replace("</s:Header>", "</s:Header>" + " " * (size - len(text))).encode()


def head(size: int) -> bytes:
    return f"POST / HTTP/1.1\r\nHost: w\r\nContent-Type: {UTF8}\r\nContent-Length: {size}\r\n\r\n".encode()


@pytest.mark.parametrize("step", [1_000, 65_536, 3_000_000])
async def test_a_body_of_many_pieces_is_put_together(tmp_path: Path, step: int) -> None:
    """Larger than what aiohttp holds before it stops reading, so nobody must wait for the end before taking any."""
    body = padded(2_500_000)
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        for _ in range(2):  # and the connection goes on
            await talk.send(head(len(body)))
            for at in range(0, len(body), step):
                await talk.send(body[at : at + step])
                await asyncio.sleep(0)
            assert (await talk.answer()).status == 200


async def test_small_chunks_are_put_together(tmp_path: Path) -> None:
    """aiohttp stops reading after so many chunks as well."""
    body = padded(200_000)
    chunks = b"".join(b"5\r\n%s\r\n" % body[at : at + 5] for at in range(0, len(body), 5))
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        await talk.send(b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")

        assert (await talk.answer()).status == 200
        assert (await talk.post(SIGN_OF_LIFE)).status == 200


async def test_a_body_that_fits_no_more_is_refused_while_it_comes(tmp_path: Path) -> None:
    """Otherwise everybody's bodies would be in memory before anybody is told."""
    async with listening(corridor_in(tmp_path), limits=Limits(bodies_size=2**20)) as place:
        talk = await place.call()
        await talk.send(head(4_000_000) + b" " * 600_000)
        await eventually(lambda: held(place) == 600_000)
        await talk.send(b" " * 600_000)
        assert (await talk.answer()).status == 503  # though most of the body has not been sent

        await eventually(lambda: held(place) == 0)


@pytest.mark.parametrize(("letter", "status"), [("e", 200), ("\U0001f600", 503)])
async def test_events_count_as_what_they_hold_when_they_are_taken_out(tmp_path: Path, letter: str, status: int) -> None:
    """One letter beyond the others makes a text four times as large as its bytes, where each event has its own."""
    event = f"<w:Event  Action='x'><![CDATA[<Event>{letter}{'x' * 10_000}</Event>]]></w:Event>"
    text = events(1)
    body = text[: text.index("<w:Event ")] + event * 100 + text[text.index("</w:Events>") :]
    async with listening(corridor_in(tmp_path), limits=Limits(bodies_size=3 * 2**20)) as place:
        talk = await place.call()
        assert (await talk.post(body)).status == status
        await eventually(lambda: held(place) == 0)


@pytest.mark.slow  # the connection lingers for its five seconds
async def test_a_chunked_body_is_too_large_as_soon_as_it_is(tmp_path: Path) -> None:
    async with listening(corridor_in(tmp_path), limits=Limits(body_size=300_000)) as place:
        talk = await place.call()
        await talk.send(b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            await talk.send(b"%x\r\n%s\r\n" % (100_000, b" " * 100_000))
            await asyncio.sleep(0.01)

        assert (await talk.answer()).status == 413
        assert await talk.at_end()
        assert held(place) == 0


async def test_who_hangs_up_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    """Sources are switched off at any moment; what they held is there for others."""
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        await talk.send(head(1_000_000) + b" " * 200_000)
        await eventually(lambda: held(place) == 200_000)
        talk.writer.transport.abort()

        await eventually(lambda: held(place) == 0)
        assert (await (await place.call()).post(SIGN_OF_LIFE)).status == 200


async def test_a_request_waits_for_its_body_without_being_woken(tmp_path: Path) -> None:
    """A body in a hundred pieces would be a hundred turns of a task that can do nothing yet."""
    body, woken = padded(500_000), 0
    async with listening(corridor_in(tmp_path)) as place:
        talk = await place.call()
        await talk.send(head(len(body)) + body[:10_000])
        await eventually(lambda: held(place) == 10_000)
        (connection,) = connections(place)
        task = next(task for task in asyncio.all_tasks() if "_handle_request" in repr(task.get_coro()))
        for at in range(10_000, len(body) - 10_000, 10_000):
            await talk.send(body[at : at + 10_000])
            await eventually(lambda at=at: held(place) >= at + 10_000)  # type: ignore[misc]
            woken += task._fut_waiter is None or task._fut_waiter.done()  # type: ignore[attr-defined]
        await talk.send(body[-10_000:])

        assert (await talk.answer()).status == 200
        assert connection.intake is None
    assert woken == 0


def connections(place: object) -> list[Connection]:
    return place._listener._http.connections  # type: ignore[attr-defined, no-any-return]


def held(place: object) -> int:
    budget: Budget = place._listener._door._budget  # type: ignore[attr-defined]
    return budget.held
