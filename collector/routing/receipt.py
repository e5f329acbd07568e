"""Who still has to confirm a batch.

One receipt and at most one future for each batch, however many lanes take a share of it.
It knows names and nothing of lanes; confirming late or twice does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from collector.errors import Backpressure


class Receipt:
    """Open until everyone who is expected has confirmed, or the first one refuses."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._refusal: Backpressure | None = None
        self._done: asyncio.Future[None] | None = None

    def expect(self, names: Iterable[str]) -> None:
        """These must confirm. Call it before any of them can."""
        self._missing.update(names)

    def confirm(self, name: str) -> None:
        """*name* has put its share somewhere safe."""
        self._missing.discard(name)
        self._wake()

    def refuse(self, name: str, refusal: Backpressure) -> None:
        """*name* cannot keep its share; the batch must not be acknowledged. Only the first refusal counts."""
        if self._refusal is None and name in self._missing:
            self._refusal = refusal
            self._wake()

    async def settled(self) -> None:
        """Return when all have confirmed; raises the first ``Backpressure``. For one waiter."""
        if self._missing and self._refusal is None:
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        if self._refusal is not None:
            raise self._refusal

    def _wake(self) -> None:
        if (self._refusal is not None or not self._missing) and self._done is not None and not self._done.done():
            self._done.set_result(None)
