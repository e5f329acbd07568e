"""One commit for all who wait, and each is told what became of its own job."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from collector.clock import ManualClock
from collector.commit import LONGEST_REST, SHORTEST_REST, GroupCommit, Rest, rest


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


@dataclass
class _Rounds:
    """Remembers what was performed together; holds the first round until *go*."""

    begun: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    jobs: list[list[int]] = field(default_factory=list)

    def perform(self, jobs: Sequence[int]) -> list[int]:
        self.jobs.append(list(jobs))
        self.begun.set()
        assert self.go.wait(10)
        return list(jobs)


async def test_after_a_round_jobs_gather_until_enough_of_them_wait() -> None:
    """Under load a sync for each batch was a tenth of the CPU; eight sources that come again share the next one."""
    rounds = _Rounds()
    commit: GroupCommit[int, int] = GroupCommit("test", rounds.perform, law=lambda *_: Rest(3600.0, 4))
    rounds.go.set()
    first = await asyncio.wait_for(commit.submit(1), 10)  # nothing came before it: at once
    others = [commit.submit(job) for job in (2, 3, 4, 5)]
    assert await asyncio.wait_for(asyncio.gather(*others), 10) == [2, 3, 4, 5]
    assert first == 1
    assert rounds.jobs == [[1], [2, 3, 4, 5]]
    await commit.close()


async def test_a_rest_ends_also_when_too_few_jobs_come() -> None:
    """A source that is alone, or that never comes again, must not hold up the others."""
    rounds = _Rounds()
    commit: GroupCommit[int, int] = GroupCommit("test", rounds.perform, law=lambda *_: Rest(0.001, 100))
    rounds.go.set()
    assert [await asyncio.wait_for(commit.submit(job), 10) for job in (1, 2, 3)] == [1, 2, 3]
    assert rounds.jobs == [[1], [2], [3]]
    await commit.close()


async def test_closing_waits_for_no_rest() -> None:
    """A shutdown has a deadline, and what was submitted before it has a promise."""
    rounds = _Rounds()
    commit: GroupCommit[int, int] = GroupCommit("test", rounds.perform, law=lambda *_: Rest(3600.0, 100))
    rounds.go.set()
    await commit.submit(1)
    last = [commit.submit(2), commit.submit(3)]
    await asyncio.wait_for(commit.close(), 10)
    assert [await future for future in last] == [2, 3]
    assert rounds.jobs == [[1], [2, 3]]
    with pytest.raises(RuntimeError, match="closed"):
        commit.submit(4)
    await commit.close()  # twice does no harm


async def test_a_full_round_is_enough_whatever_the_law_asks() -> None:
    """What performs one job at a time (standard output) must not rest between them."""
    rounds = _Rounds()
    commit: GroupCommit[int, int] = GroupCommit("test", rounds.perform, most=1, law=lambda *_: Rest(3600.0, 100))
    rounds.go.set()
    assert await asyncio.wait_for(asyncio.gather(*(commit.submit(job) for job in range(5))), 10) == [0, 1, 2, 3, 4]
    assert rounds.jobs == [[0], [1], [2], [3], [4]]
    await commit.close()


async def test_a_call_that_comes_late_does_not_end_the_thread() -> None:
    """Whoever submits may be held up between its job and its call, and the job be done by then: the call finds none.

    A thread that took it for the end would leave every later batch without its Ack, until somebody restarts us.
    """
    commit: GroupCommit[int, int] = GroupCommit("test", lambda jobs: list(jobs))
    for job in range(50):
        assert await asyncio.wait_for(commit.submit(job), 10) == job
        await asyncio.to_thread(commit._called.set)  # the late call, once into the rest and once behind it
        await asyncio.to_thread(commit._called.set)
    await commit.close()


async def test_the_law_learns_how_long_a_round_took_and_who_waits() -> None:
    """By the clock that was handed in: what it answers depends on nothing else."""
    asked: list[tuple[float, int, int]] = []

    def law(lasted: float, performed: int, waiting: int) -> Rest:
        asked.append((lasted, performed, waiting))
        return Rest(0.0, 1)

    clock, rounds = ManualClock(), _Rounds()
    commit: GroupCommit[int, int] = GroupCommit("test", rounds.perform, law=law, clock=clock)
    first = commit.submit(1)
    assert await asyncio.to_thread(rounds.begun.wait, 10)
    others = [commit.submit(job) for job in (2, 3)]
    clock.advance(0.25)
    rounds.go.set()
    await asyncio.wait_for(asyncio.gather(first, *others), 10)
    await commit.close()
    assert asked == [(0.25, 1, 2), (0.0, 2, 0)]


@pytest.mark.parametrize(
    ("lasted", "performed", "waiting", "expected"),
    [
        (0.0001, 1, 0, Rest(SHORTEST_REST, 1)),  # one source: its next batch is all that can come, and is enough
        (0.004, 3, 5, Rest(0.004, 8)),
        (0.004, 8, 0, Rest(0.004, 8)),
        (2.0, 200, 10, Rest(LONGEST_REST, 210)),  # a stalled disk adds nothing of ours to its own delay
    ],
)
def test_a_rest_is_as_long_as_the_round_was_and_ends_when_all_are_back(
    lasted: float, performed: int, waiting: int, expected: Rest
) -> None:
    """Rounds of everybody who is served, and never more than 10 ms for it."""
    assert rest(lasted, performed, waiting) == expected
