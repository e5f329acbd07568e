"""The faults of a pretend Windows source: name, code and the words that Windows has for it.

Names and codes are of protocol.md 8.2 and 9.2, the words of captured faults where there is one. When one is due is
decided by the host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from collector.wsman.answering import QUOTA_CODE

FORWARDER = ("Event Forwarding Plugin", r"%systemroot%\system32\wevtfwd.dll")
_SORRY = "The WS-Management service cannot process the request. "


@dataclass(frozen=True, slots=True)
class Refusal:
    """A fault to be answered: *name* with our prefixes, *code* and *text* of the WSManFault, *reason* if it differs.

    *detail* is a FaultDetail name, *provider* (name, path) who says so inside the service.
    """

    name: str
    code: int
    text: str
    detail: str | None = None
    reason: str | None = None
    provider: tuple[str, str] | None = None


RESOURCE = Refusal(
    "a:DestinationUnreachable",
    2150858752,
    _SORRY + "The service cannot find the resource identified by the resource URI and selectors. ",
    "InvalidResourceURI",
)
ACTION = Refusal("a:ActionNotSupported", 2150858771, "The action is not supported by the service. ", "ActionMismatch")
SELECTORS = Refusal(
    "w:InvalidSelectors",
    2150858813,
    _SORRY + "The request contained invalid selectors for the resource. ",
    "UnexpectedSelectors",
)
DENIED = Refusal("w:AccessDenied", 5, "Access is denied. ")
CONTEXT = Refusal("n:InvalidEnumerationContext", 2150858779, _SORRY + "The supplied enumeration context is invalid. ")
CLOSED = Refusal("w:InternalError", 2150858760, _SORRY + "The subscription is closed. ")
SILENT = Refusal(
    "w:InternalError",
    2150858762,
    _SORRY + "The subscription is closed because the client did not call the pull operation within the heartbeat"
    " interval. ",
)
IN_PROGRESS = Refusal("w:Concurrency", 2150858758, _SORRY + "A pull operation is already in progress. ")
TIMED_OUT = Refusal(
    "w:TimedOut",
    2150858793,
    "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  ",
)
UNABLE_TO_RENEW = Refusal("e:UnableToRenew", 2150858788, "The subscription could not be renewed. ")
NO_SUBSCRIPTION = Refusal("e:InvalidMessage", 2150858789, _SORRY + "There is no such subscription. ")
MODE = Refusal(
    "e:DeliveryModeRequestedUnavailable", 2150858782, "The requested delivery mode is not supported by the service. "
)
FILTER = Refusal(
    "w:CannotProcessFilter",
    2150859042,
    "The data source could not process the filter. The filter might be missing or it might be invalid. Change the"
    " filter and try the request again. ",
)
BOOKMARK = Refusal(
    "w:InvalidBookmark", 2150858808, "The bookmark supplied with the subscription is not valid. ", "InvalidFormat"
)
UNUSABLE_ADDRESS = Refusal(
    "e:EventSourceUnableToProcess",
    2150858901,
    "The event source cannot process the subscription: the connectivity test to the address in NotifyTo has failed. ",
    "UnusableAddress",
)
ENVELOPE = Refusal(
    "w:EncodingLimit",
    2150858824,
    _SORRY + "The computed response packet size exceeds the maximum envelope size that was requested. ",
    "MaxEnvelopeSize",
)
SMALL_ENVELOPE = replace(ENVELOPE, detail="MinimumEnvelopeLimit")
INTERNAL = Refusal("w:InternalError", 2147942402, "The system cannot find the file specified. ", provider=FORWARDER)
NO_CHANNEL = Refusal(
    "e:EventSourceUnableToProcess", 15007, "The specified channel could not be found. ", provider=FORWARDER
)
LOCKED_CHANNEL = Refusal("e:EventSourceUnableToProcess", 5, "Access is denied. ", provider=FORWARDER)


def quota(allowed: int) -> Refusal:
    """Too many operations of one user, in the words of the captured fault."""
    rest = "Close existing operations for this user, or raise the quota for this user."
    return Refusal(
        "w:InternalError",
        QUOTA_CODE,
        f"{_SORRY}This user is allowed a maximum number of {allowed} concurrent operations, which has been exceeded."
        f" {rest}",
        reason=f"{_SORRY}The maximum number of concurrent operations for this user has been exceeded. {rest}",
    )


BY_MOOD = {
    "quota": quota(15),
    "denied": DENIED,
    "channel": NO_CHANNEL,
    "locked": LOCKED_CHANNEL,
    "timedout": TIMED_OUT,
    "internal": INTERNAL,
    "expired": CONTEXT,
}
"""The moods of ``host_manners`` in which a request is refused instead of being done."""
