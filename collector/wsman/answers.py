"""What a source answers, as values: the other half of ``calls``.

Tolerant of every real peer and of none that lies: any prefix, a PullResponse without n:Items, events as elements or as
text, openwsman's event directly below, codes in all three shapes of a WSManFault; but an answer to something else is
refused. What an answer means for the conversation is decided by whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from collector.kernel.letters import Letters
from collector.wsman import names
from collector.wsman.answer_pieces import (
    CONTEXT,
    END_OF_SEQUENCE,
    ITEMS,
    PULL_RESPONSE,
    cut_of,
    open_answer,
    sliced,
)
from collector.wsman.duration import seconds
from collector.wsman.familiar_answers import Reader, Said
from collector.wsman.header import BOOKMARK, EnvelopeError
from collector.wsman.messages import IdentifyResponse
from collector.wsman.pieces import BODY, EVENTS, Opened, bound_namespaces
from collector.wsman.source_fault import FAULT, SourceFault, read_fault
from collector.wsman.xml import BLANKS, ILLEGAL, Element, XmlError, alone

__all__ = [
    "Answer",
    "Enumerated",
    "EnvelopeError",
    "Got",
    "IdentifyResponse",
    "Pulled",
    "Renewed",
    "SourceFault",
    "Subscribed",
    "Unsubscribed",
    "read_answer",
]

LONGEST_CONTEXT = 4096
"""Characters of a context, an address, a version. Windows has 41; a conversation keeps them as long as it lives."""
LONGEST_BOOKMARK = 1 << 18
"""Characters; 256 channels, as many as a query may have, take 30,000."""
SHORT = 1_000_000
"""Characters or bytes of an answer that need no further look: four of them make an element at best."""
MOST_MARKS = 400_000
"""Characters < and = of an answer. Each may become a node of 128 bytes in a parser, here or where an event is read, so
16 MiB of "<a/>" would be half a gigabyte. The 512,000 bytes that we ask for have room for 128,000."""
LONGEST_REFERENCES = 1 << 14
"""Characters of all reference properties together; Windows has 300."""

_ENVELOPE = f"{{{names.SOAP}}}Envelope"
_HEADER = f"{{{names.SOAP}}}Header"
_ACTION = f"{{{names.ADDRESSING}}}Action"
_RELATES_TO = f"{{{names.ADDRESSING}}}RelatesTo"
_REFERENCES = tuple(f"{{{names.ADDRESSING}}}Reference{kind}" for kind in ("Properties", "Parameters"))
_OURS = frozenset([
    # Headers that each request has of its own; a second one would make it ambiguous (R13.1-9).
    *(f"{{{names.WSMAN}}}{name}" for name in ("OperationTimeout", "MaxEnvelopeSize", "Locale", "OptionSet")),
    f"{{{names.MICROSOFT}}}DataLocale",
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscription exists ([MS-WSMV] 3.1.4.6).

    *references* are the manager's reference properties and parameters, each the XML text of one element that stands
    alone: headers of every later request. *expires* is in seconds, None: never, which is also what PT0S means
    (protocol.md 7.1). *context* is the first n:EnumerationContext, None in push modes. *manager* is the manager's
    address.
    """

    references: Sequence[str]
    expires: float | None
    context: str | None
    manager: str


@dataclass(frozen=True, slots=True)
class Pulled:
    """One batch, or nothing: the answer to a Pull, of a subscription or of an enumerated resource.

    *context* goes into the next Pull; None: none was given, the last one stays. *pieces* are the events' XML texts,
    each standing alone, as ``Batch.events`` wants them; *bookmark* as in ``Delivery``; *ended*: there was an
    EndOfSequence; *dropped* is the newest DroppedEvents total; *sliced* tells whether the fast way was taken.
    """

    context: str | None
    pieces: Sequence[str]
    bookmark: str | None
    ended: bool = False
    dropped: int | None = None
    sliced: bool = False


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The subscription is over; what is on its way may still arrive ([DSP0226] R10.4-1)."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The subscription lives *expires* seconds more; None: for ever."""

    expires: float | None


