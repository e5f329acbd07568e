"""A time by which something has to be done, as ``asyncio.timeout`` has it, at a third of its price: each batch has one.

It can neither be moved nor asked, so nothing has to be kept but the handle that cancels the task.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """``with Deadline(seconds):`` in a task. Raises ``TimeoutError`` when what is inside has not ended by then."""

    __slots__ = ("_before", "_expired", "_handle", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a deadline ends the task that it is set in"
        self._task = task
        self._before = task.cancelling()
        self._handle = task.get_loop().call_later(self._seconds, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        # Somebody else may have cancelled the task as well, and then he is obeyed.
        if self._expired and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
