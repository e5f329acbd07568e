"""Which lanes get what of a harvest. Decides by key, spells once for each format, waits for nobody."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from collector import telemetry
from collector.formats import spell
from collector.model import Records
from collector.normalize import Harvest
from collector.routing.lane import Lane
from collector.routing.receipt import Receipt
from collector.routing.share import Share


class Router:
    """The lanes of this collector, in the order of the settings."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = lanes

    def carry(self, harvest: Harvest, receipt: Receipt, held: Collection[int] = ()) -> None:
        """Offer every lane its share, without the rows *held*; *receipt* then knows who has to confirm.

        When one required lane would refuse, none is offered anything: the batch comes again
        as a whole, and would otherwise reach the others once more each time. Whatever goes
        wrong with spelling is raised: a batch that was not carried must not be acknowledged.
        """
        shares, untaken = self._shares(harvest, receipt, frozenset(held))
        receipt.expect([lane.name for lane, share in shares if share.receipt is not None])
        refusing = [entry for entry in shares if entry[1].receipt is not None and entry[0].refusal(entry[1].records)]
        for lane, share in refusing[:1] or shares:
            lane.offer(share)
        if untaken and not refusing:
            telemetry.events_untaken(untaken)

    def withheld(self, harvest: Harvest, held: Sequence[int]) -> list[tuple[str, Sequence[int], Records]]:
        """What each sink would have been offered of the rows *held* (ascending): its name, the rows, the records."""
        found = []
        for lane in self.lanes:
            rows = self._rows(lane, harvest)
            kept = held if rows is None else sorted(set(held).intersection(rows))
            if kept:
                found.append((lane.name, kept, spell(harvest, lane.format, lane.drop_fields).pick(kept)))
        return found

    def _shares(self, harvest: Harvest, receipt: Receipt, held: frozenset[int]) -> tuple[list[tuple[Lane, Share]], int]:
        """Who gets what, and how many events nobody takes."""
        untaken: set[int] = set(range(len(harvest.ids)))
        shares = []
        for lane in self.lanes:
            rows = self._rows(lane, harvest)
            untaken.difference_update(untaken if rows is None else rows)
            if held:
                rows = [row for row in (range(len(harvest)) if rows is None else rows) if row not in held]
            if rows is None or rows:
                records = spell(harvest, lane.format, lane.drop_fields)
                share = records if rows is None else records.pick(rows)
                shares.append((lane, Share(share, receipt if lane.required else None)))
        return shares, len(untaken)

    def _rows(self, lane: Lane, harvest: Harvest) -> Sequence[int] | None:
        """The rows that *lane* takes; None: all."""
        batch = harvest.batch
        sources = (batch.caller.key, batch.caller.name)
        return lane.taking.rows(harvest.keys, harvest.ids, batch.subscription.name, sources)
