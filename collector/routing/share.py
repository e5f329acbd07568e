"""A share: the part of a batch that one lane takes."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model import Records
from collector.routing.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Share:
    """*records* for one sink. *receipt* wants to know when they are safe; None: best effort, nobody waits."""

    records: Records
    receipt: Receipt | None
