"""A push subscription that a collector made: what it asked for, as the source's side of a delivery knows it.

From here on it goes the way of every pushed event (``reading``, ``delivery``). No network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from collector.simulate.host_subscription import Account
from collector.simulate.reading import MAX_ENVELOPE, Reading
from collector.wsman.asked import Subscribe
from collector.wsman.messages import Offer

DEFAULT_RETRY, DEFAULT_RETRIES = 60.0, 5
"""Where ConnectionRetry does not say: what Windows collectors ask for (captured)."""


@dataclass(eq=False, slots=True)
class Pushing:
    """*call* is the Subscribe of *user*, *identifier* the machine's own name for it. *ended* is called at its end."""

    call: Subscribe
    user: str
    identifier: str
    account: Account
    reading: Reading
    ended: Callable[[], None] = lambda: None

    def end(self) -> None:
        self.ended()


def offered(call: Subscribe) -> Offer:
    """What *call* asks for, in the words of a source-initiated offer; the deliveries are the same (protocol.md 7.5).

    The version is what a source compares; here every Subscribe is a new one.
    """
    options, delivery = dict(call.options), call.delivery
    batches = delivery.mode == "Events"  # Push and PushWithAck know single events only
    return Offer(
        name=options.get("SubscriptionName") or "",
        identifier=delivery.identifier,
        version=delivery.version,
        revision=delivery.revision,
        notify_to=delivery.notify_to,
        profile=delivery.profile,
        issuer=delivery.issuer,
        query=call.query,
        bookmark=call.bookmark,
        read_existing_events=_on(options.get("ReadExistingEvents", "false")),
        content_format=options.get("ContentFormat") or "Raw",
        locale=delivery.locale,
        compression=options.get("Compression") == "SLDC",
        ignore_channel_error=_on(options.get("IgnoreChannelError", "false")),
        heartbeat=delivery.heartbeat or 0.0,
        max_time=(delivery.max_time or 0.0) if batches else 0.0,
        max_elements=delivery.max_elements if batches else 1,
        max_envelope_size=delivery.max_envelope_size or MAX_ENVELOPE,
        retry_interval=DEFAULT_RETRY if delivery.retry_interval is None else delivery.retry_interval,
        retry_total=DEFAULT_RETRIES if delivery.retry_total is None else delivery.retry_total,
    )


def _on(value: str | None) -> bool:
    return (value or "true").strip().lower() != "false"
