"""The faults of the protocol as data: protocol.md 8.2, from [DSP0226] 14.6.

A ``messages.Fault`` names a row; the writer spells it. Which fault fits a situation is
decided by whoever refuses. Reasons are the standard's own short texts, so that a peer
may recognise them; Windows goes by subcode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.wsman import names


@dataclass(frozen=True, slots=True)
class FaultKind:
    """*code* is the SOAP code as written, *action* the whole URI, *extra* the element that holds ``Fault.extra``."""

    code: str
    action: str
    reason: str
    extra: str | None = None


MUST_UNDERSTAND = "s:MustUnderstand"

_W, _A, _E = names.FAULT_WSMAN, names.FAULT_ADDRESSING, names.FAULT_EVENTING
_N, _X = names.FAULT_ENUMERATION, names.FAULT_TRANSFER

FAULTS: Mapping[str, FaultKind] = {
    # prefix and subcode, with the prefixes that Windows writes (names.py)
    "w:AccessDenied": FaultKind("s:Sender", _W, "The sender was not authorized to access the resource."),
    "a:ActionNotSupported": FaultKind("s:Sender", _A, "The action is not supported by the service.", "a:Action"),
    "w:AlreadyExists": FaultKind("s:Sender", _W, "The sender attempted to create a resource that already exists."),
    "n:CannotProcessFilter": FaultKind(
        "s:Sender",
        _N,
        "The requested filter could not be processed.",
        "w:SupportedSelectorName",
    ),
    "w:CannotProcessFilter": FaultKind(
        "s:Sender",
        _W,
        "The requested filter could not be processed.",
        "w:SupportedSelectorName",
    ),
    "w:Concurrency": FaultKind(
        "s:Sender",
        _W,
        "The action could not be completed due to concurrency or locking problems.",
    ),
    "e:DeliveryModeRequestedUnavailable": FaultKind(
        "s:Sender",
        _E,
        "The requested delivery mode is not supported.",
        "e:SupportedDeliveryMode",
    ),
    "w:DeliveryRefused": FaultKind(
        "s:Receiver",
        _W,
        "The receiver refuses to accept delivery of events and requests that the subscription be canceled.",
    ),
    "a:DestinationUnreachable": FaultKind(
        "s:Sender",
        _A,
        "No route can be determined to reach the destination role defined by the WS-Addressing To header.",
    ),
    "w:EncodingLimit": FaultKind(
        "s:Sender",
        _W,
        "An internal encoding limit was exceeded in a request or would be violated if the message was processed.",
    ),
    "a:EndpointUnavailable": FaultKind(
        "s:Receiver",
        _A,
        "The specified endpoint is currently unavailable.",
        "a:RetryAfter",
    ),
    "w:EventDeliverToUnusable": FaultKind(
        "s:Sender",
        _W,
        "The event source cannot process the subscription because it cannot connect to the event delivery"
        " endpoint as requested in the wse:Delivery element.",
    ),
    "e:EventSourceUnableToProcess": FaultKind("s:Receiver", _E, "The event source cannot process the subscription."),
    "n:FilterDialectRequestedUnavailable": FaultKind(
        "s:Sender",
        _N,
        "The requested filtering dialect is not supported.",
        "n:SupportedDialect",
    ),
    "e:FilteringNotSupported": FaultKind("s:Sender", _E, "Filtering over the event source is not supported."),
    "n:FilteringNotSupported": FaultKind("s:Sender", _N, "Filtered enumeration is not supported."),
    "e:FilteringRequestedUnavailable": FaultKind(
        "s:Sender",
        _E,
        "The requested filter dialect is not supported.",
        "e:SupportedDialect",
    ),
    "w:FragmentDialectNotSupported": FaultKind(
        "s:Sender",
        _W,
        "The requested fragment filtering dialect or language is not supported.",
        "w:FragmentDialect",
    ),
    "w:InternalError": FaultKind(
        "s:Receiver",
        _W,
        "The service cannot comply with the request due to internal processing errors.",
    ),
    "w:InvalidBookmark": FaultKind("s:Sender", _W, "The bookmark supplied with the subscription is not valid."),
    "n:InvalidEnumerationContext": FaultKind("s:Receiver", _N, "The supplied enumeration context is invalid."),
    "e:InvalidExpirationTime": FaultKind("s:Sender", _E, "The expiration time is not valid."),
    "n:InvalidExpirationTime": FaultKind("s:Sender", _N, "The expiration time is not valid."),
    "e:InvalidMessage": FaultKind(
        "s:Sender",
        _E,
        "The request message has unknown or invalid content and cannot be processed.",
    ),
    "a:InvalidMessageInformationHeader": FaultKind(
        "s:Sender",
        _A,
        "A message information header is not valid and the message cannot be processed.",
    ),
    "w:InvalidOptions": FaultKind("s:Sender", _W, "One or more options are not valid."),
    "w:InvalidParameter": FaultKind("s:Sender", _W, "An operation parameter is not valid."),
    "x:InvalidRepresentation": FaultKind("s:Sender", _X, "The XML content is not valid."),
    "w:InvalidSelectors": FaultKind("s:Sender", _W, "The selectors for the resource are not valid."),
    "a:MessageInformationHeaderRequired": FaultKind("s:Sender", _A, "A required header is missing."),
    "w:NoAck": FaultKind("s:Sender", _W, "The receiver did not acknowledge the event delivery."),
    "w:QuotaLimit": FaultKind("s:Sender", _W, "The service is busy servicing other requests."),
    "w:SchemaValidationError": FaultKind(
        "s:Sender",
        _W,
        "The supplied SOAP violates the corresponding XML schema definition.",
    ),
    "n:TimedOut": FaultKind("s:Receiver", _N, "The enumerator has timed out and is no longer valid."),
    "w:TimedOut": FaultKind("s:Receiver", _W, "The operation has timed out."),
    "e:UnableToRenew": FaultKind("s:Sender", _E, "The subscription could not be renewed."),
    "e:UnsupportedExpirationType": FaultKind("s:Sender", _E, "The specified expiration type is not supported."),
    "n:UnsupportedExpirationType": FaultKind("s:Sender", _N, "The specified expiration type is not supported."),
    "w:UnsupportedFeature": FaultKind("s:Sender", _W, "The specified feature is not supported."),
    # No subcode of its own: the header that was not understood is named in s:NotUnderstood ([DSP0226] 14.3).
    MUST_UNDERSTAND: FaultKind("s:MustUnderstand", _A, "Header not understood"),
}
