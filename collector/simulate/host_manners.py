"""How a pretend machine misbehaves, and when: a script first, then moods by chance, from a seed.

What is done to a text is done here; what is done to a connection is named here and done at the host's door. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from random import Random
from typing import Literal, get_args

Mood = Literal[
    # the machine does what it is asked, and the answer is spoilt
    "well",
    "garbage",  # HTTP 200 and bytes that are no XML
    "html",  # the login page of something in between
    "empty",  # HTTP 200 and nothing
    "charset",  # UTF-16 that says it is UTF-8
    "foreign-charset",  # one that WS-Management does not know
    "endless",  # a body that never ends
    "drip",  # a body that comes byte after byte, and never all of it
    "doctype",  # a document type with an entity in it
    "context",  # an EnumerationContext that the machine does not know
    "relates",  # a RelatesTo that answers somebody else
    "unsealed",  # in clear on a connection that has a session key
    "tampered",  # one bit of the body is another
    "doubled",  # every item twice
    "backwards",  # a bookmark before the one that was sent last
    "unmarked",  # no bookmark
    "cut-header",  # the connection ends in the HTTP header
    "cut-body",  # in the middle of the body
    "cut-answer",  # before the answer: the machine has moved on
    # the machine does not do it
    "cut",  # the connection ends, nothing happened
    "redirect",
    "unauthorized",  # HTTP 401 in mid-session
    "busy",  # HTTP 503
    "error",  # HTTP 500 without a body
    "missing",  # HTTP 404
    "quota",
    "denied",  # w:AccessDenied
    "channel",  # there is no such channel
    "locked",  # the channel may not be read
    "timedout",  # w:TimedOut
    "internal",  # w:InternalError of the plugin
    "expired",  # the context is gone
    "close",  # it is done and well answered, and the subscription is closed behind it
    "slow",  # well, but late
    "dead",  # no answer at all
    "reboot",
]
MOODS: tuple[str, ...] = get_args(Mood)


class HostManners:
    """The mood for each request of one machine.

    *script* comes first, an entry for each request: a mood, or ``pull:garbage`` which waits for the next request of
    that kind (the lower-case name of the call's class) and lets others pass. After it, moods befall requests with
    the probabilities in *shares*. *slow* is in seconds.
    Raises ``ValueError`` for a word that is no mood.
    """

    def __init__(
        self,
        script: Iterable[str] = (),
        shares: Mapping[str, float] | None = None,
        *,
        seed: str = "",
        slow: float = 1.0,
    ) -> None:
        self._script = list(script)
        self._shares = dict(shares or {})
        self._random = Random(f"{seed}\0moods")  # noqa: S311 - a bad mood is no secret
        self.slow = slow
        self.shown: list[tuple[str, str]] = []  # (kind, mood) of every request that met a mood, for those who watch
        for word in [*(entry.rpartition(":")[2] for entry in self._script), *self._shares]:
            if word not in MOODS:
                raise ValueError(f'"{word}" is no mood; there are: {", ".join(MOODS)}.')

    def next(self, kind: str) -> str:
        """The mood for a request of *kind*."""
        mood = self._scripted(kind) or self._by_chance()
        if mood != "well":
            self.shown.append((kind, mood))
        return mood

    def say_next(self, *entries: str) -> None:
        """Put *entries* at the end of the script."""
        self._script.extend(entries)

    @property
    def left(self) -> int:
        """Entries of the script that no request has met yet."""
        return len(self._script)

    def _scripted(self, kind: str) -> str | None:
        if not self._script:
            return None
        wanted, _, mood = self._script[0].rpartition(":")
        if wanted and wanted != kind:
            return None
        del self._script[0]
        return mood

    def _by_chance(self) -> str:
        if not self._shares:
            return "well"
        at = self._random.random()
        for mood, share in self._shares.items():
            at -= share
            if at < 0:
                return mood
        return "well"


_CONTEXT = re.compile(r"(<n:EnumerationContext>)[^<]+")
_RELATES = re.compile(r"(<a:RelatesTo\s*>)[^<]+")
_ITEMS = re.compile(r"(<n:Items>)(.+)(</n:Items>)", re.DOTALL)
_RECORD = re.compile(r'RecordId="(\d+)"')
_BOOKMARK = re.compile(r"<w:Bookmark>.*?</w:Bookmark>", re.DOTALL)
STRANGER = "uuid:00000000-BAD0-BAD0-BAD0-000000000000"
BACK = 7
"""Record numbers by which a bookmark goes backwards."""


def spoilt(text: str, mood: str) -> str:
    """The envelope *text* as it leaves a machine in *mood*; moods of the connection leave it as it is."""
    match mood:
        case "context":
            return _CONTEXT.sub(rf"\g<1>{STRANGER}", text)
        case "relates":
            return _RELATES.sub(rf"\g<1>{STRANGER}", text)
        case "doubled":
            return _ITEMS.sub(r"\1\2\2\3", text)
        case "backwards":
            return _RECORD.sub(lambda found: f'RecordId="{max(0, int(found[1]) - BACK)}"', text)
        case "unmarked":
            return _BOOKMARK.sub("", text)
        case "doctype":
            return f'<!DOCTYPE s:Envelope [<!ENTITY e "{"e" * 100}">]>{text}'
        case "garbage":
            return "\N{CENT SIGN}\N{YEN SIGN} this is no envelope < & \N{GREEK SMALL LETTER OMEGA}"
        case "html":
            return "<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Please sign in.</body></html>"
        case "empty":
            return ""
        case _:
            return text