@dataclass(frozen=True, slots=True)
class Got:
    """The resource that was asked for: *document* is the XML of the one element in the body, standing alone."""

    document: str


@dataclass(frozen=True, slots=True)
class Enumerated:
    """The first items of a resource, each an XML text that stands alone.

    Unless *ended*, *context* goes into a Pull for more; its answer is a ``Pulled``.
    """

    items: Sequence[str]
    context: str | None
    ended: bool


Answer = Subscribed | Pulled | Unsubscribed | Renewed | Got | Enumerated | IdentifyResponse | SourceFault


def read_answer(content: str | Letters, relates_to: str | None, *, depth: int = 100, most: int = 50_000) -> Answer:
    """The answer to the request whose MessageID was *relates_to* (None: to Identify).

    *content* is a text or its letters. Raises ``EnvelopeError``: no SOAP, a DOCTYPE, deeper than *depth* elements, an
    answer to another request, one that fits no request, or more than *most* events.
    """
    if len(content) > SHORT:
        _require_few_marks(content if isinstance(content, str) else content.text())
    cut = cut_of(content)
    if cut is not None and relates_to is not None and len(cut[1]) <= most:
        said = _FAMILIAR.said(cut[0], relates_to, depth)
        if said is not None:
            return Pulled(said.context, cut[1], said.bookmark, said.ended, None, True)
    try:
        opened = open_answer(content, cut, depth, most)
    except XmlError as error:
        raise _strange(str(error)) from None
    return _read(opened, relates_to, most)


def _read(opened: Opened, relates_to: str | None, most: int) -> Answer:
    root = opened.root
    body = root.find(BODY)
    if root.tag != _ENVELOPE or body is None:
        raise _strange(f"the root is {str(root.tag)[:200]}; a SOAP 1.2 envelope with a body would be right")
    if len(opened.pieces) > most:
        raise _strange(f"it holds more than {most} events")
    if len(body) > 1:
        raise _strange(f"its body holds {len(body)} elements; one would be right")
    first = body[0] if len(body) else None
    seen = _Seen(opened, root.find(_HEADER), most)
    seen.require_relation(relates_to, fault=first is not None and first.tag == FAULT)
    return _answer(first, seen)


def _require_few_marks(text: str) -> None:
    if text.count("<") + text.count("=") > MOST_MARKS:
        raise _strange(f"it has more than {MOST_MARKS:,} tags and attributes; a source is asked for a fraction of it")
    if text.count("&#") > MOST_MARKS or next(islice(ILLEGAL.finditer(text), MOST_MARKS, None), None) is not None:
        raise _strange(f"it has more than {MOST_MARKS:,} characters that are written by number or are none of XML")


class _Seen:
    """The envelope around an answer: what of its header matters to a client."""

    def __init__(self, opened: Opened, header: Element | None, most: int) -> None:
        self.opened = opened
        self.clean = opened.clean
        self.most = most
        self.action = ""
        self.relates_to: list[str] = []
        self.bookmark: str | None = None
        for child in header if header is not None else ():
            if child.tag == _ACTION:
                self.action = self.action or (child.text or "").strip(BLANKS)
            elif child.tag == _RELATES_TO:
                self.relates_to.append((child.text or "").strip(BLANKS))
            elif child.tag == BOOKMARK:
                if self.bookmark is not None:
                    raise _strange("its header holds a w:Bookmark twice")
                self.bookmark = self._bookmark(child)

    def _bookmark(self, element: Element) -> str | None:
        """The one element inside w:Bookmark, or its text (R10.2.6-2)."""
        text = self.clean(alone(element[0]) if len(element) else (element.text or "").strip(BLANKS))
        if len(text) > LONGEST_BOOKMARK:
            raise _strange(f"its bookmark has {len(text)} characters, at most {LONGEST_BOOKMARK} are taken")
        return text or None

    def require_relation(self, message_id: str | None, *, fault: bool) -> None:
        """Refuse what answers another request ([DSP0226] R5.4.4-3, case and all).

        A fault may leave it out: a source that could not read the request knows no id, and a fault moves nothing.
        """
        if message_id is None or (fault and not self.relates_to):
            return
        if not self.relates_to:
            raise _strange(f"it has no a:RelatesTo; {message_id} would be right")
        if any(related != message_id for related in self.relates_to):
            raise _strange(f"it relates to {self.relates_to[0][:100]}, the request was {message_id}")

    def text(self, element: Element | None) -> str:
        """What stands in *element*, "" when there is none."""
        return self.clean((element.text or "").strip(BLANKS)) if element is not None else ""


