"""A subscription as shown to one caller, and the version that tells it whether anything changed.

The version is a hash of exactly what the caller is told. A source that sees another version
subscribes again, so whatever it is not told - bookmark, revision, description, audience -
must not be in it (contract.md 2, [MS-WSMV] 2.2.4.41).
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from uuid import UUID

from collector.model import Bookmark, Caller
from collector.subscriptions.subscription import Subscription
from collector.wsman.messages import Offer

LAYOUT = "wef-offer-1"
"""Names the order and spelling of the hashed fields. Another layout gives every source another version."""
MUTUAL = "https/mutual"
"""The profile that names the client certificate's issuer ([MS-WSMV] 2.2.4.1)."""

_UNTOLD = frozenset({"version", "revision", "bookmark"})
"""Fields of an offer that are not part of its version."""
TOLD = tuple(sorted(field.name for field in fields(Offer) if field.name not in _UNTOLD))
"""The fields in the hash, in its order."""
_CONTENT_FORMATS = {"raw": "Raw", "rendered_text": "RenderedText"}


def make_offer(
    subscription: Subscription, caller: Caller, notify_to: str, profile: str | None, bookmark: Bookmark | None
) -> Offer:
    """What *caller* is told about *subscription*.

    *notify_to* is the whole URL of deliveries, *profile* the security profile of the
    listener (``https/mutual``), None for listeners without authentication.
    """
    delivery = subscription.delivery
    rendered = subscription.content_format == "rendered_text"
    offer = Offer(
        name=subscription.name,
        identifier=subscription.id,
        version="",
        revision=subscription.revision,
        notify_to=notify_to,
        profile=profile,
        issuer=caller.issuer if profile == MUTUAL else None,
        query=subscription.query,
        bookmark=bookmark.xml if bookmark is not None else None,
        read_existing_events=subscription.read_existing_events,
        content_format=_CONTENT_FORMATS[subscription.content_format],
        locale=subscription.locale if rendered else None,
        compression=subscription.compression == "sldc",
        ignore_channel_error=subscription.ignore_channel_error,
        heartbeat=delivery.heartbeat,
        max_time=delivery.max_latency,
        max_elements=delivery.max_items or None,
        max_envelope_size=delivery.max_envelope_size,
        retry_interval=delivery.connection_retry,
        retry_total=delivery.retries,
        expires=subscription.expires,
    )
    return replace(offer, version=version_of(offer))


def delivery_url(base: str, subscription: Subscription) -> str:
    """NotifyTo below *base* (``https://wec.corp.example:5986``); the id in capitals, as Windows writes it."""
    return f"{base}/wsman/subscriptions/{subscription.id.upper()}"


def version_of(offer: Offer) -> str:
    """The version GUID: upper case, without ``uuid:``. Only what the source is told counts."""
    told = [f"{name}={_spelled(getattr(offer, name))}" for name in TOLD]
    digest = hashlib.blake2b("\0".join([LAYOUT, *told]).encode(), digest_size=16).digest()
    return str(UUID(bytes=digest)).upper()


def _spelled(value: object) -> str:
    """Seconds to the millisecond, because that is what goes over the wire."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
