"""Bodies of Events messages and of answers to a Pull, whole and broken, and the judge of what the kernel makes of one.

The rule has two sides: the letters are those that CPython decodes, the pieces are those of ``slices`` and of
``cut_items``, and both are taken or left alike. Knows how to break bodies; draws no chances itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from collector.normalize import default_rules
from collector.normalize.spelling import Spelling
from collector.wsman import answer_pieces
from collector.wsman.answer_pieces import cut_items
from collector.wsman.answering import write_pull_response
from collector.wsman.pieces import MARKS, slices
from collector.wsman.requests import write_events
from tests.kernel.differential import OWN, mutant
from tests.wsman.spoken import BOOKMARK, MESSAGE_ID, SPEAKER, TARGET

WITNESSES = Path(__file__).parent / "witnesses"
"""Bodies that kernel and reference once disagreed on: files ending in ``.body``."""

OPEN, CLOSE, HEAD, TAIL = (mark.decode() for mark in MARKS)
STITCHES = (
    OPEN, CLOSE, HEAD, TAIL, TAIL + HEAD, "]]>", "]]", "]", "]]]]>", "<![CDATA[", "<!--", "-->", "<?", "<!",
    "<w:Events", "</w:Event>", "\r", "\r\n", "\r\r\n", "\n", "é", "“", "\U0001f600", "\ufffe", "\ufffd", "\0", "<", ">",
    "", " ", "]" * 20, "x" * 15, "x" * 16, "x" * 17, "ü" * 16,
)  # fmt: skip
"""What is put into an envelope's text: its own seams, line ends, and letters of every width."""
ITEMS, ITEMS_END, EVENT, EVENT_END = (mark.decode() for mark in answer_pieces.MARKS[:4])
ITEM_STITCHES = (
    ITEMS, ITEMS_END, EVENT, EVENT_END, EVENT_END + EVENT, EVENT_END + " \r\n\t" + EVENT, "<Event>", "<Event/>",
    "<Event\t", "<Event", "<EventID>", "<Event\u00e9", "<Event\u2003", "<Event1", "<e:a>", "<e:", "</e:a>", " e:a=''",
    "\te:a = ''", " e:a", " e:=", " e:\u00e9=", " e:a\u2003=", "\u2003e:a=", " E:a=", " ee:a=", ":Items", "<n:Items",
    "\xa0", "\x1f", "\u2003", "<![CDATA[", "<!--", "<?", "\r", "\r\n", " ", "", "x" * 16,
)  # fmt: skip
"""The same for an answer: what may hide a tag or a prefix, and what looks as if it did."""
UNITS = (
    b"\x3d\xd8", b"\x00\xde", b"\xff\xff", b"\xff\xfe", b"\0", b"\xd8", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90", b"",
)  # fmt: skip
"""What is put into an envelope's bytes: halves of pairs and of units, and what UTF-8 forbids."""
CHARSETS = ("utf-16-le", "utf-8")


def envelope(events: Sequence[str]) -> str:
    return write_events(SPEAKER, TARGET, events, BOOKMARK, message_id=MESSAGE_ID)


def answer(events: Sequence[str]) -> str:
    return write_pull_response(events, "uuid:1", BOOKMARK, message_id=MESSAGE_ID, relates_to=MESSAGE_ID)


def bodies() -> list[bytes]:
    """Bodies of our own: none, one and many events, of one width and of all."""
    odd = ("a\r\nb\rc\r", "\r", "]", "]]")
    batches: tuple[Sequence[str], ...] = ((), ("",), ("x",), ("", ""), OWN[:1] * 3, OWN, odd)
    return [envelope(events).encode(charset) for events in batches for charset in CHARSETS]


def answers() -> list[bytes]:
    """The same as answers to a Pull: with nothing between the events, and with line ends there."""
    bare = f"{EVENT}'u'>{EVENT_END}"
    batches: tuple[Sequence[str], ...] = ((), ("",), (bare,), (bare, f" {bare}\r\n", bare), OWN[:1] * 3, OWN)
    return [answer(events).encode(charset) for events in batches for charset in CHARSETS]


