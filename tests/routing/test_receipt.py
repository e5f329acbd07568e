"""A batch is acknowledged when everybody who was asked has confirmed, and not before."""

from __future__ import annotations

import asyncio

import pytest

from collector.errors import Backpressure
from collector.routing.receipt import Receipt


async def test_it_settles_when_the_last_one_confirms() -> None:
    """One missing lane is a missing copy."""
    receipt = Receipt()
    receipt.expect(["a", "b"])
    settled = asyncio.create_task(receipt.settled())

    receipt.confirm("a")
    receipt.confirm("a")
    await asyncio.sleep(0)
    assert not settled.done()

    receipt.confirm("b")
    await settled


async def test_nobody_to_wait_for_is_settled() -> None:
    """Events that no sink takes are acknowledged."""
    receipt = Receipt()
    receipt.expect([])

    await receipt.settled()


@pytest.mark.parametrize("early", [True, False])
async def test_the_first_refusal_is_raised_without_waiting_for_the_others(early: bool) -> None:
    """The source should hear soon that it must keep its events."""
    receipt = Receipt()
    receipt.expect(["a", "b", "c"])
    settled = None if early else asyncio.create_task(receipt.settled())
    await asyncio.sleep(0)

    receipt.refuse("b", Backpressure("spool_full", "first"))
    receipt.refuse("c", Backpressure("state", "second"))
    receipt.confirm("b")

    with pytest.raises(Backpressure, match="first"):
        await (settled or receipt.settled())


async def test_a_refusal_after_the_confirmation_changes_nothing() -> None:
    """What is safe stays safe."""
    receipt = Receipt()
    receipt.expect(["a"])
    receipt.confirm("a")
    receipt.refuse("a", Backpressure("state", "late"))

    await receipt.settled()


async def test_confirming_after_the_waiter_gave_up_does_no_harm() -> None:
    """A deadline passes; the sinks do not know and go on."""
    receipt = Receipt()
    receipt.expect(["a"])
    settled = asyncio.create_task(receipt.settled())
    await asyncio.sleep(0)
    settled.cancel()
    await asyncio.gather(settled, return_exceptions=True)

    receipt.confirm("a")
