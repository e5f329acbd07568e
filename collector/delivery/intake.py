"""A batch goes in: made safe with its bookmark, and noted with whom it came from. For every flow the same.

Event 111 is no log event, so only its position counts. The refusals pass; who hears them is not known here.
"""

from __future__ import annotations

from collector.delivery.bookmarks import is_marker
from collector.delivery.receiver import Accepted, Receiver
from collector.evidence.presence import Presences
from collector.model import Batch
from collector.subscriptions.subscription import Spoofing

NOTHING = Accepted(0, 0)


async def take_in(
    batch: Batch, bookmark: str | None, deadline: float, policy: Spoofing, *, receiver: Receiver, presences: Presences
) -> Accepted:
    """Return when *batch* is safe and its *bookmark* on disk: the source may then forget it.

    *deadline* is in seconds from now. Raises ``Backpressure`` and ``ComputerMismatch`` as ``Receiver.accept`` does:
    nothing was promised. A batch without events saves its bookmark, where it has one.
    """
    caller, subscription = batch.caller, batch.subscription
    if not batch.events or is_marker(batch.events, bookmark):
        if bookmark is not None:
            await receiver.save_position(batch, bookmark, deadline)
        presences.heard(caller, subscription.id, batch.received, version=subscription.version)
        return NOTHING
    accepted = await receiver.accept(batch, bookmark, deadline, policy)
    presences.delivered(
        caller,
        subscription.id,
        batch.received,
        events=accepted.events,
        newest=accepted.newest,
        version=subscription.version,
    )
    return accepted
