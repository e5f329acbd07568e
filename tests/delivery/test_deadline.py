"""A deadline ends what takes too long, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from collector.delivery.deadline import Deadline


async def test_what_takes_too_long_ends_with_a_timeout() -> None:
    with pytest.raises(TimeoutError), Deadline(0.001):
        await asyncio.Event().wait()

    await asyncio.sleep(0)  # the task itself goes on
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_is_done_in_time_is_left_alone() -> None:
    """A batch that was safe in time must not be cancelled while its answer is written."""
    with Deadline(0.001):
        await asyncio.sleep(0)

    await asyncio.sleep(0.01)


async def test_an_error_inside_is_the_one_that_is_raised() -> None:
    with pytest.raises(KeyError), Deadline(60):
        raise KeyError


async def test_whoever_cancels_the_task_is_obeyed() -> None:
    """At a shutdown a batch is no timeout: the task has to end."""

    async def work() -> None:
        with Deadline(60):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_and_late_at_once_is_cancelled() -> None:
    async def work() -> None:
        with Deadline(0):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    asyncio.get_running_loop().call_later(0, task.cancel)
    with pytest.raises((asyncio.CancelledError, TimeoutError)) as ended:
        await task
    assert task.cancelled() == (ended.type is asyncio.CancelledError)


async def test_an_inner_deadline_ends_only_what_is_inside() -> None:
    with Deadline(60):
        with pytest.raises(TimeoutError), Deadline(0.001):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
