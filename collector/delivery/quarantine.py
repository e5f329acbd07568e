"""Events that are held back from the sinks, as letters, so that somebody can look and let them go on.

Each source has a bound of its own: a machine that lies all day, or was renamed, must not fill the disk that all
the others need. Who is held back, and why, is ``spoofing``'s to say; when to acknowledge, ``receiver``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.config.settings import Limits
from collector.delivery import spoofing
from collector.errors import Backpressure
from collector.normalize import Harvest
from collector.routing.letters import quarantined
from collector.routing.router import Router
from collector.store.base import Amount, Letter, Store


class Quarantine:
    """Keeps what does not go on in *store*; at most as much of each source as *limits* say."""

    def __init__(self, router: Router, store: Store, limits: Limits) -> None:
        self._router = router
        self._store = store
        self._most = Amount(limits.quarantined_per_source, limits.quarantined_size_per_source)

    async def hold(self, reaped: Harvest, held: Sequence[int]) -> None:
        """Return when the rows *held* (ascending) are letters on disk.

        Raises ``Backpressure`` (``quarantine``) when its caller would have too many: then none of them was written.
        """
        letters = self._letters(reaped, held)
        waiting = await self._store.quarantine(letters, self._most)
        if waiting is not None:
            raise Backpressure("quarantine", _explained(waiting, Amount().grown(letters), self._most))

    def _letters(self, reaped: Harvest, held: Sequence[int]) -> list[Letter]:
        """What each sink would have taken of the rows *held*, as letters to it: so they can be released."""
        caller, letters = reaped.batch.caller, []
        for sink, rows, records in self._router.withheld(reaped, held):
            reasons = [spoofing.objection(caller, reaped.keys[row][1], reaped.texts[row]) for row in rows]
            letters += quarantined(sink, records, reasons, caller.key, [reaped.texts[row] for row in rows])
        return letters


def _explained(waiting: Amount, more: Amount, most: Amount) -> str:
    """Short: ``wef sources list`` shows 300 characters of a refusal."""
    said = f"its batch makes {_spoken(more)}, it has {_spoken(waiting)} in quarantine, at most {_spoken(most)} may be"
    if not more.within(most):
        return f"{said}; raise limits.quarantined_per_source or quarantined_size_per_source"
    return f"{said}; look with wef letters list --reason 'computer:*', then wef letters replay or delete"


def _spoken(amount: Amount) -> str:
    return f"{amount.letters} letters ({amount.bytes / 2**20:.1f} MiB)"
