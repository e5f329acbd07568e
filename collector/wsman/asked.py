"""What a collector asks of a source, as values: the source's side, for the simulator and the tests.

As strict as Windows, so that mistakes of ours are found here: what is wrong is raised as ``CallRefused`` with the
fault, the code and the text to answer. Which subscriptions exist is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.wsman import names
from collector.wsman.asked_subscribe import Delivering, Subscribe, expires, read_subscribe
from collector.wsman.faults import MUST_UNDERSTAND
from collector.wsman.header import REQUIRED, EnvelopeError, read_header, require_message_id
from collector.wsman.messages import Fault, Header, Identify
from collector.wsman.pieces import BODY, open_envelope
from collector.wsman.refusing import FEATURE, INVALID_XML, SCHEMA, Asked, CallRefused, refused
from collector.wsman.xml import Element, XmlError

__all__ = [
    "Call",
    "CallRefused",
    "Delivering",
    "EnumerateResource",
    "EnvelopeError",
    "Get",
    "GetStatus",
    "Identify",
    "Pull",
    "PullResource",
    "Renew",
    "Subscribe",
    "UnknownCall",
    "Unsubscribe",
    "read_call",
]

SMALLEST_ENVELOPE = 8192
"""Bytes; below it nothing can be answered (protocol.md 5.4)."""


@dataclass(frozen=True, slots=True)
class Pull:
    """The next events of the subscription whose *context* it is; *max_elements* is 1 when not said (R8.4-9)."""

    header: Header
    context: str
    max_elements: int
    options: Sequence[tuple[str, str | None]] = ()


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The end of the subscription ``header.identifier``."""

    header: Header
    options: Sequence[tuple[str, str | None]] = ()


@dataclass(frozen=True, slots=True)
class Renew:
    """*expires* in seconds, None: not said."""

    header: Header
    expires: float | None


@dataclass(frozen=True, slots=True)
class GetStatus:
    """How long the subscription ``header.identifier`` lives; not recommended (R10.3-1)."""

    header: Header


@dataclass(frozen=True, slots=True)
class Get:
    """WS-Transfer Get of ``header.resource_uri``."""

    header: Header
    selectors: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class EnumerateResource:
    """Enumerate of ``header.resource_uri``; *optimized*: items may come with the answer, at most *max_elements*."""

    header: Header
    optimized: bool
    max_elements: int
    selectors: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class PullResource:
    """More of an enumeration of ``header.resource_uri``."""

    header: Header
    context: str
    max_elements: int


@dataclass(frozen=True, slots=True)
class UnknownCall:
    """A well-formed request for something else; ``header`` says for what."""

    header: Header


Call = (
    Subscribe | Pull | Unsubscribe | Renew | GetStatus | Get | EnumerateResource | PullResource | Identify | UnknownCall
)


def read_call(text: str, *, depth: int = 100) -> Call:
    """The call that *text* is. Raises ``CallRefused`` (an ``EnvelopeError``)."""
    try:
        return _read(text, depth)
    except CallRefused:
        raise
    except EnvelopeError as error:
        raise CallRefused(str(error), fault=error.fault, relates_to=error.relates_to) from None


def _read(text: str, depth: int) -> Call:
    try:
        opened = open_envelope(text, None, depth)
    except XmlError as error:
        fault = Fault(SCHEMA) if names.SOAP in text[:16384] else None
        raise CallRefused(str(error), fault=fault, code=INVALID_XML) from None
    root = opened.root
    body = root.find(BODY)
    if root.tag != f"{{{names.SOAP}}}Envelope" or body is None:
        raise CallRefused(f"the root is {str(root.tag)[:200]}; a SOAP 1.2 envelope would be right", fault=None)
    first = body[0] if len(body) else None
    if first is not None and first.tag == f"{{{names.IDENTITY}}}Identify":
        return Identify()
    element = root.find(f"{{{names.SOAP}}}Header")
    header, _ = read_header(element, opened.clean)
    require_message_id(header, element)
    _require_understood(header, element)
    if len(body) > 1:
        raise refused(header, SCHEMA, f"the body holds {len(body)} elements; one would be right")
    read = _ACTIONS.get(header.action)
    if read is None:
        return UnknownCall(header)
    name, needs_resource, reading = read
    if name is not None and (first is None or first.tag != name):
        raise refused(header, _INVALID.get(header.action, SCHEMA), f"{name} is not in the body")
    if needs_resource and not header.resource_uri:
        raise refused(
            header, "a:DestinationUnreachable", "w:ResourceURI is missing", "InvalidResourceURI", code=2150858811
        )
    return reading(Asked(header, element, first if first is not None else root, opened))


