"""A fake is worth what it keeps of the real promise."""

from __future__ import annotations

import asyncio

import pytest

from collector.sinks.base import Rejection, Sink, SinkUnavailable
from tests.routing.scripted_sink import ScriptedSink, eventually, records


async def test_the_fake_keeps_the_promise_of_a_sink() -> None:
    """Confirms what it has, rejects by row, says when it is down, and takes a repetition."""
    sink = ScriptedSink("ok", "reject", "down")
    promise: Sink = sink
    await promise.open()

    assert await promise.write(records("a")) == []
    assert await promise.write(records("b", "c")) == [Rejection(0, "the script rejects it")]
    with pytest.raises(SinkUnavailable):
        await promise.write(records("d"))
    assert await promise.write(records("d")) == []

    assert sink.taken == ["a", "c", "d"]


async def test_the_fake_may_be_called_again_while_a_call_is_under_way() -> None:
    """Group commit lives on that; a fake that forbids it would prove nothing."""
    sink = ScriptedSink("hang")
    slow = asyncio.create_task(sink.write(records("a")))
    await eventually(lambda: sink.called == ["a"])

    await sink.write(records("b"))
    sink.let_go()
    await slow

    assert sink.taken == ["b", "a"]
