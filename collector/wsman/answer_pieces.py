"""The answer to a Pull taken apart: the envelope, and the events' XML texts, each standing alone.

Three ways, tried in this order, as in ``pieces``. *Sliced*: events in the form that Windows gives them are cut out of
the text, bytes as sent, and only the rest is parsed. *Parsed*: the whole envelope. *Rescued*: when an event makes it
unreadable, the rest is parsed without its events, and each event alone. What an event means, and whether this is an
answer to what was asked, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from collector.kernel.letters import Letters
from collector.wsman import names
from collector.wsman.pieces import (
    BODY,
    EVENT,
    Cut,
    Hidden,
    Opened,
    action_of,
    bound_namespaces,
    contents,
    dropped_total,
    each_alone,
    emptied_of,
    parsed,
)
from collector.wsman.xml import BLANKS, Element, XmlError, XmlForbidden, alone, parse, quoted

PULL_RESPONSE = f"{{{names.ENUMERATION}}}PullResponse"
CONTEXT = f"{{{names.ENUMERATION}}}EnumerationContext"
ITEMS = (f"{{{names.ENUMERATION}}}Items", f"{{{names.WSMAN}}}Items")
END_OF_SEQUENCE = (f"{{{names.ENUMERATION}}}EndOfSequence", f"{{{names.WSMAN}}}EndOfSequence")
_HEARTBEAT = f"{{{names.WSMAN}}}Heartbeat"

_OPEN, _CLOSE = "<n:Items>", "</n:Items>"
_HEAD, _TAIL = "<Event xmlns=", "</Event>"
_TAGS = re.compile(r"<(?:[!?]|Event(?![A-Za-z])|[a-z]:)")
"""Whatever could make a cut wrong: a place where a tag may hide, an event inside another, a prefixed name."""
_ATTRIBUTE = re.compile(rf":(?<=[{BLANKS}][a-z]:)[A-Za-z0-9_.\x80-\U0010ffff-]+[{BLANKS}]*=")
MARKS = (_OPEN.encode(), _CLOSE.encode(), _HEAD.encode(), _TAIL.encode(), b"<Event", b":Items")
"""The same as ``Letters.cut_elements`` is told."""
_LOOKED_FOR = re.compile(r"[a-z]|xml")
"""Prefixes that the two patterns find; ``xml`` needs no declaration. An envelope with another one is parsed."""

_ITEMS = re.compile(r"<(?:([A-Za-z_][\w.-]{0,100}):)?Items(?:\s[^<>]*)?(?<!/)>")
_WRAPPED = re.compile(r"\s*<(?:([A-Za-z_][\w.-]{0,100}):)?Event[\s/>]")
_NEXT = re.compile(r"Event\s*>\s*(?=<(?:[A-Za-z_][\w.-]{0,100}:)?Event[\s/>])")
_TOGETHER = re.compile(r"</Event>\s*(?=<Event[\s>])")
_INNER = re.compile(r"<Event[\s/>]")


def open_answer(content: str | Letters, cut: Cut | None, depth: int, most: int) -> Opened:
    """Take the answer *content* apart the fastest way that is exact; without a PullResponse there are no pieces.

    *content* is a text or its letters, *cut* what ``cut_of`` made of it. More than *most* pieces mean that there are
    too many; no more than *most* and one are taken out where each costs something. Raises ``XmlError``.
    """
    if cut is not None:
        opened = sliced(*cut, depth)
        if opened is not None:
            return opened
    text = content if isinstance(content, str) else content.text()
    hidden = Hidden(text)
    root = parsed(hidden, depth, lambda: _rescued(hidden, depth, most))
    return root if isinstance(root, Opened) else _collected(root, hidden, most)


def cut_of(content: str | Letters) -> Cut | None:
    """``cut_items`` of an answer, done by the compiled kernel where that holds its letters."""
    return cut_items(content) if isinstance(content, str) else content.cut_elements(*MARKS)


def cut_items(text: str) -> tuple[str, list[str]] | None:
    """The envelope with its n:Items emptied, and the events. None: not the form that Windows sends.

    Exact without a parser for a text that is well-formed: nothing in it can hide a tag (no comment, CDATA or processing
    instruction), no event holds a tag named Event, and none a prefixed name, which it could not know without the
    envelope; each declares its own namespace. Of one that is not, ``_rescued`` makes the same. Only how deep an event
    is nested is not looked at; who reads the event does. That n:Items is where it belongs is for the caller to see.
    """
    start = text.find(_OPEN) + len(_OPEN)
    end = text.rfind(_CLOSE)
    if start < len(_OPEN) or end <= start:
        return None
    rest = text[:start] + text[end:]
    body = text[start:end].strip(BLANKS)
    if not body.startswith(_HEAD) or not body.endswith(_TAIL) or "<!" in rest or "<?" in rest:
        return None
    if rest.count(":Items") != 2:  # these two tags: what is said about n:Items is said about them
        return None
    starts = [tag.start() for tag in _TAGS.finditer(body)]
    if not all(body.startswith(_HEAD, start) for start in starts) or _ATTRIBUTE.search(body):
        return None
    pieces = [body[start:end] for start, end in pairwise([*starts, len(body)])]
    if not all(piece.endswith(_TAIL) for piece in pieces):
        pieces = [piece.rstrip(BLANKS) for piece in pieces]
        if not all(piece.endswith(_TAIL) for piece in pieces):
            return None
    if "\r" in body:  # as an XML parser reads it (XML 1.0, 2.11)
        pieces = [piece.replace("\r\n", "\n").replace("\r", "\n") if "\r" in piece else piece for piece in pieces]
    return rest, pieces


def sliced(rest: str, pieces: Sequence[str], depth: int) -> Opened | None:
    """What was cut into *rest* and *pieces*. None unless the n:Items that was emptied is that of the PullResponse."""
    try:
        root = parse(rest, depth=depth)
    except XmlError:
        return None
    pulled = pulled_of(root)
    if pulled is None or (pulled.text or "").strip(BLANKS):
        return None
    items = [child for child in pulled if child.tag in ITEMS]
    others = [child for child in pulled if child.tag not in (CONTEXT, *END_OF_SEQUENCE)]
    if len(items) != 1 or others != items or len(items[0]) or items[0].text or items[0].prefix != "n":
        return None
    if not all(_LOOKED_FOR.fullmatch(prefix or "n") for prefix in items[0].nsmap):
        return None
    return Opened(root, pieces, sliced=True)


def pulled_of(root: Element) -> Element | None:
    """The n:PullResponse that is the only child of the Body of *root*."""
    body = root.find(BODY)
    return body[0] if body is not None and len(body) == 1 and body[0].tag == PULL_RESPONSE else None


def _collected(root: Element, hidden: Hidden, most: int) -> Opened:
    pulled = pulled_of(root)
    pieces: list[str] = []
    dropped: int | None = None
    for item in _items(pulled) if pulled is not None else ():
        if len(pieces) > most:
            break
        if isinstance(item, str):
            pieces += _events_of(item)
            continue
        total = dropped_total(item)
        if total is not None:
            dropped = max(total, dropped or 0)
        elif item.tag == EVENT:
            pieces += contents(item, most + 1 - len(pieces)) if action_of(item) != names.HEARTBEAT else ()
        elif item.tag != _HEARTBEAT:  # a sign of life may come as an item (R10.2.5-1)
            pieces.append(alone(item))
    return Opened(root, [hidden.reveal(piece) for piece in pieces], dropped, hidden=hidden)


def _items(pulled: Element) -> Iterator[Element | str]:
    """What was pulled, in order: elements, and texts that stand between them.

    They are in n:Items, or as openwsman has it next to where that would be (protocol.md 15.1).
    """
    bound_namespaces(pulled, len(pulled))
    for child in pulled:
        if child.tag in ITEMS:
            bound_namespaces(child, len(child))
            yield child.text or ""
            for item in child:
                yield item
                yield item.tail or ""
        elif child.tag not in (CONTEXT, *END_OF_SEQUENCE):
            yield child


def _events_of(text: str) -> list[str]:
    """Events as text, with the CDATA option perhaps several in one; what cannot be cut surely stays in one piece."""
    text = text.strip(BLANKS)
    if not text:
        return []
    pieces = _cut(_TOGETHER, text)
    whole = all(piece.count(_TAIL) == 1 and not _INNER.search(piece, 1) for piece in pieces)
    return [piece.strip(BLANKS) for piece in pieces] if whole else [text]


def _cut(behind: re.Pattern[str], text: str) -> list[str]:
    """*text* cut behind each match."""
    ends = [0, *(match.end() for match in behind.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


def _rescued(hidden: Hidden, depth: int, most: int) -> Opened | None:
    """The third way. None: it is not the events that are broken. Raises ``XmlForbidden``."""
    emptied = emptied_of(_ITEMS, "Items", hidden.text, depth)
    if emptied is None:
        return None
    root, _, body = emptied
    pulled = pulled_of(root)
    items = next((child for child in pulled if child.tag in ITEMS), None) if pulled is not None else None
    if items is None or len(items) or items.text:
        return None
    bound_namespaces(items, body.count("Event>"))
    wrapped = _WRAPPED.match(body)
    if wrapped and items.nsmap.get(wrapped.group(1)) == names.WSMAN:
        each_alone(items, body, f"{wrapped.group(1)}:" if wrapped.group(1) else "", depth)
        return _collected(root, hidden, most)
    pieces = list(chain.from_iterable(_alone(items, part, depth) for part in _cut(_NEXT, body)))
    return Opened(root, [hidden.reveal(piece) for piece in pieces[: most + 1]], hidden=hidden)


def _alone(items: Element, part: str, depth: int) -> list[str]:
    """The events of *part* with the namespaces around *items*; where it cannot be parsed, *part* as it is."""
    if not part.strip(BLANKS):
        return []
    declared = "".join(
        f' xmlns{":" + name if name else ""}="{quoted(uri)}"' for name, uri in items.nsmap.items() if name != "xml"
    )
    try:
        return [alone(item) for item in parse(f"<items{declared}>{part}</items>", depth=depth)]
    except XmlForbidden:
        raise
    except XmlError:
        return [part.strip(BLANKS).replace("\r\n", "\n").replace("\r", "\n")]
