"""Claims about standard output as a sink."""

from __future__ import annotations

import asyncio
import os

import pytest

from collector.sinks.base import SinkUnavailable
from collector.sinks.stdout import StdoutSink
from tests.events.made import made, records


async def test_a_closed_pipe_is_not_now_and_never_the_end_of_the_process() -> None:
    """``wef serve | head`` must not take the collector down."""
    reader, writer = os.pipe()
    os.close(reader)
    sink = StdoutSink("winlogbeat", writer)
    await sink.open()

    with pytest.raises(SinkUnavailable, match="standard output"):
        await sink.write(records([made(1)], form="winlogbeat"))

    await sink.close()
    os.close(writer)


async def test_a_reader_that_pauses_blocks_neither_the_loop_nor_the_end() -> None:
    """A stopped pager must not stop the collection, and a shutdown must not wait for it."""
    reader, writer = os.pipe()
    sink = StdoutSink("winlogbeat", writer)
    await sink.open()

    writing = asyncio.ensure_future(sink.write(records([made(n) for n in range(1000)], form="winlogbeat")))
    await asyncio.sleep(0)  # the loop turns although nobody reads
    await sink.close()

    with pytest.raises(SinkUnavailable, match="paused"):
        await writing
    os.close(reader)
    os.close(writer)
