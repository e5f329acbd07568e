"""Work that blocks, in a thread that nobody waits for when the process ends.

The event loop's own pool has five threads on a small machine, and its end waits for all of them: a dead name server,
KDC or directory would hold up everybody, and the end of the process for minutes. How many there are at a time is for
whoever asks to bound.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

Given = TypeVar("Given")


async def aside(work: Callable[[], Given]) -> Given:
    """What *work* returns, or raises. Who is cancelled meanwhile leaves it to itself: it ends when it ends."""
    done: asyncio.Future[Given] = asyncio.get_running_loop().create_future()
    threading.Thread(target=_worked, args=(work, done), name="wef-aside", daemon=True).start()
    return await done


def _worked(work: Callable[[], Given], done: asyncio.Future[Given]) -> None:
    with _Told(done) as told:
        told.result = work()


class _Told:
    """Tells the future what came out, on its own event loop, if that is still there."""

    def __init__(self, done: asyncio.Future[Any]) -> None:
        self.result: Any = None
        self._done = done

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._done.get_loop().call_soon_threadsafe(self._tell, error)
        return True

    def _tell(self, error: BaseException | None) -> None:
        if self._done.done():
            return  # cancelled
        if isinstance(error, StopIteration):
            error = RuntimeError("the work raised StopIteration")  # which no future takes
        if error is not None:
            self._done.set_exception(error)
        else:
            self._done.set_result(self.result)
