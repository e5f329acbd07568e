"""An Events message taken apart: the envelope, and the events' XML texts, each standing alone.

Three ways, tried in this order. *Sliced*: what Windows sends is cut with ``str.split``
and only the rest of the envelope is parsed. *Parsed*: the whole envelope, characters that
XML cannot hold hidden meanwhile. *Rescued*: when one event makes the envelope unreadable,
the rest is parsed without its events, and each event alone. So one broken event never
fails a batch. The room knows envelopes, and nothing of what an event means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lxml import etree

from collector.kernel.letters import Letters
from collector.wsman import names
from collector.wsman.xml import (
    BLANKS,
    ILLEGAL,
    REPLACEMENT,
    Element,
    XmlError,
    XmlForbidden,
    alone,
    escaped,
    parse,
    quoted,
)

EVENTS = f"{{{names.WSMAN}}}Events"
EVENT = f"{{{names.WSMAN}}}Event"
DROPPED = f"{{{names.WSMAN}}}DroppedEvents"
BODY = f"{{{names.SOAP}}}Body"

ALL = 10**9
"""More pieces than any text holds."""

_OPEN, _CLOSE = "<w:Events>", "</w:Events>"
_HEAD = f'<w:Event Action="{names.EVENT_ITEM}"><![CDATA['
_TAIL = "]]></w:Event>"
_BETWEEN = _TAIL + _HEAD
MARKS = (_OPEN.encode(), _CLOSE.encode(), _HEAD.encode(), _TAIL.encode())
"""What stands around the events, and around each of them, as ``Letters.cut`` is told."""

_MOST_NAMESPACES = 32 << 20
"""Characters of namespaces in scope, times the elements that are taken alone. They are written once more for each of
them, so a long list would make a small message cost minutes; Windows has five, 300 characters."""
_DECLARATION = 32
"""Characters that a namespace is charged for besides its own: short ones cost their number, not their length."""

_SHORT = 1_000_000
"""Characters of an envelope that need no further look: four of them make an element at best."""
_MOST_MARKS = 400_000
"""Characters < and = outside of CDATA. Each may become a node of 128 bytes in the parser, so that 16 MiB of ``<a/>``
would be half a gigabyte. The 512,000 bytes that we offer to take have room for 128,000; events in CDATA, as Windows
sends them, have no part in it."""

_REFERENCE = re.compile(ILLEGAL.pattern + "|&#(?:x[0-9a-fA-F]{1,40}|[0-9]{1,40});")
_START = re.compile(r"<(?:([A-Za-z_][\w.-]{0,100}):)?Events(?:\s[^<>]*)?(?<!/)>")


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope that was taken apart.

    *root* is the s:Envelope, its header texts safe to write into XML again after
    ``clean``. *pieces* are the events, *dropped* the newest DroppedEvents total;
    *sliced* tells whether the fast way was taken.
    """

    root: Element
    pieces: Sequence[str] = ()
    dropped: int | None = None
    sliced: bool = False
    hidden: Hidden | None = None

    def clean(self, text: str) -> str:
        """*text* out of the envelope, with U+FFFD where it held a character that XML cannot hold."""
        return self.hidden.blank(text) if self.hidden else text


Cut = tuple[str, Sequence[str]]
"""An envelope with its w:Events emptied, and the events."""


def open_envelope(text: str, cut: Cut | None, depth: int, most: int = ALL) -> Opened:
    """Take *text* apart the fastest way that is exact; *cut* is what ``sliced`` made of it. Raises ``XmlError``.

    Where each event costs something, no more than *most* and one are taken out: more than *most*
    pieces mean that there are too many, and the message must not be acknowledged.
    """
    if cut is not None:
        _bound_marks(cut[0])
        try:
            root = parse(cut[0], depth=depth)
        except XmlError:
            root = None
        if root is not None and _events(root, empty=True) is not None:
            return Opened(root, cut[1], sliced=True)
    _bound_marks(text)
    hidden = Hidden(text)
    whole = parsed(hidden, depth, lambda: _rescued(hidden, depth, most))
    if isinstance(whole, Opened):
        return whole
    events = _events(whole)
    if events is None:
        return Opened(whole, hidden=hidden)
    bound_namespaces(events, len(events))
    return _collected(whole, events, hidden, most)


def sliced(content: str | Letters) -> Cut | None:
    """``slices`` of an envelope, done by the compiled kernel where that holds its letters."""
    return slices(content) if isinstance(content, str) else content.cut(*MARKS)