def _strange(sentence: str) -> EnvelopeError:
    return EnvelopeError(f"the answer is none that can be believed: {sentence}", fault=None)


def _answer(first: Element | None, seen: _Seen) -> Answer:
    """By what is in the body rather than the action: openwsman gives that of the event (protocol.md 15.1)."""
    if first is None:
        if seen.action == names.UNSUBSCRIBE_RESPONSE:
            return Unsubscribed()
        if seen.action == names.HEARTBEAT:
            return Pulled(None, (), seen.bookmark)
        raise _strange(f'the action "{seen.action[:200]}" with an empty body answers nothing that we ask')
    if seen.action == names.GET_RESPONSE:
        return Got(seen.clean(alone(first)))
    tag = str(first.tag)
    read = _BODIES.get(tag)
    if read is None or _ACTIONS.get(seen.action, tag) != tag:
        raise _strange(f'the action "{seen.action[:200]}" with {tag[:200]} answers nothing that we ask')
    return read(first, seen)


def _subscribed(body: Element, seen: _Seen) -> Answer:
    manager = body.find(f"{{{names.EVENTING}}}SubscriptionManager")
    address = manager.find(f"{{{names.ADDRESSING}}}Address") if manager is not None else None
    return Subscribed(
        tuple(_references(manager, seen)) if manager is not None else (),
        _expires(body, seen),
        _context(body, seen),
        seen.text(address)[:LONGEST_CONTEXT],
    )


def _references(manager: Element, seen: _Seen) -> Iterator[str]:
    """All that shall come back as headers; those of SOAP and WS-Addressing are ours to write, whoever asks for them."""
    size = 0
    for holder in manager:
        if holder.tag not in _REFERENCES:
            continue
        bound_namespaces(holder, len(holder))
        for child in holder:
            if str(child.tag).startswith((f"{{{names.SOAP}}}", f"{{{names.ADDRESSING}}}")) or child.tag in _OURS:
                continue
            reference = seen.clean(alone(child))
            size += len(reference)
            if size > LONGEST_REFERENCES:
                raise _strange(f"its reference properties have more than {LONGEST_REFERENCES} characters")
            yield reference


def _pulled(body: Element, seen: _Seen) -> Answer:
    opened = seen.opened
    return Pulled(_context(body, seen), opened.pieces, seen.bookmark, _ended(body), opened.dropped, opened.sliced)


def _beaten(body: Element, seen: _Seen) -> Answer:
    """A heartbeat may be the result of a Pull (R10.2.5-1); it says nothing about the context."""
    if seen.action != names.HEARTBEAT or len(body):
        raise _strange("it is an Events message, which nobody pulls")
    return Pulled(None, (), seen.bookmark)


def _enumerated(body: Element, seen: _Seen) -> Answer:
    items: list[str] = []
    for holder in body:
        if holder.tag in ITEMS:
            bound_namespaces(holder, len(holder))
            if len(items) + len(holder) > seen.most:
                raise _strange(f"it holds more than {seen.most} items")
            items += [seen.clean(alone(item)) for item in holder]
    return Enumerated(items, _context(body, seen), _ended(body))


