"""What conversations share: in the order of coming, and never more than there is."""

from __future__ import annotations

import asyncio

import pytest

from collector.pull.turns import Allowance, Gate


async def turn() -> None:
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_came_first_is_served_first_even_if_others_would_fit() -> None:
    """A large answer would starve behind small ones."""
    allowance, served = Allowance(10), list[str]()

    async def want(name: str, amount: int) -> None:
        await allowance.take(amount)
        served.append(name)

    await allowance.take(8)
    tasks = [asyncio.ensure_future(want("large", 5)), asyncio.ensure_future(want("small", 1))]
    await turn()
    assert served == []
    assert allowance.wanted

    allowance.give(8)
    await turn()
    assert served == ["large", "small"]
    assert allowance.held == 6
    await asyncio.gather(*tasks)


async def test_one_who_wants_more_than_there_is_gets_it_alone() -> None:
    """An envelope that was raised for a single event may be larger than the whole allowance."""
    allowance = Allowance(10)

    await allowance.take(30)

    assert allowance.held == 30


async def test_who_gives_up_waiting_holds_nothing_and_stops_nobody() -> None:
    """Conversations are retired in the middle of anything."""
    allowance = Allowance(10)
    await allowance.take(9)
    first = asyncio.ensure_future(allowance.take(10))
    second = asyncio.ensure_future(allowance.take(1))
    await turn()

    first.cancel()
    await turn()

    assert second.done()
    assert allowance.held == 10
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_who_is_served_and_cancelled_at_once_gives_it_back() -> None:
    """Both happen in the same turn of the loop; a place that is lost then is lost for ever."""
    allowance = Allowance(1)
    await allowance.take(1)
    waiting = asyncio.ensure_future(allowance.take(1))
    await turn()

    allowance.give(1)
    waiting.cancel()
    await turn()

    assert allowance.held == 0
    assert not allowance.wanted


async def test_a_gate_lets_so_many_through_and_forgets_who_dawdles() -> None:
    """Hundreds of hosts that never answer must not keep the others out."""
    dead = Gate(1, grace=0.0)

    async with dead.passing():
        await asyncio.sleep(0.001)  # its time is up
        async with dead.passing():
            pass

    strict, passed = Gate(1, grace=3600.0), list[int]()

    async def pass_by() -> None:
        async with strict.passing():
            passed.append(1)

    async with strict.passing():
        late = asyncio.ensure_future(pass_by())
        await turn()
        assert passed == []
    await late
    assert passed == [1]