def _require_understood(header: Header, element: Element | None) -> None:
    """The header as Windows wants it (protocol.md 5.4)."""
    if header.not_understood:
        raise CallRefused(
            f"the header {header.not_understood[0][1]} must be understood and is not known",
            fault=Fault(MUST_UNDERSTAND, header=header.not_understood[0]),
            relates_to=header.message_id,
        )
    for name, value in (("a:Action", header.action), ("a:To", header.to), ("a:ReplyTo", header.reply_to)):
        if not value:
            raise refused(header, REQUIRED, f"{name} is missing")
    if header.reply_to != names.ANONYMOUS:
        raise refused(header, FEATURE, f"a:ReplyTo is {header.reply_to[:200]}, not anonymous", "AddressingMode")
    if header.max_envelope_size is not None and header.max_envelope_size < SMALLEST_ENVELOPE:
        raise refused(header, "w:EncodingLimit", f"w:MaxEnvelopeSize is below {SMALLEST_ENVELOPE}", "MaxEnvelopeSize")
    for locale in (f"{{{names.WSMAN}}}Locale", f"{{{names.MICROSOFT}}}DataLocale"):
        found = element.find(locale) if element is not None else None
        if found is not None and (found.get(f"{{{names.SOAP}}}mustUnderstand") or "") in ("true", "1"):
            raise refused(header, FEATURE, "a locale must not be mustUnderstand", "Locale")


def _pull(asked: Asked) -> Call:
    context = asked.text(f"{{{names.ENUMERATION}}}EnumerationContext")
    if not context:
        raise refused(asked.header, "n:InvalidEnumerationContext", "n:EnumerationContext is missing or empty")
    most = asked.number(f"{{{names.ENUMERATION}}}MaxElements")
    if most == 0:
        raise refused(asked.header, SCHEMA, "n:MaxElements is 0; a positive number would be right")
    if asked.header.resource_uri != names.EVENT_LOG:
        return PullResource(asked.header, context, most or 1)
    return Pull(asked.header, context, most or 1, asked.options())


def _enumerate(asked: Asked) -> Call:
    optimized = asked.body.find(f"{{{names.WSMAN}}}OptimizeEnumeration") is not None
    most = asked.number(f"{{{names.WSMAN}}}MaxElements")
    return EnumerateResource(asked.header, optimized, most or 1, asked.selectors())


_ACTIONS: Mapping[str, tuple[str | None, bool, Callable[[Asked], Call]]] = {
    # what must be in the body, whether a resource must be named, and who reads it
    names.SUBSCRIBE: (f"{{{names.EVENTING}}}Subscribe", True, read_subscribe),
    names.PULL: (f"{{{names.ENUMERATION}}}Pull", True, _pull),
    names.UNSUBSCRIBE: (
        f"{{{names.EVENTING}}}Unsubscribe",
        False,
        lambda asked: Unsubscribe(asked.header, asked.options()),
    ),
    names.RENEW: (
        f"{{{names.EVENTING}}}Renew",
        False,
        lambda asked: Renew(asked.header, expires(asked)),
    ),
    names.GET_STATUS: (f"{{{names.EVENTING}}}GetStatus", False, lambda asked: GetStatus(asked.header)),
    names.GET: (None, True, lambda asked: Get(asked.header, asked.selectors())),
    names.ENUMERATE: (f"{{{names.ENUMERATION}}}Enumerate", True, _enumerate),
}
_INVALID = dict.fromkeys([names.SUBSCRIBE, names.UNSUBSCRIBE, names.RENEW, names.GET_STATUS], "e:InvalidMessage")
