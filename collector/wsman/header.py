"""The SOAP header of a request as a ``Header``: names resolved, values trimmed, rules kept.

White space around values is no reason to refuse ([DSP0226] R13.1-10), a prefix is never
compared, and a header that nobody knows matters only when it says that it must. What
follows from the header is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.errors import SourceError
from collector.wsman import names
from collector.wsman.duration import seconds
from collector.wsman.messages import Fault, Header
from collector.wsman.xml import BLANKS, Element

LONGEST_ID = 2048
"""Characters of a MessageID; Windows accepts 2 KB ([MS-WSMV] product note 47)."""

INVALID = "a:InvalidMessageInformationHeader"
REQUIRED = "a:MessageInformationHeaderRequired"


class EnvelopeError(SourceError):
    """A message that gets a fault, or where not even that can be spelled a bare 400.

    *fault* is what to answer, None when the far end does not speak SOAP 1.2; *relates_to*
    is the MessageID it belongs to, None when there was none to be read.
    """

    def __init__(self, message: str, *, fault: Fault | None, relates_to: str | None = None) -> None:
        super().__init__(message, status=400 if fault is None else 500)
        self.fault = fault
        self.relates_to = relates_to


def _name(namespace: str, *local: str) -> list[str]:
    return [f"{{{namespace}}}{name}" for name in local]


_FIELDS: Mapping[str, str] = {
    f"{{{names.ADDRESSING}}}Action": "action",
    f"{{{names.ADDRESSING}}}MessageID": "message_id",
    f"{{{names.ADDRESSING}}}To": "to",
    f"{{{names.WSMAN}}}ResourceURI": "resource_uri",
    f"{{{names.WSMAN}}}OperationTimeout": "operation_timeout",
    f"{{{names.WSMAN}}}MaxEnvelopeSize": "max_envelope_size",
    f"{{{names.MACHINE_ID}}}MachineID": "machine_id",
    f"{{{names.EVENTING}}}Identifier": "identifier",
    f"{{{names.MICROSOFT}}}OperationID": "operation_id",
    "Version": "version",  # our reference parameters come back in no namespace
    "Revision": "revision",
}
_REPLY_TO = f"{{{names.ADDRESSING}}}ReplyTo"
_ADDRESS = f"{{{names.ADDRESSING}}}Address"
_ACK_REQUESTED = f"{{{names.WSMAN}}}AckRequested"
BOOKMARK = f"{{{names.WSMAN}}}Bookmark"
_MUST_UNDERSTAND = f"{{{names.SOAP}}}mustUnderstand"

_UNDERSTOOD = frozenset([
    # Read here, or rightly ignored ([MS-WSMV] 3.1.4.1, [DSP0226] 5 and 6); a:From whatever it says (R5.4.6-2).
    *_FIELDS,
    *_name(names.ADDRESSING, "ReplyTo", "RelatesTo", "FaultTo", "From"),
    *_name(names.WSMAN, "AckRequested", "Bookmark", "Locale", "OptionSet", "SelectorSet"),
    *_name(names.WSMAN, "RequestEPR", "RequestTotalItemsCountEstimate"),
    *_name(names.MICROSOFT, "DataLocale", "SessionId", "SequenceId", "ActivityId"),
])  # fmt: skip

_ONCE = frozenset([
    # The WS-* headers of which a second one makes the message ambiguous ([DSP0226] R13.1-9).
    *(tag for tag, field in _FIELDS.items() if field not in ("machine_id", "operation_id", "version", "revision")),
    _REPLY_TO,
    BOOKMARK,
])  # fmt: skip


def read_header(element: Element | None, clean: Callable[[str], str]) -> tuple[Header, Element | None]:
    """The header and its w:Bookmark element. *clean* is ``Opened.clean``.

    Raises ``EnvelopeError`` for a repeated or unreadable header; whether one is missing
    depends on the message, so that is not asked here.
    """
    texts: dict[str, str] = {}
    reply_to, ack_requested, bookmark = "", False, None
    unknown: list[tuple[str, str]] = []
    seen: set[str] = set()
    twice = ""
    for child in element if element is not None else ():
        tag = str(child.tag)
        if tag in _ONCE:
            if tag in seen:
                twice = twice or tag
                continue
            seen.add(tag)
        field = _FIELDS.get(tag)
        if field is not None:
            texts.setdefault(field, clean((child.text or "").strip(BLANKS)))
        elif tag == _REPLY_TO:
            reply_to = clean((child.findtext(_ADDRESS) or "").strip(BLANKS))
        elif tag == _ACK_REQUESTED:
            ack_requested = True
        elif tag == BOOKMARK:
            bookmark = child
        elif tag not in _UNDERSTOOD and (child.get(_MUST_UNDERSTAND) or "").strip(BLANKS) in ("true", "1"):
            unknown.append(_split(tag))
    message_id = texts.get("message_id", "")
    if twice:
        raise invalid(f"the header holds {_split(twice)[1]} twice", message_id)
    header = Header(
        action=texts.get("action", ""),
        message_id=message_id,
        to=texts.get("to", ""),
        resource_uri=texts.get("resource_uri", ""),
        reply_to=reply_to,
        machine_id=texts.get("machine_id", ""),
        identifier=texts.get("identifier", ""),
        version=texts.get("version", ""),
        revision=texts.get("revision", ""),
        operation_id=texts.get("operation_id", ""),
        operation_timeout=_timeout(texts, message_id),
        max_envelope_size=_size(texts, message_id),
        ack_requested=ack_requested,
        not_understood=tuple(unknown),
    )
    return header, bookmark


def require_message_id(header: Header, element: Element | None) -> None:
    """Refuse a request to whose answer nothing could relate ([MS-WSMV] 3.1.4.1.5)."""
    if not header.message_id:
        present = element is not None and element.find(f"{{{names.ADDRESSING}}}MessageID") is not None
        raise EnvelopeError(
            f"a:MessageID is {'empty' if present else 'missing'}; any text up to {LONGEST_ID} characters would do",
            fault=Fault(INVALID if present else REQUIRED),
        )
    if len(header.message_id) > LONGEST_ID:
        raise EnvelopeError(
            f"a:MessageID has {len(header.message_id)} characters, at most {LONGEST_ID} are taken", fault=Fault(INVALID)
        )


def invalid(sentence: str, message_id: str) -> EnvelopeError:
    """A header that cannot be meant."""
    return EnvelopeError(sentence, fault=Fault(INVALID, text=sentence), relates_to=message_id[:LONGEST_ID] or None)


def _timeout(texts: Mapping[str, str], message_id: str) -> float | None:
    text = texts.get("operation_timeout")
    if text is None:
        return None
    timeout = seconds(text)
    if timeout is None:
        raise invalid(f'w:OperationTimeout is "{text[:60]}"; a duration like PT60.000S would be right', message_id)
    return timeout


def _size(texts: Mapping[str, str], message_id: str) -> int | None:
    text = texts.get("max_envelope_size")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid(f'w:MaxEnvelopeSize is "{text[:60]}"; a number of bytes would be right', message_id)
    return int(text)


def _split(tag: str) -> tuple[str, str]:
    """Namespace and local name of lxml's ``{namespace}name``."""
    namespace, _, name = tag.rpartition("}")
    return namespace[1:], name