def broken(body: bytes, chance: random.Random) -> bytes:
    """*body* with one to three places overwritten, in its text or in its bytes, and now and then cut."""
    charset = "utf-16-le" if body[1:2] == b"\0" else "utf-8"
    for _ in range(chance.randint(1, 3)):
        if chance.random() < 0.6:
            text = body.decode(charset, "replace")
            pulled = ITEMS in text
            seams = (EVENT_END, ITEMS, EVENT) if pulled else (TAIL, OPEN, HEAD)
            seam = chance.choice(seams)
            places = (chance.randrange(len(text) + 1), text.find(seam), text.rfind(seam), text.find(seam) + len(seam))
            place = max(chance.choice(places), 0)
            text = (
                text[:place]
                + chance.choice(ITEM_STITCHES if pulled else STITCHES)
                + text[place + chance.choice((0, 0, 1, 8, 60)) :]
            )
            body = (mutant(text, chance) if chance.random() < 0.1 else text).encode(charset, "replace")
        else:
            place = chance.randrange(len(body) + 1)
            body = body[:place] + chance.choice(UNITS) + body[place + chance.choice((0, 1, 2, 3)) :]
    return body[: chance.randrange(len(body) + 1)] if chance.random() < 0.05 else body


class Judge:
    """Holds one *kernel* against CPython's decoders, ``slices``, and itself over the same texts as ``str``."""

    def __init__(self, kernel: ModuleType) -> None:
        self.kernel = kernel
        self.reaper: Any = kernel.Reaper(Spelling(default_rules()))

    def taken(self, text: str) -> bool:
        return bool(self.reaper.reap([text]).missed == 0)

    def difference(self, body: bytes) -> str:
        """How they differ on *body*, read as UTF-16 and as UTF-8; "" where they agree."""
        return next((found for charset in CHARSETS if (found := self._difference(body, charset))), "")

    def _difference(self, body: bytes, charset: str) -> str:
        text = body.decode(charset, "replace")
        letters = self.kernel.unfold(body, 0, charset == "utf-16-le")
        if letters is None:
            return "" if charset == "utf-8" and not _whole(body) else f"{charset}: no letters"
        if letters.text() != text or len(letters) != len(text.encode()):
            return f"{charset}: the letters are {letters.text()!r}, and should be {text!r}"
        found = self._cut(letters.cut(*MARKS), slices(text), charset)
        return found or self._cut(letters.cut_elements(*answer_pieces.MARKS), cut_items(text), charset)

    def _cut(self, ours: Any, theirs: tuple[str, list[str]] | None, charset: str) -> str:
        """How the kernel's pieces differ from the reference's."""
        if ours is None or theirs is None:
            return "" if ours is theirs else f"{charset}: cut into {ours!r}, and should be {theirs!r}"
        if ours[0] != theirs[0] or list(ours[1]) != theirs[1] or len(ours[1]) != len(theirs[1]):
            return f"{charset}: cut into {ours[0]!r} and {list(ours[1])!r}, and should be {theirs!r}"
        return self._read(ours[1], theirs[1])

    def _read(self, pieces: Sequence[str], texts: Sequence[str]) -> str:
        """How the events differ when they are read where they lie."""
        ours, theirs = self.reaper.reap(pieces), self.reaper.reap(texts)
        if (ours.ids, ours.keys, ours.missed) != (theirs.ids, theirs.keys, theirs.missed):
            return "the events are other events where they lie"
        if any(ours.document(place) != theirs.document(place) for place in range(len(texts))):
            return "the documents are others where the events lie"
        written = [(self.kernel.lines(found), self.kernel.wrap(found, b"{", b"}")) for found in (pieces, texts)]
        if written[0] != written[1]:
            return "the records are others where the events lie"
        return ""


def _whole(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def witnesses() -> list[bytes]:
    return [file.read_bytes() for file in sorted(WITNESSES.glob("*.body"))]
