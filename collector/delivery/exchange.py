"""One message in, one reply out: what the collector answers, and nothing of how it is spelled or sent.

The exchange knows neither XML text nor HTTP. It asks the subscriptions who is entitled,
hands batches to the receiver, and notes who was there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import assert_never

from collector import telemetry
from collector.clock import Clock
from collector.config.settings import ListenerSettings
from collector.delivery.intake import take_in
from collector.delivery.receiver import Receiver
from collector.delivery.spoofing import ComputerMismatch
from collector.delivery.winrm_config import ServedConfig, refused_change, unreachable
from collector.errors import Backpressure
from collector.evidence.presence import Presences
from collector.model import Batch, Caller, SubscriptionRef
from collector.store.base import Store
from collector.subscriptions.folder import NotEntitled, SubscriptionSet
from collector.subscriptions.offers import delivery_url, make_offer
from collector.subscriptions.subscription import Subscription
from collector.wsman import names
from collector.wsman.messages import (
    Ack,
    Delivery,
    End,
    Enumerate,
    EnumerateResponse,
    Fault,
    Header,
    Heartbeat,
    Identify,
    IdentifyResponse,
    Message,
    NoContent,
    Offer,
    Reply,
    ResourceRequest,
    SubscriptionEnd,
    Unsupported,
)
from collector.wsman.resources import of_config
from collector.wsman.writer import write_envelope

PATIENCE = 60.0
"""Seconds a source waits for its Ack when it does not say: the OperationTimeout of every Windows source (PT60.000S)."""
MARGIN = 0.8
"""The share of that time after which we say 503 rather than let the source run into its own time-out."""
SMALLEST_ENVELOPE = 8192
"""[DSP0226] R6.2-4: a smaller MaxEnvelopeSize cannot be served."""
LONGEST_REVISION = 128
"""Letters of an echoed revision that are kept; ours are commit hashes and operators' words."""
VENDOR = "wef-collector"
REFERENCES = 256
"""Subscriptions, in the versions in which sources still deliver them, that are kept."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a request came in: what an offer needs to tell the source where to deliver.

    *base* is scheme, host and port of NotifyTo (``https://wec.corp.example:5986``), *profile* the
    security profile of its Policy, *profiles* all of this listener's, for Identify. *listener* is itself, for
    winrm/config.
    """

    base: str
    profile: str | None
    profiles: tuple[str, ...] = ()
    listener: ListenerSettings | None = None


