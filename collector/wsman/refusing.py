"""A call that cannot be meant: what is raised, with the fault and the code that Windows would answer.

And the view on a call's envelope out of which that is said. Which call is which is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.wsman import sets
from collector.wsman.duration import seconds
from collector.wsman.faults import MUST_UNDERSTAND
from collector.wsman.header import EnvelopeError
from collector.wsman.messages import Fault, Header
from collector.wsman.pieces import Opened
from collector.wsman.xml import BLANKS, Element

SCHEMA = "w:SchemaValidationError"
FEATURE = "w:UnsupportedFeature"
INVALID_XML = 2150858819

CODES: Mapping[str, int] = {
    # protocol.md 9.2: the code of a f:WSManFault that has nothing more precise to say than the subcode
    "a:ActionNotSupported": 2150858771,
    "a:DestinationUnreachable": 2150858770,
    "a:EndpointUnavailable": 2150858772,
    "a:InvalidMessageInformationHeader": 2150858767,
    "a:MessageInformationHeaderRequired": 2150858769,
    "e:DeliveryModeRequestedUnavailable": 2150858782,
    "e:EventSourceUnableToProcess": 2150858787,
    "e:FilteringRequestedUnavailable": 2150858786,
    "e:InvalidExpirationTime": 2150858783,
    "e:InvalidMessage": 2150858789,
    "e:UnableToRenew": 2150858788,
    "e:UnsupportedExpirationType": 2150858784,
    "n:InvalidEnumerationContext": 2150858779,
    "w:AccessDenied": 5,
    "w:CannotProcessFilter": 2150859042,
    "w:Concurrency": 2150858802,
    "w:EncodingLimit": 2150858805,
    "w:InvalidBookmark": 2150858808,
    "w:InvalidOptions": 2150858809,
    "w:InvalidParameter": 2150858810,
    "w:InvalidSelectors": 2150858813,
    "w:QuotaLimit": 2150858815,
    "w:TimedOut": 2150858793,
    FEATURE: 2150858818,
    SCHEMA: 2150858817,
    MUST_UNDERSTAND: 2150858768,
}


class CallRefused(EnvelopeError):
    """A call that gets *fault* (None: a bare 400) with the WSManFault *code*; ``write_refusal`` spells it."""

    def __init__(
        self, message: str, *, fault: Fault | None, code: int | None = None, relates_to: str | None = None
    ) -> None:
        super().__init__(message, fault=fault, relates_to=relates_to)
        self.code = code if code is not None else CODES.get(fault.name, 0) if fault is not None else 0


def refused(
    header: Header, name: str, sentence: str, detail: str | None = None, *, code: int | None = None
) -> CallRefused:
    """The refusal of the call with *header*: fault *name*, FaultDetail *detail*."""
    return CallRefused(
        sentence, fault=Fault(name, detail, sentence), code=code, relates_to=header.message_id[:2048] or None
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """A call's envelope: what was read of its header, the header itself, the one element in its body."""

    header: Header
    element: Element | None
    body: Element
    opened: Opened

    def options(self) -> tuple[tuple[str, str | None], ...]:
        """The w:OptionSet."""
        return sets.options(self.element, self.opened.clean)

    def selectors(self) -> tuple[tuple[str, str], ...]:
        """The w:SelectorSet."""
        return sets.selectors(self.element, self.opened.clean)

    def text(self, tag: str) -> str | None:
        """What stands in the child *tag* of the body, None when there is none."""
        child = self.body.find(tag)
        return self.opened.clean((child.text or "").strip(BLANKS)) if child is not None else None

    def number(self, tag: str) -> int | None:
        """The child *tag* as a number. Raises ``CallRefused``."""
        text = self.text(tag)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise refused(self.header, SCHEMA, f'{_local(tag)} is "{text[:40]}"; a number would be right')
        return int(text)

    def seconds(self, tag: str) -> float | None:
        """The child *tag*, a duration. Raises ``CallRefused``."""
        text = self.text(tag)
        amount = seconds(text) if text is not None else None
        if text is not None and amount is None:
            raise refused(self.header, SCHEMA, f'{_local(tag)} is "{text[:40]}"; a duration would be right')
        return amount


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
