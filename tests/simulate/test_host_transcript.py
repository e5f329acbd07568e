"""Real messages as a machine that answers with them: what the captures say is what a collector reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.simulate.host_transcript import Recorded, Transcript
from collector.wire.connection import Connection
from collector.wsman.answers import Pulled, SourceFault, Subscribed, Unsubscribed
from collector.wsman.header import EnvelopeError
from tests.simulate.caller import Caller


async def test_a_captured_conversation_is_played_byte_for_byte(shared_data: Path) -> None:
    """Subscribe, two Pulls, the quota fault, Unsubscribe, as real Windows said them; then nothing more."""
    captures = shared_data / "captures"
    names = (
        "subscribe-pull-response.xml",
        "pull-response-event.xml",
        "pull-response-empty.xml",
        "fault-quota-max-concurrent.xml",
        "push-unsubscribe-response.xml",
    )
    async with Transcript.of((captures / name).read_bytes() for name in names) as machine:
        url = f"{machine.url}/wsman"
        caller = Caller(Connection(url, context=None, prove=None, timeout=5.0), url)
        subscribed = await caller.subscribe()
        pulled = await caller.pull()
        empty = await caller.pull()
        fault = await caller.pull()
        ended = await caller.unsubscribe()
        await caller.connection.close()

    assert isinstance(subscribed, Subscribed)
    assert subscribed.context == "uuid:00A69F40-AF0D-4E6D-93BD-EFE6AADC3F51"
    assert isinstance(pulled, Pulled)
    assert len(pulled.pieces) == 1
    assert 'RecordId="3847"' in (pulled.bookmark or "")
    assert isinstance(empty, Pulled)
    assert not empty.pieces
    assert isinstance(fault, SourceFault)
    assert fault.code == 2150859174
    assert isinstance(ended, Unsubscribed)
    assert b"uuid:05071354-C4AD-4745-AA80-1127029F660E" in machine.asked[2]  # the context of the answer before


async def test_without_matching_even_the_relation_is_as_recorded(shared_data: Path) -> None:
    """For conversations whose ids are handed in; others must not believe it."""
    body = (shared_data / "captures" / "subscribe-pull-response.xml").read_bytes()
    async with Transcript([Recorded(body)], matching=False) as machine:
        url = f"{machine.url}/wsman"
        caller = Caller(Connection(url, context=None, prove=None, timeout=5.0), url)
        with pytest.raises(EnvelopeError):
            await caller.subscribe()
        await caller.connection.close()