def _renewed(body: Element, seen: _Seen) -> Answer:
    return Renewed(_expires(body, seen))


def _unsubscribed(body: Element, seen: _Seen) -> Answer:
    return Unsubscribed()


def _identified(body: Element, seen: _Seen) -> Answer:
    def texts(name: str) -> list[str]:
        return [seen.text(found)[:LONGEST_CONTEXT] for found in islice(body.iter(f"{{{names.IDENTITY}}}{name}"), 100)]

    profiles = [profile.removeprefix(names.SECURITY_PROFILE) for profile in texts("SecurityProfileName")]
    return IdentifyResponse("".join(texts("ProductVendor")[:1]), "".join(texts("ProductVersion")[:1]), tuple(profiles))


def _fault(body: Element, seen: _Seen) -> Answer:
    return read_fault(body, seen.clean)


def _context(body: Element, seen: _Seen) -> str | None:
    element = body.find(CONTEXT)
    if element is None:
        return None
    if len(element):
        raise _strange("its n:EnumerationContext holds elements; a text would be right")
    context = seen.text(element)
    if len(context) > LONGEST_CONTEXT:
        raise _strange(f"its n:EnumerationContext has {len(context)} characters, at most {LONGEST_CONTEXT} are taken")
    return context or None


def _ended(body: Element) -> bool:
    return any(child.tag in END_OF_SEQUENCE for child in body)


def _expires(body: Element, seen: _Seen) -> float | None:
    """e:Expires in seconds. Nothing, PT0S, and durations longer than a life are for ever; so is a point in time.

    For that a clock would be needed, Windows gives durations, and a subscription that ended says so with a fault.
    """
    return seconds(seen.text(body.find(f"{{{names.EVENTING}}}Expires"))) or None


_BODIES: Mapping[str, Callable[[Element, _Seen], Answer]] = {
    f"{{{names.EVENTING}}}SubscribeResponse": _subscribed,
    f"{{{names.EVENTING}}}RenewResponse": _renewed,
    f"{{{names.EVENTING}}}UnsubscribeResponse": _unsubscribed,
    f"{{{names.ENUMERATION}}}EnumerateResponse": _enumerated,
    PULL_RESPONSE: _pulled,
    EVENTS: _beaten,
    f"{{{names.IDENTITY}}}IdentifyResponse": _identified,
    FAULT: _fault,
}
_ACTIONS: Mapping[str, str] = {
    names.SUBSCRIBE_RESPONSE: f"{{{names.EVENTING}}}SubscribeResponse",
    names.RENEW_RESPONSE: f"{{{names.EVENTING}}}RenewResponse",
    names.UNSUBSCRIBE_RESPONSE: f"{{{names.EVENTING}}}UnsubscribeResponse",
    names.ENUMERATE_RESPONSE: f"{{{names.ENUMERATION}}}EnumerateResponse",
    names.PULL_RESPONSE: PULL_RESPONSE,
    names.HEARTBEAT: EVENTS,
    **dict.fromkeys(
        [
            names.FAULT_WSMAN,
            names.FAULT_ADDRESSING,
            names.FAULT_EVENTING,
            names.FAULT_ENUMERATION,
            names.FAULT_TRANSFER,
        ],
        FAULT,
    ),
}
"""What an action that is one of these must have in its body."""


def _framed(rest: str, relates_to: str, depth: int) -> Said | None:
    """What an answer says from which events were cut out, read the general way."""
    opened = sliced(rest, (), depth)
    try:
        answer = _read(opened, relates_to, 0) if opened is not None else None
    except EnvelopeError:
        return None
    return Said(answer.context, answer.bookmark, answer.ended) if isinstance(answer, Pulled) else None


_FAMILIAR = Reader(_framed)
