"""Records to standard output, for pipes and for looking.

A thread of its own writes: a reader that pauses stops this sink, never the event loop, and not the
shutdown either. What a pipe has taken counts as safe; nobody can promise more for a pipe.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from typing import Literal

from collector.commit import GroupCommit
from collector.config.settings import SinkSettings
from collector.model import Records
from collector.sinks.base import Rejection, SinkUnavailable, Surroundings

_PIECE = select.PIPE_BUF
"""A pipe that polls writable takes this much without blocking (POSIX), and no more is certain."""

_LOOK = 200
"""Milliseconds between two looks whether the sink is being closed while its reader pauses."""


class StdoutSettings(SinkSettings):
    """``type = "stdout"``."""

    type: Literal["stdout"] = "stdout"
    format: Literal["winlogbeat", "raw", "raw_json"] = "winlogbeat"


class StdoutSink:
    """Whole lines, in order, to a file descriptor (1 unless a test hands in another)."""

    def __init__(self, format: str, descriptor: int | None = None) -> None:
        self.format = format
        self._descriptor = descriptor
        self._writer: GroupCommit[bytes, None] | None = None
        self._closing = False
        self._rest = b""

    @classmethod
    def build(cls, _name: str, settings: StdoutSettings, _surroundings: Surroundings) -> StdoutSink:
        return cls(settings.format)

    async def open(self) -> None:
        if self._writer is None:
            self._closing = False
            self._writer = GroupCommit("stdout", self._perform, most=1)

    async def write(self, records: Records) -> Sequence[Rejection]:
        if self._writer is None:
            raise SinkUnavailable("standard output: the sink is closed")
        await self._writer.submit(records.block)
        return ()

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            self._closing = True
            await writer.close()

    def _perform(self, blocks: Sequence[bytes]) -> Sequence[BaseException | None]:
        return [self._put(block) for block in blocks]

    def _put(self, block: bytes) -> SinkUnavailable | None:
        # A line that an earlier error cut in two is finished first: readers see whole lines only.
        view, owed, at = memoryview(self._rest + block), len(self._rest), 0
        reason: str | None = None
        try:
            descriptor = sys.stdout.fileno() if self._descriptor is None else self._descriptor
            while at < len(view) and self._ready(descriptor):
                at += os.write(descriptor, view[at : at + _PIECE])
            if at < len(view):
                reason = "closed while its reader paused"
        except (OSError, ValueError) as error:  # EPIPE: the reader has gone; ValueError: Python's stdout is closed
            reason = str(error)
        if reason is None:
            self._rest = b""
            return None
        self._rest = bytes(view[at:owed]) if at < owed else _unfinished(block, at - owed)
        return SinkUnavailable(f"standard output: {reason}")

    def _ready(self, descriptor: int) -> bool:
        """Wait until the reader takes more; False when the sink is closed meanwhile."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        while not poll.poll(_LOOK):
            if self._closing:
                return False
        return True


def _unfinished(block: bytes, at: int) -> bytes:
    """What is missing of the line that was cut at offset *at*."""
    if at == 0 or block[at - 1 : at] == b"\n":
        return b""
    return block[at : block.index(b"\n", at) + 1]
