"""A share: the part of a batch that one lane takes, and how the lane holds it. Values, no decisions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from collector.model import Records
from collector.routing.packing import footprint
from collector.routing.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Share:
    """*records* for one sink. *receipt* wants to know when they are safe; None: best effort, nobody waits."""

    records: Records
    receipt: Receipt | None


class Held:
    """A share in memory: until it is answered, and as long as it is being written. *since* is loop time."""

    __slots__ = ("appending", "share", "since", "size", "writing")

    def __init__(self, share: Share, since: float) -> None:
        self.share = share
        self.since = since
        self.size = footprint(share.records)
        self.writing = False
        self.appending: asyncio.Future[int] | None = None  # on its way into the spool, or there
