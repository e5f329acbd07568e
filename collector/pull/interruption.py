"""How a task is told to end: at the places where it may be broken off, and only there."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Retired(Exception):
    """The task was told to end."""


class Interruption:
    """Of one task. ``retire`` may be called at any time, by anybody on the event loop."""

    __slots__ = ("retired", "scope")

    def __init__(self) -> None:
        self.retired = False
        self.scope: _Scope | None = None
        """Where the task is, if it may be broken off there."""

    def retire(self) -> None:
        self.retired = True
        if self.scope is not None:
            self.scope.end()

    def check(self) -> None:
        """Raises ``Retired``."""
        if self.retired:
            raise Retired

    def allowed(self, grace: float = 0.0) -> _Scope:
        """``with`` it: what is inside may be broken off, *grace* seconds after ``retire``. Raises ``Retired``.

        Not to be nested.
        """
        return _Scope(self, grace)


class _Scope:
    """Where a task may be broken off; as ``asyncio.timeout`` does it, at a fifth of its price: each Pull has two."""

    __slots__ = ("_before", "_ended", "_grace", "_handle", "_owner", "_task")

    def __init__(self, owner: Interruption, grace: float) -> None:
        self._owner = owner
        self._grace = grace
        self._ended = False
        self._handle: asyncio.Handle | None = None

    def __enter__(self) -> None:
        self._owner.check()
        task = asyncio.current_task()
        assert task is not None, "what is broken off is a task"
        self._task = task
        self._before = task.cancelling()
        self._owner.scope = self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner.scope = None
        if self._handle is not None:
            self._handle.cancel()
        # Somebody else may have cancelled the task as well, and then he is obeyed.
        if self._ended and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise Retired from error

    def end(self) -> None:
        """Soon and not now: the task may be the one that asks, and would then be cancelled behind the scope as well."""
        if self._handle is None:
            self._handle = self._task.get_loop().call_later(self._grace, self._cancel)

    def _cancel(self) -> None:
        self._ended = True
        self._task.cancel()
