"""How many bytes of bodies all requests together may hold: the bound that limits of one request cannot give.

After an outage every source comes with a full envelope at once. What does not fit is refused with
503 while it comes in, and the source sends it again.
"""

from __future__ import annotations

from types import TracebackType

from collector.errors import Backpressure


class Budget:
    """Shared by all listeners. *limit* in bytes; what is counted is what has arrived, not what was announced."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def open(self) -> Account:
        """The account of one request; closing it gives everything back."""
        return Account(self)


class Account:
    """What one request holds."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def __enter__(self) -> Account:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.held -= self._held
        self._held = 0

    def take(self, size: int) -> None:
        """Hold *size* bytes more. Raises ``Backpressure`` when all requests together would hold too much."""
        budget = self._budget
        if budget.held + size > budget.limit:
            raise Backpressure("busy", f"the bodies under way hold {budget.held} of {budget.limit} bytes already")
        budget.held += size
        self._held += size
