"""What is under way has a bound, and who must be alone is."""

from __future__ import annotations

import asyncio

import pytest

from collector.sinks.kafka.window import Turnstile, Window


async def settle() -> None:
    """Let everybody do what can be done."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_does_not_fit_waits_for_room_and_its_turn() -> None:
    """Small writes must not overtake a large one for ever."""
    window = Window(10, 1000)
    await window.enter(6, 10)
    large, small = asyncio.create_task(window.enter(6, 10)), asyncio.create_task(window.enter(1, 1))

    await settle()
    assert not large.done()
    assert not small.done()

    window.leave(6, 10)
    await asyncio.gather(large, small)


async def test_bytes_are_bounded_as_well() -> None:
    """A few records can be many bytes."""
    window = Window(10, 1000)
    await window.enter(1, 900)
    second = asyncio.create_task(window.enter(1, 200))

    await settle()
    assert not second.done()

    window.leave(1, 900)
    await second


async def test_what_exceeds_everything_passes_alone() -> None:
    """A batch of a size that nobody foresaw must not wait for ever."""
    window = Window(10, 1000)

    await asyncio.wait_for(window.enter(50, 5000), 1)


async def test_who_gives_up_waiting_blocks_nobody() -> None:
    """The lane cancels writes when it is stopped."""
    window = Window(10, 1000)
    await window.enter(10, 10)
    first, second = asyncio.create_task(window.enter(10, 10)), asyncio.create_task(window.enter(5, 5))
    await settle()

    first.cancel()
    window.leave(10, 10)

    await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_who_wants_to_be_alone_is_alone() -> None:
    """A batch shared with a stranger says nothing about guilt."""
    turnstile, seen = Turnstile(), []

    async def together(name: str, until: asyncio.Event) -> None:
        async with turnstile.together():
            seen.append(name)
            await until.wait()

    async def alone(until: asyncio.Event) -> None:
        async with turnstile.alone():
            seen.append("alone")
            await until.wait()

    first, alone_done, last = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(together("first", first))]
    await settle()
    tasks += [asyncio.create_task(alone(alone_done)), asyncio.create_task(together("later", last))]
    await settle()
    assert seen == ["first"]

    first.set()
    await settle()
    assert seen == ["first", "alone"]

    alone_done.set()
    last.set()
    await asyncio.gather(*tasks)
    assert seen == ["first", "alone", "later"]
