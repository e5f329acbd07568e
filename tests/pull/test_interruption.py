"""A task is told to end as often as somebody likes, and ends once."""

from __future__ import annotations

import asyncio

import pytest

from collector.pull.interruption import Interruption, Retired


async def test_who_is_breaking_off_already_may_be_told_again() -> None:
    """A reload retires it, and a stop comes while it says goodbye: that must not end the stop."""
    interruption, leaving, goes_on = Interruption(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        with interruption.allowed():
            try:
                await asyncio.Event().wait()
            finally:
                leaving.set()
                await goes_on.wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    interruption.retire()
    await leaving.wait()
    interruption.retire()
    interruption.retire()
    goes_on.set()

    with pytest.raises(Retired):
        await task
    assert interruption.retired


async def test_who_is_cancelled_while_it_breaks_off_is_cancelled() -> None:
    """The time to stop is over: whoever said so waits for it."""
    interruption, leaving = Interruption(), asyncio.Event()

    async def work() -> None:
        with interruption.allowed():
            try:
                await asyncio.Event().wait()
            finally:
                leaving.set()
                await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    interruption.retire()
    await leaving.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