def slices(text: str) -> tuple[str, list[str]] | None:
    """The envelope with its w:Events emptied, and the events. None: not the form that Windows sends.

    Exact without a parser: the tags are tags, because nothing in the rest can hide one (no
    comment, CDATA or processing instruction), and each piece is one CDATA section, because
    no piece holds a ``]]>``. That w:Events is where it belongs is for the caller to see.
    """
    start = text.find(_OPEN) + len(_OPEN)
    end = text.rfind(_CLOSE)
    if start < len(_OPEN) or end < start:
        return None
    rest = text[:start] + text[end:]
    if "<!" in rest or "<?" in rest:
        return None
    body = text[start:end]
    if not body:
        return rest, []
    if not body.startswith(_HEAD) or not body.endswith(_TAIL):
        return None
    pieces = body[len(_HEAD) : -len(_TAIL)].split(_BETWEEN)
    # One character is looked for twenty times as fast as two or three, and most pieces hold neither of these.
    if any("]" in piece and "]]>" in piece for piece in pieces):
        return None
    if "\r" in body:  # as an XML parser reads it (XML 1.0, 2.11)
        pieces = [piece.replace("\r\n", "\n").replace("\r", "\n") if "\r" in piece else piece for piece in pieces]
    return rest, pieces


class Hidden:
    """A text whose illegal characters and references are private-use characters that it does not hold otherwise.

    Every distinct spelling gets one of the 131,068 characters of planes 15 and 16, so the
    parser reads the text and ``reveal`` gives back what stood there, to the letter. Were
    they ever used up, U+FFFD takes the place of the rest.
    """

    def __init__(self, text: str) -> None:
        self._revealed: dict[int, str] = {}
        self._blank: dict[int, str] = {}
        self._places: dict[str, str] = {}
        self._free: Iterator[int] | None = None
        self.text = text
        if ILLEGAL.search(text) or "&#" in text:
            self._used = set(text)
            self.text = _REFERENCE.sub(self._hide, text)

    def _hide(self, match: re.Match[str]) -> str:
        spelling = match.group()
        if len(spelling) > 1 and _legal(spelling):
            return spelling
        place = self._places.get(spelling)
        if place is None:
            place = self._place()
            self._places[spelling] = place
            if place != REPLACEMENT:
                self._revealed[ord(place)] = spelling
                self._blank[ord(place)] = REPLACEMENT
        return place

    def _place(self) -> str:
        if self._free is None:
            self._free = (code for plane in (0xF0000, 0x100000) for code in range(plane, plane + 0xFFFE))
        for code in self._free:
            if chr(code) not in self._used:
                return chr(code)
        return REPLACEMENT

    def reveal(self, text: str) -> str:
        """*text*, with what was hidden back in its place."""
        return text.translate(self._revealed) if self._revealed else text

    def blank(self, text: str) -> str:
        """*text*, with U+FFFD where something was hidden."""
        return text.translate(self._blank) if self._blank else text


def _legal(reference: str) -> bool:
    """Whether a numeric character reference names a character that XML may hold."""
    digits = reference[2:-1]
    code = int(digits[1:], 16) if digits[0] == "x" else int(digits)
    return code <= 0x10FFFF and not ILLEGAL.match(chr(code))


def _events(root: Element, *, empty: bool = False) -> Element | None:
    """The w:Events that is the only child of the Body of *root*; with *empty* it must hold nothing."""
    body = root.find(BODY)
    if body is None or len(body) != 1 or body[0].tag != EVENTS:
        return None
    events = body[0]
    return None if empty and (len(events) or events.text) else events


def parsed(hidden: Hidden, depth: int, rescued: Callable[[], Opened | None]) -> Element | Opened:
    """The root of what is *hidden*, or what *rescued* made of it where it cannot be parsed. Raises ``XmlError``."""
    try:
        return parse(hidden.text, depth=depth)
    except XmlForbidden:
        raise
    except XmlError:
        found = rescued()
        if found is None:
            raise
        return found


def _bound_marks(text: str) -> None:
    """Refuse what a parser would make hundreds of megabytes of. Raises ``XmlForbidden``."""
    if len(text) <= _SHORT:
        return
    marks, start = 0, 0
    while start >= 0:
        end = text.find("<![CDATA[", start)
        stop = len(text) if end < 0 else end
        marks += text.count("<", start, stop) + text.count("=", start, stop)
        start = text.find("]]>", end) if end >= 0 else -1
    if marks > _MOST_MARKS:
        raise XmlForbidden(
            f"the envelope has {marks} characters < and = outside of CDATA; at most {_MOST_MARKS} are read"
        )


def bound_namespaces(around: Element, count: int) -> None:
    """Refuse what would cost much more than it weighs. Raises ``XmlForbidden``."""
    size = sum(len(prefix or "") + len(uri) + _DECLARATION for prefix, uri in around.nsmap.items())
    if size * count > _MOST_NAMESPACES:
        raise XmlForbidden(
            f"{size} characters of namespaces are declared around {count} events; a few hundred are usual"
        )


