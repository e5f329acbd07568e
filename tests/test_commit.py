"""One commit for all who wait, and each is told what became of its own job."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from collector.commit import GroupCommit


async def test_those_of_one_round_are_told_together_and_each_its_own_result() -> None:
    """Eight sources wait for one sync; waking the loop for each of them cost as much as their bookmarks."""
    begun, go, rounds = threading.Event(), threading.Event(), []

    def perform(jobs: Sequence[int]) -> list[int | BaseException]:
        rounds.append(list(jobs))
        begun.set()
        go.wait(10)
        return [ValueError(job) if job % 3 == 0 else job * 2 for job in jobs]

    commit: GroupCommit[int, int] = GroupCommit("test", perform)
    first = commit.submit(1)
    await asyncio.to_thread(begun.wait, 10)
    others = [commit.submit(job) for job in range(2, 9)]
    others[0].cancel()  # it has given up; the others must still hear
    go.set()
    assert await first == 2
    results = await asyncio.gather(*others, return_exceptions=True)
    assert rounds == [[1], [2, 3, 4, 5, 6, 7, 8]]
    assert [result for result in results if isinstance(result, int)] == [8, 10, 14, 16]
    assert [type(result) for result in results if not isinstance(result, int)] == [
        asyncio.CancelledError, ValueError, ValueError,
    ]  # fmt: skip
    await commit.close()


async def test_whoever_waits_is_woken_also_when_an_answer_is_missing() -> None:
    """A thread that ends over it would let every source of the collector wait until its deadline, for ever."""
    answers: list[list[int]] = [[], [7]]
    commit: GroupCommit[int, int] = GroupCommit("test", lambda jobs: answers.pop(0))

    with pytest.raises(RuntimeError, match="0 results for 1 jobs"):
        await asyncio.wait_for(commit.submit(1), 10)
    assert await asyncio.wait_for(commit.submit(2), 10) == 7
    await commit.close()
