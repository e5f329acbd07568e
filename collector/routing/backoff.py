"""How long to wait before asking a sink again. No clock and no dice of its own."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Doubling pauses from *first* to *longest* seconds, each cut by up to half.

    *chance* gives numbers from 0 (included) to 1 (excluded). The cut keeps several
    collectors from asking a recovering cluster all at once.
    """

    def __init__(self, first: float, longest: float, chance: Callable[[], float]) -> None:
        self._first = min(first, longest)
        self._longest = longest
        self._chance = chance
        self._next = self._first

    def pause(self) -> float:
        """Seconds to wait now; the next answer is about twice as long."""
        whole, self._next = self._next, min(self._next * 2, self._longest)
        return whole * (1 - self._chance() / 2)

    def reset(self) -> None:
        """It worked: begin with the first pause again."""
        self._next = self._first
