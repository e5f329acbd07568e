"""What conversations share: places, doors and memory. Whoever waits is served in the order of coming.

It knows how many, and not what for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Allowance:
    """An amount that many share; more than all of it may be had by one who finds nothing taken.

    Used for places (an amount of 1 each) and for bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def wanted(self) -> bool:
        """Somebody waits."""
        return bool(self._waiting)

    async def take(self, amount: int) -> None:
        """Return when *amount* is had."""
        if not self._waiting and self._fits(amount):
            self.held += amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (amount, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(amount)  # it was served at the very moment that it left
            else:
                with suppress(ValueError):
                    self._waiting.remove(entry)
                self._serve()  # whoever stood behind it may fit
            raise

    def give(self, amount: int) -> None:
        """Bring *amount* back."""
        self.held -= amount
        self._serve()

    def _fits(self, amount: int) -> bool:
        return self.held == 0 or self.held + amount <= self.limit

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            amount, turn = self._waiting.popleft()
            if not turn.done():
                self.held += amount
                turn.set_result(None)


class Gate:
    """Lets so many through side by side; whoever takes longer than *grace* seconds no longer counts.

    So handshakes do not come all at once, and the hundreds of hosts that never answer stop nobody.
    """

    def __init__(self, width: int, grace: float) -> None:
        self._places = Allowance(width)
        self._grace = grace

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        await self._places.take(1)
        timer = asyncio.get_running_loop().call_later(self._grace, self._places.give, 1)
        try:
            yield
        finally:
            if not timer.cancelled() and timer.when() > asyncio.get_running_loop().time():
                timer.cancel()
                self._places.give(1)