class Exchange:
    """Answers the messages of sources whose identity is known."""

    def __init__(
        self,
        subscriptions: Callable[[], SubscriptionSet],
        receiver: Receiver,
        store: Store,
        presences: Presences,
        clock: Clock,
        *,
        collector: str,
        version: str,
        new_id: Callable[[], str],
        config: Callable[[ListenerSettings | None], ServedConfig] | None = None,
    ) -> None:
        self._config = config
        self._subscriptions = subscriptions
        self._receiver = receiver
        self._store = store
        self._presences = presences
        self._clock = clock
        self._collector = collector
        self._version = version
        self._new_id = new_id

    async def answer(self, message: Message, caller: Caller, arrival: Arrival) -> Reply:
        """The reply to *message*. Raises ``Backpressure`` when the source shall come again."""
        telemetry.message_received(type(message).__name__)
        match message:
            case Identify():
                return IdentifyResponse(VENDOR, self._version, arrival.profiles)
            case End():
                return NoContent()  # it has no ReplyTo and must not be faulted (protocol.md 6.3)
            case Unsupported(header):
                return _unsupported(header)
            case Delivery() | Heartbeat() | Enumerate() | SubscriptionEnd() | ResourceRequest():
                if message.header.not_understood:
                    # a header that must be understood and is not ([DSP0226] 14.3)
                    return Fault("s:MustUnderstand", header=message.header.not_understood[0])
                if isinstance(message, ResourceRequest):
                    return self._config(arrival.listener).answer(message) if self._config else unreachable()
                return await self._serve(message, caller, arrival)
            case _:
                assert_never(message)

    def identify_anonymously(self) -> Reply:
        """Identify for anybody: no version, no profiles ([DSP0226] R11-6)."""
        return IdentifyResponse(VENDOR, "", ())

    async def _serve(
        self, message: Enumerate | Heartbeat | Delivery | SubscriptionEnd, caller: Caller, arrival: Arrival
    ) -> Reply:
        if isinstance(message, Enumerate):
            return self._enumerate(message, caller, arrival)
        try:
            subscription = self._subscriptions().require_entitled(message.header.identifier, caller)
        except NotEntitled as error:
            telemetry.request_refused("entitlement", caller.address, str(error), source=caller.name)
            self._note_refusal(message.header.identifier, caller, str(error))
            return Fault("w:DeliveryRefused")  # ends the subscription on the source ([MS-WSMV] 3.1.4.1.30.2)
        match message:
            case Heartbeat(header):
                self._presences.heard(caller, subscription.id, self._clock.now(), version=header.version)
                return Ack()
            case SubscriptionEnd():
                self._note_end(message, caller, subscription)
                return Ack()
            case Delivery():
                return await self._deliver(message, caller, subscription)
            case _:
                assert_never(message)

    async def _deliver(self, message: Delivery, caller: Caller, subscription: Subscription) -> Reply:
        started, now = self._clock.monotonic(), self._clock.now()
        header = message.header
        reference = _reference(
            subscription.id,
            subscription.name,
            header.version[:41],
            header.revision[:LONGEST_REVISION] or subscription.revision,
        )
        batch = Batch(caller, reference, now, message.pieces, self._collector)
        telemetry.batch_received(len(message.pieces), message.sliced)
        deadline = min(header.operation_timeout or PATIENCE, PATIENCE) * MARGIN
        try:
            await take_in(
                batch,
                message.bookmark,
                deadline,
                subscription.spoofing,
                receiver=self._receiver,
                presences=self._presences,
            )
        except Backpressure as refusal:
            self._presences.refused(caller, subscription.id, now, f"503 {refusal.reason}: {refusal}")
            raise
        except ComputerMismatch as error:
            telemetry.request_refused("computer", caller.address, str(error), source=caller.name)
            self._presences.refused(caller, subscription.id, now, str(error))
            return Fault("w:DeliveryRefused")
        if message.dropped is not None:
            self._note_dropped(caller, subscription, now, message.dropped)
        telemetry.batch_acknowledged(
            caller.name, subscription.name, len(message.pieces), self._clock.monotonic() - started
        )
        return Ack()

    def _enumerate(self, message: Enumerate, caller: Caller, arrival: Arrival) -> Reply:
        header = message.header
        if header.resource_uri and header.resource_uri != names.SUBSCRIPTION_MANAGER:
            return unreachable()
        if header.max_envelope_size is not None and header.max_envelope_size < SMALLEST_ENVELOPE:
            return Fault("w:EncodingLimit", detail="MinimumEnvelopeLimit")
        offers, now = [], self._clock.now()
        for subscription in self._subscriptions().offered_to(caller):
            self._presences.seen(caller, subscription.id, now)
            bookmark = self._store.bookmark(caller.key, subscription.id)
            notify_to = delivery_url(arrival.base, subscription)
            offers.append(make_offer(subscription, caller, notify_to, arrival.profile, bookmark))
        if not offers:
            telemetry.nothing_offered(caller.name, caller.address, self._subscriptions().why_nothing(caller))
        return self._fitting(offers, message, caller)

    def _fitting(self, offers: list[Offer], message: Enumerate, caller: Caller) -> Reply:
        """All of *offers*, or as many as the source allows ([DSP0226] R8.2.3-3, R6.2-3), in a steady order."""
        kept = offers if message.max_elements is None else offers[: message.max_elements]
        limit = message.header.max_envelope_size
        while True:
            reply = EnumerateResponse(kept, [self._new_id() for _ in kept])
            text = write_envelope(reply, message_id=self._new_id(), relates_to=message.header.message_id)
            if limit is None or 2 * len(text) + 2 <= limit or not kept:  # UTF-16 with its BOM, as Windows asks for
                break
            kept = kept[:-1]
        if len(kept) < len(offers):
            telemetry.offers_cut(caller.name, len(kept), len(offers))
            if not kept:
                return Fault("w:EncodingLimit", detail="MaxEnvelopeSize")
        return reply

    def _note_end(self, message: SubscriptionEnd, caller: Caller, subscription: Subscription) -> None:
        """Its WSManFault is the best diagnosis that a collector ever gets (protocol.md 6.6)."""
        telemetry.subscription_ended(caller.name, subscription.name, message.status, message.code, message.text)
        now = self._clock.now()
        if message.code is None:
            self._presences.seen(caller, subscription.id, now)
        else:
            told = f"the source ended the subscription: {message.status} {message.code} {message.text}"
            self._presences.refused(caller, subscription.id, now, told)

    def _note_refusal(self, identifier: str, caller: Caller, reason: str) -> None:
        subscription = self._subscriptions().by_id(identifier)
        if subscription is not None:  # made-up identifiers leave no trace that grows
            self._presences.refused(caller, subscription.id, self._clock.now(), reason)

    def _note_dropped(self, caller: Caller, subscription: Subscription, now: datetime, total: int) -> None:
        more = self._presences.dropped(caller, subscription.id, now, total)
        if more:
            telemetry.events_dropped_at_source(caller.name, subscription.name, more, total)


@lru_cache(REFERENCES)
def _reference(identifier: str, name: str, version: str, revision: str) -> SubscriptionRef:
    """The same value for all batches of a subscription: only its version is spelled as documents have it."""
    return SubscriptionRef(identifier, name, version.removeprefix("uuid:").upper()[:36], revision)


def _unsupported(header: Header) -> Fault:
    """The fault for what we do not serve (contract.md 5, protocol.md 8.3)."""
    match header.action:
        case names.PULL | names.RELEASE:
            return Fault("n:InvalidEnumerationContext")
        case names.RENEW:
            return Fault("e:UnableToRenew")
        case action if of_config(header.resource_uri) is not None:
            return refused_change(action)
        case action if action.startswith(names.TRANSFER + "/"):
            return unreachable()
        case _:
            return Fault("a:ActionNotSupported", extra=header.action)
