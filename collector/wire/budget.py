"""How many bytes of answers all conversations together may hold: the bound that the limit of one answer cannot give.

After an outage every source answers with a full envelope at once. What does not fit waits unread, in the order in
which it came; the far end's own TCP keeps it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

STEP = 2**20
"""Bytes that are asked for at once: twice the usual envelope, so that it never waits in its middle."""


class Claim:
    """What one answer holds, and how much more it waits for. *granted* is called when it waits no longer."""

    __slots__ = ("granted", "held", "wanted")

    def __init__(self, granted: Callable[[], None]) -> None:
        self.granted = granted
        self.held = 0
        self.wanted = 0


class Budget:
    """Shared by all connections. *limit* in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._waiting: deque[Claim] = deque()
        self._stuck = 0
        """Bytes held by those who wait for more. When that is all there is, one may go beyond the limit: else all would
        wait for each other."""
        self._favoured: Claim | None = None

    def reach(self, claim: Claim, size: int) -> bool:
        """Let *claim* hold *size* bytes in all. False: not now; it is told, unless it is released before."""
        if size <= claim.held:
            return True
        if claim.wanted:
            return False
        claim.wanted = size - claim.held
        if claim is self._favoured or (not self._waiting and self._fits(claim.wanted)):
            self._give(claim)
            return True
        self._waiting.append(claim)
        self._stuck += claim.held
        freed = self._freed()
        if freed is not None and freed is not claim:
            freed.granted()
        return freed is claim

    def release(self, claim: Claim) -> None:
        """Take back all that *claim* holds, and give it to those who wait."""
        if claim.wanted:
            self._waiting.remove(claim)
            self._stuck -= claim.held
        self.held -= claim.held
        claim.held = claim.wanted = 0
        if claim is self._favoured:
            self._favoured = None
        while self._waiting and self._fits(self._waiting[0].wanted):
            first = self._first()
            self._give(first)
            first.granted()
        freed = self._freed()
        if freed is not None:
            freed.granted()

    def _fits(self, size: int) -> bool:
        return self.held + size <= self.limit

    def _freed(self) -> Claim | None:
        """Who may go beyond the limit now, because nobody else could give anything back; one at a time."""
        if not self._waiting or self._stuck != self.held:
            return None
        self._favoured = first = self._first()
        self._give(first)
        return first

    def _first(self) -> Claim:
        first = self._waiting.popleft()
        self._stuck -= first.held
        return first

    def _give(self, claim: Claim) -> None:
        self.held += claim.wanted
        claim.held += claim.wanted
        claim.wanted = 0
