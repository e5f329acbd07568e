"""Which lanes get what of a harvest. Decides by key, spells once for each format, waits for nobody."""

from __future__ import annotations

from collections.abc import Sequence

from collector import telemetry
from collector.formats import spell
from collector.normalize import Harvest
from collector.routing.lane import Lane
from collector.routing.receipt import Receipt
from collector.routing.share import Share


class Router:
    """The lanes of this collector, in the order of the settings."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = lanes

    def carry(self, harvest: Harvest, receipt: Receipt) -> None:
        """Offer every lane its share; *receipt* then knows who has to confirm.

        When one required lane would refuse, none is offered anything: the batch comes again
        as a whole, and would otherwise reach the others once more each time. Whatever goes
        wrong with spelling is raised: a batch that was not carried must not be acknowledged.
        """
        shares, untaken = self._shares(harvest, receipt)
        receipt.expect([lane.name for lane, share in shares if share.receipt is not None])
        refusing = [entry for entry in shares if entry[1].receipt is not None and entry[0].refusal(entry[1].records)]
        for lane, share in refusing[:1] or shares:
            lane.offer(share)
        if untaken and not refusing:
            telemetry.events_untaken(untaken)

    def _shares(self, harvest: Harvest, receipt: Receipt) -> tuple[list[tuple[Lane, Share]], int]:
        """Who gets what, and how many events nobody takes."""
        batch = harvest.batch
        sources = (batch.caller.key, batch.caller.name)
        untaken: set[int] = set(range(len(harvest.ids)))
        shares = []
        for lane in self.lanes:
            rows = lane.taking.rows(harvest.keys, harvest.ids, batch.subscription.name, sources)
            untaken.difference_update(untaken if rows is None else rows)
            if rows is None or rows:
                records = spell(harvest, lane.format, lane.drop_fields)
                share = records if rows is None else records.pick(rows)
                shares.append((lane, Share(share, receipt if lane.required else None)))
        return shares, len(untaken)
