"""What to do with a text that is not the XML of one event: mend it, cut it, or keep it as it is.

The order of normalization.md 3.3, steps 3 to 6. Nothing is lost: the texts of the pieces make
up the received text but for white space between events. Knows how to ask the kernel again; knows no document.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from collector.kernel.fields import Fields, Unreadable, read_event

CONTROL_CHARACTERS = "control_characters"
RENDERING_TRUNCATED = "rendering_truncated"
SEVERAL_EVENTS = "several_events"
SURROGATES = "surrogates"
UNPARSABLE = "unparsable"

# Beats' rule (every control character that is no white space) and what XML 1.0 forbids: U+000B and U+000C
# too, which Go takes for white space. U+0085 passes.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_REFERENCE = re.compile("&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));")
# Bounded, so that hostile text costs no more than its length; Windows writes one attribute, xmlns.
_TAG = re.compile(r"(?P<close></Event\s{0,64}>)|(?P<open><Event(?=[\s/>])[^<>]{0,1024}>)|<!\[CDATA\[|<!--")
MOST_PIECES = 1000
"""Events taken out of one text. Sources send one; a document made of ``<Event/>`` alone must not become millions."""


class Piece(NamedTuple):
    """One row of a harvest. *fields* is None when nothing helped; *problem* says why, or what was left out."""

    text: str
    fields: Fields | None
    flaws: tuple[str, ...] = ()
    problem: str = ""


def recover(text: str, most: int = MOST_PIECES) -> list[Piece]:
    """At least one piece of *text*, which ``read_event`` could not read; at most *most* and the rest."""
    flaws: tuple[str, ...] = ()
    if not _encodable(text):
        text, flaws = without_surrogates(text), (SURROGATES,)
    pieces = split(text, most)
    if len(pieces) == 1:
        return [_mended(pieces[0], flaws)]
    return [_mended(piece, (*flaws, SEVERAL_EVENTS)) for piece in pieces]


def visible(text: str) -> str:
    r"""*text* with control characters, written or referred to, as the six characters ``\uNNNN``."""
    text = _CONTROL.sub(_escaped, text)
    return _REFERENCE.sub(_checked, text) if "&#" in text else text


def without_surrogates(text: str) -> str:
    """*text* with U+FFFD for every half of a surrogate pair that stands alone, and pairs put together."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def split(text: str, most: int = MOST_PIECES) -> list[str]:
    """The first *most* events that stand one after the other in *text*; what follows is a piece of its own."""
    pieces: list[str] = []
    start = at = depth = 0
    while len(pieces) < most and (tag := _TAG.search(text, at)):
        at = tag.end()
        if tag["close"]:
            depth -= 1
        elif not tag["open"]:
            at = _after(text, "]]>" if tag[0] == "<![CDATA[" else "-->", at)
            continue
        elif not tag["open"].endswith("/>"):
            depth += 1
            continue
        if depth <= 0:  # an end tag, or an empty element that stands alone
            pieces.append(text[start:at])
            start, depth = at, 0
    pieces.append(text[start:])
    kept = [piece.strip() for piece in pieces if piece.strip()]
    return kept if len(kept) > 1 else [text]


def _mended(text: str, flaws: tuple[str, ...]) -> Piece:
    """The first of: as it is, with control characters made visible, without RenderingInfo, as a mere text."""
    try:
        return Piece(text, read_event(text.strip()), flaws)
    except Unreadable as error:
        problem = str(error)
    shown = visible(text.strip())
    if shown != text.strip():
        flaws = (*flaws, CONTROL_CHARACTERS)
        try:
            return Piece(text, read_event(shown), flaws)
        except Unreadable as error:
            problem = str(error)
    cut = shown.rfind("<RenderingInfo")
    if cut > 0:
        try:
            left_out = "RenderingInfo was not well-formed and was left out: " + problem
            return Piece(text, read_event(shown[:cut] + "</Event>"), (*flaws, RENDERING_TRUNCATED), left_out)
        except Unreadable:
            pass  # the first problem tells more than that of the stump
    return Piece(text, None, (*flaws, UNPARSABLE), problem)


def _after(text: str, end: str, at: int) -> int:
    found = text.find(end, at)
    return found + len(end) if found >= 0 else len(text)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _checked(match: re.Match[str]) -> str:
    """A reference to a character, or what stands for it when XML 1.0 or beats' rule forbids that one."""
    code = int(match[1], 16) if match[1] else int(match[2])
    if code > 0x10FFFF:
        return "\\ufffd"
    if 0xD800 <= code <= 0xDFFF or _CONTROL.match(chr(code)):
        return f"\\u{code:04x}"
    return match[0]
