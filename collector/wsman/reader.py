"""Text becomes a ``Message``: the one place where actions are compared as strings.

What is wrong with a message is raised as ``EnvelopeError`` with the fault to answer. What
a source may ask for, and whether a subscription exists, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from collector.kernel.letters import Letters
from collector.wsman import names
from collector.wsman.familiar import Reader
from collector.wsman.header import INVALID, LONGEST_ID, REQUIRED, EnvelopeError, read_header, require_message_id
from collector.wsman.messages import (
    Delivery,
    End,
    Enumerate,
    Fault,
    Header,
    Heartbeat,
    Identify,
    Message,
    SubscriptionEnd,
    Unsupported,
)
from collector.wsman.pieces import ALL, BODY, EVENTS, Cut, Opened, open_envelope, sliced, slices
from collector.wsman.resources import of_config, read_resource
from collector.wsman.xml import BLANKS, Element, XmlError, alone

__all__ = ["EnvelopeError", "read_envelope"]

_ENVELOPE = f"{{{names.SOAP}}}Envelope"
_HEADER = f"{{{names.SOAP}}}Header"
_IDENTIFY = f"{{{names.IDENTITY}}}Identify"
_SUBSCRIPTION_END = f"{{{names.EVENTING}}}SubscriptionEnd"
_WSMAN_FAULT = f"{{{names.WSMAN_FAULT}}}WSManFault"

_SCHEMA = "w:SchemaValidationError"
_PROLOGUE = 16384
"""Characters in which the namespace and the MessageID of an unreadable message are looked for; headers have 2,000."""
_MESSAGE_ID = re.compile(rf"<(?:[\w.-]{{1,100}}:)?MessageID(?:\s[^<>]*)?>([^<>&]{{1,{LONGEST_ID}}})</")


def read_envelope(content: str | Letters, *, depth: int = 100, most: int = ALL) -> Message:
    """The message that *content* is, a text or its letters. Nested deeper than *depth* elements it is refused.

    A ``Delivery`` with more than *most* pieces is incomplete, too large, and must not be acknowledged.
    Raises ``EnvelopeError``. A broken event never does: it is delivered as what it is.
    """
    cut = sliced(content)
    if cut is not None and len(cut[1]):
        try:
            delivery = _FAMILIAR.delivery(*cut, depth)
        except EnvelopeError:
            delivery = None  # what is wrong is told in the message's own words
        if delivery is not None:
            return delivery
    return _read(content if isinstance(content, str) else content.text(), cut, depth, most)


def _read(text: str, cut: Cut | None, depth: int, most: int) -> Message:
    """The general way; *cut* is what ``sliced`` made of *text*."""
    try:
        opened = open_envelope(text, cut, depth, most)
    except XmlError as error:
        raise _unreadable(text, error) from None
    root = opened.root
    if root.tag != _ENVELOPE:
        raise EnvelopeError(f"the root is {str(root.tag)[:200]}; a SOAP 1.2 envelope would be right", fault=None)
    body = root.find(BODY)
    first = body[0] if body is not None and len(body) else None
    if first is not None and first.tag == _IDENTIFY:
        return Identify()  # it has no WS-Addressing header, and what there is does not matter (R11-2, R11-3)
    element = root.find(_HEADER)
    header, bookmark = read_header(element, opened.clean)
    if body is None:
        raise _refused("the envelope has no s:Body", header)
    if not header.action:
        present = element is not None and element.find(f"{{{names.ADDRESSING}}}Action") is not None
        raise EnvelopeError(
            f"a:Action is {'empty' if present else 'missing'}",
            fault=Fault(INVALID if present else REQUIRED),
            relates_to=header.message_id[:LONGEST_ID] or None,
        )
    if header.action in _OF_RESOURCES and of_config(header.resource_uri) is not None:
        return read_resource(header, element, first, opened)
    if header.action in _NEED_AN_ID:
        require_message_id(header, element)
    read = _ACTIONS.get(header.action)
    return Unsupported(header) if read is None else read(header, first, opened, bookmark)


def _unreadable(text: str, error: XmlError) -> EnvelopeError:
    """A fault when the far end evidently speaks SOAP 1.2, a bare 400 otherwise."""
    prologue = text[:_PROLOGUE]
    if names.SOAP not in prologue:
        return EnvelopeError(f"there is no SOAP 1.2 envelope: {error}", fault=None)
    message_id = _MESSAGE_ID.search(prologue)
    return EnvelopeError(
        str(error), fault=Fault(_SCHEMA), relates_to=message_id.group(1).strip(BLANKS) or None if message_id else None
    )


def _refused(sentence: str, header: Header) -> EnvelopeError:
    return EnvelopeError(sentence, fault=Fault(_SCHEMA), relates_to=header.message_id[:LONGEST_ID] or None)


_Read = Callable[[Header, Element | None, Opened, Element | None], Message]


def _enumerate(header: Header, body: Element | None, opened: Opened, bookmark: Element | None) -> Message:
    if body is None or body.tag != f"{{{names.ENUMERATION}}}Enumerate":
        raise _refused("an Enumerate needs n:Enumerate in its body", header)
    said = body.findtext(f"{{{names.WSMAN}}}MaxElements") or body.findtext(f"{{{names.ENUMERATION}}}MaxElements")
    if said is None:
        return Enumerate(header, None)
    said = said.strip(BLANKS)
    if not (said.isascii() and said.isdigit() and 0 < len(said) < 19):
        raise _refused(f'w:MaxElements is "{said[:40]}"; a number would be right', header)
    return Enumerate(header, int(said))


def _heartbeat(header: Header, body: Element | None, opened: Opened, bookmark: Element | None) -> Message:
    if opened.pieces or opened.dropped is not None:  # R10.2.5-4 says alone; were it not, nothing may get lost
        return _delivery(header, body, opened, bookmark)
    return Heartbeat(header)


def _delivery(header: Header, body: Element | None, opened: Opened, bookmark: Element | None) -> Message:
    if body is not None and (body.tag != EVENTS or body.getnext() is not None):
        raise _refused("an Events message needs one w:Events, and nothing else, in its body", header)
    return Delivery(header, opened.pieces, _bookmark(bookmark, opened), opened.dropped, opened.sliced)


def _bookmark(element: Element | None, opened: Opened) -> str | None:
    """The one element inside w:Bookmark, or its text (R10.2.6-2)."""
    if element is None:
        return None
    if len(element):
        return opened.clean(alone(element[0]))
    return opened.clean((element.text or "").strip(BLANKS)) or None


def _subscription_end(header: Header, body: Element | None, opened: Opened, bookmark: Element | None) -> Message:
    if body is None or body.tag != _SUBSCRIPTION_END:
        raise _refused("a SubscriptionEnd needs e:SubscriptionEnd in its body", header)
    status = (body.findtext(f"{{{names.EVENTING}}}Status") or "").strip(BLANKS).rpartition("/")[2]
    code, text = diagnosis(body)
    return SubscriptionEnd(header, opened.clean(status), code, opened.clean(text))


def diagnosis(element: Element) -> tuple[int | None, str]:
    """Code and message of the f:WSManFault below *element*; of nested ones the innermost, which says most.

    Without one, the text of e:Reason. White space is folded.
    """
    faults = list(element.iter(_WSMAN_FAULT))
    if not faults:
        return None, " ".join((element.findtext(f"{{{names.EVENTING}}}Reason") or "").split())
    innermost = faults[-1]
    code = (innermost.get("Code") or "").strip(BLANKS)
    text = " ".join("".join(str(part) for part in innermost.itertext()).split())
    return int(code) if code.isascii() and code.isdigit() and len(code) < 19 else None, text


def _end(header: Header, body: Element | None, opened: Opened, bookmark: Element | None) -> Message:
    return End(header)


_ACTIONS: Mapping[str, _Read] = {
    names.ENUMERATE: _enumerate,
    names.HEARTBEAT: _heartbeat,
    names.EVENTS: _delivery,
    names.SUBSCRIPTION_END: _subscription_end,
    names.END: _end,
}
_OF_RESOURCES = frozenset([names.GET, names.ENUMERATE, names.PULL, names.RELEASE])
_NEED_AN_ID = frozenset([names.ENUMERATE, names.HEARTBEAT, names.EVENTS])
_FAMILIAR = Reader(lambda text, depth: _read(text, slices(text), depth, ALL))