def _collected(root: Element, events: Element, hidden: Hidden, most: int) -> Opened:
    """The events of a parsed w:Events, but no more than *most* and one."""
    pieces: list[str] = []
    dropped: int | None = None
    for item in events:
        if len(pieces) > most:
            break
        total = dropped_total(item)
        if total is None:
            pieces += contents(item, most + 1 - len(pieces)) if item.tag == EVENT else [alone(item)]
        else:
            dropped = max(total, dropped or 0)  # a running total only grows
    return Opened(root, [hidden.reveal(piece) for piece in pieces], dropped, hidden=hidden)


def contents(item: Element, most: int = ALL) -> list[str]:
    """What one w:Event holds: CDATA or escaped text, or child elements, each alone; of these the first *most*.

    Raises ``XmlForbidden`` when they would cost much more than they weigh. Nothing at all is one
    event with an empty text: it was sent, so it is counted, and what reads events will call it
    unreadable. White space around is not part of an event.
    """
    if not len(item):
        return [(item.text or "").strip(BLANKS)]
    if len(item) > 1:
        bound_namespaces(item, min(len(item), most))
    if (item.text or "").strip(BLANKS) or any((child.tail or "").strip(BLANKS) for child in item):
        parts = [escaped(item.text or "")]
        parts += [alone(child) + escaped(child.tail or "") for child in item]
        return ["".join(parts).strip(BLANKS)]
    return [alone(child) for child in islice(item, most)]


def action_of(item: Element) -> str:
    """What a w:Event says it is; openwsman gives the attribute a namespace."""
    return (item.get("Action") or item.get(f"{{{names.WSMAN}}}Action") or "").strip(BLANKS)


def dropped_total(item: Element) -> int | None:
    """The running total of a DroppedEvents marker ([DSP0226] 10.9), in a w:Event or alone; None for anything else."""
    marker = item if item.tag == DROPPED else item.find(DROPPED) if item.tag == EVENT else None
    if marker is None and (item.tag != EVENT or action_of(item) != names.DROPPED_EVENTS):
        return None
    total = (item if marker is None else marker).text or ""
    total = total.strip(BLANKS)
    return int(total) if total.isascii() and total.isdigit() and len(total) < 19 else 0


def _rescued(hidden: Hidden, depth: int, most: int) -> Opened | None:
    """The third way. None: it is not the events that are broken. Raises ``XmlForbidden``."""
    emptied = emptied_of(_START, "Events", hidden.text, depth)
    if emptied is None:
        return None
    root, prefix, body = emptied
    events = _events(root, empty=True)
    if events is None:
        return None
    bound_namespaces(events, body.count(f"</{prefix}Event"))
    whole = each_alone(events, body, prefix, depth)
    return _collected(root, whole, hidden, most)


def emptied_of(start_tag: re.Pattern[str], name: str, text: str, depth: int) -> tuple[Element, str, str] | None:
    """*text* parsed without what is in the element *name*, the prefix of that, and what is in it.

    *start_tag* finds where it begins. None: there is no such element, or the rest is broken too. Raises
    ``XmlForbidden``.
    """
    start = start_tag.search(text)
    if start is None:
        return None
    prefix = f"{start.group(1)}:" if start.group(1) else ""
    end = text.rfind(f"</{prefix}{name}")
    rest = text[: start.end()] + text[end:] if end >= start.end() else ""
    if not rest or "<!" in rest or "<?" in rest[5:]:
        return None
    try:
        return parse(rest, depth=depth), prefix, text[start.end() : end]
    except XmlForbidden:
        raise
    except XmlError:
        return None


def each_alone(events: Element, body: str, prefix: str, depth: int) -> Element:
    """*events* filled from *body*: each event parsed alone, or its raw text where that cannot be."""
    declared = "".join(
        f' xmlns{":" + name if name else ""}="{quoted(uri)}"' for name, uri in events.nsmap.items() if name != "xml"
    )
    tag = re.compile(rf"\s*<{re.escape(prefix)}Event(\s[^<>]*)?>")
    for part in re.split(rf"</{re.escape(prefix)}Event\s*>", body):
        at = 0
        while (start := tag.match(part, at)) and (start.group(1) or "").endswith("/"):
            etree.SubElement(events, EVENT)
            at = start.end()
        if start is None and not part[at:].strip(BLANKS):
            continue  # white space behind the last event
        inner = part[start.end() if start else at :]
        attributes = (start.group(1) or "") if start else ""
        try:
            item = parse(f"<{prefix}Event{declared}{attributes}>{inner}</{prefix}Event>", depth=depth)
        except XmlForbidden:
            raise
        except XmlError:
            item = etree.Element(EVENT)
            item.text = inner
        events.append(item)
    return events
