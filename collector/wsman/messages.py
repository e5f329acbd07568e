"""The messages of the source-initiated flow, as values.

What a source may say to us (``Message``) and what we may answer (``Reply``). The
reader makes the first, the writer spells the second, and the exchange in between
knows neither XML nor HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Header(NamedTuple):
    """What the SOAP header of a request said; a text that was missing is ``""``. A tuple: each batch makes one.

    *operation_timeout* is in seconds, None when absent. *max_envelope_size* is in bytes,
    None when absent. *identifier* is e:Identifier as sent, *version* and *revision* are the
    reference parameters that we put into the offer and that the source echoes.
    *not_understood* lists (namespace, local name) of unknown headers marked mustUnderstand.
    """

    action: str
    message_id: str
    to: str = ""
    resource_uri: str = ""
    reply_to: str = ""
    machine_id: str = ""
    identifier: str = ""
    version: str = ""
    revision: str = ""
    operation_id: str = ""
    operation_timeout: float | None = None
    max_envelope_size: int | None = None
    ack_requested: bool = False
    not_understood: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Identify:
    """wsmid:Identify ([DSP0226] 11); it has no WS-Addressing header."""


@dataclass(frozen=True, slots=True)
class Enumerate:
    """Which subscriptions are meant for me? ([MS-WSMV] 3.1.4.1.30). *max_elements* None: not said."""

    header: Header
    max_elements: int | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """I am here and had nothing to send ([DSP0226] 10.2.5)."""

    header: Header


@dataclass(frozen=True, slots=True)
class Delivery:
    """One Events message ([MS-WSMV] 3.1.4.6): the unit of acknowledgement.

    *pieces* are the events' XML texts, each standing alone, exactly as received but for
    line endings (an XML parser's rule). *bookmark* is the one element inside w:Bookmark as
    XML text, or its text; None when there was none. *dropped* is the running total of the
    newest DroppedEvents marker ([DSP0226] 10.9), None without a marker. *sliced* tells
    whether the fast way was taken (a metric, no promise).
    """

    header: Header
    pieces: Sequence[str]
    bookmark: str | None
    dropped: int | None = None
    sliced: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionEnd:
    """The source ends a subscription and may say why ([MS-WSMV] 4.6.5).

    *status* is the last segment of the status URI (``SourceShuttingDown``), *code* the
    WSManFault code or None, *text* its message, white space folded.
    """

    header: Header
    status: str
    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """wsman/End of the full-duplex resource; answered 204 ([MS-WSMV] 3.1.4.1.39)."""

    header: Header


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A well-formed request for something that this collector does not serve."""

    header: Header


Verb = Literal["Get", "Enumerate", "Pull", "Release"]


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What does winrm/config hold, or a part of it? ([MS-WSMV] 3.1.4.1.29, 3.1.4.2; nothing of it can be changed.)

    *selectors* are names and values as sent. Of Enumerate and Pull: *max_elements* is 1 when not said, *optimized*:
    items may come with the first answer, *mode* is ``""``, ``EnumerateEPR`` or ``EnumerateObjectAndEPR``, *filtered*:
    there was a filter.
    """

    header: Header
    verb: Verb
    selectors: Sequence[tuple[str, str]] = ()
    context: str = ""
    max_elements: int = 1
    optimized: bool = False
    mode: str = ""
    filtered: bool = False


Message = Identify | Enumerate | Heartbeat | Delivery | SubscriptionEnd | End | ResourceRequest | Unsupported


@dataclass(frozen=True, slots=True)
class Offer:
    """A subscription as shown to one caller: one m:Subscription item of the EnumerateResponse.

    Durations are in seconds, sizes in bytes. *version* is an upper-case GUID without
    ``uuid:``, *identifier* goes into e:Identifier. *query* is the QueryList as XML text
    without comments. *bookmark* is what the source sent last, None for none.
    *issuer* is the SHA-1 thumbprint for the https/mutual policy, None where the profile
    takes none. *profile* is the last part of the security profile URI (``https/mutual``,
    ``http/spnego-kerberos``, ``https/spnego-kerberos``); None: no c:Policy at all, for
    listeners without authentication.
    """

    name: str
    identifier: str
    version: str
    revision: str
    notify_to: str
    profile: str | None
    issuer: str | None
    query: str
    bookmark: str | None
    read_existing_events: bool
    content_format: str  # "Raw" | "RenderedText"
    locale: str | None
    compression: bool
    ignore_channel_error: bool
    heartbeat: float
    max_time: float
    max_elements: int | None
    max_envelope_size: int
    retry_interval: float
    retry_total: int
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class EnumerateResponse:
    """The offers, complete: an empty context and w:EndOfSequence ([DSP0226] R8.2.3-5).

    *message_ids* are fresh ``uuid:`` ids, one for each offer's inner Subscribe.
    """

    offers: Sequence[Offer]
    message_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ack:
    """The batch, heartbeat or end is taken; the source may forget it."""


@dataclass(frozen=True, slots=True)
class NoContent:
    """HTTP 204 without a body: the answer to End."""


@dataclass(frozen=True, slots=True)
class IdentifyResponse:
    """*profiles* only for authenticated callers; *vendor* and *version* are ours."""

    vendor: str
    version: str
    profiles: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ResourceResponse:
    """The answer to a ``ResourceRequest``: *items* are XML texts that stand alone, one for Get, none for Release.

    *context* asks for more of an enumeration, None: that was all. Not *optimized* the first answer has no items.
    """

    verb: Verb
    items: Sequence[str] = ()
    context: str | None = None
    optimized: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of protocol.md 8.2: *name* is prefix and subcode there (``w:DeliveryRefused``).

    *detail* is a FaultDetail name, *text* replaces the standard reason when we can say more,
    *extra* is the text of the detail element that some faults carry (the action for
    ``a:ActionNotSupported``), *header* is (namespace, name) for ``s:MustUnderstand``.
    """

    name: str
    detail: str | None = None
    text: str | None = None
    extra: str | None = None
    header: tuple[str, str] | None = None


Reply = EnumerateResponse | Ack | NoContent | IdentifyResponse | ResourceResponse | Fault
