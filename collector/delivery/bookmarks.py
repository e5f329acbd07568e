"""The guard of bookmarks: may what a source sends replace what we have?

The artificial event 111 comes when a source starts a subscription without a bookmark, and
in a TLS lab it also came after a reconnect although one was offered; its bookmark means
"from now", and the events in between are lost once it replaces a good one (protocol.md
6.5.1). So such a bookmark counts only where nothing better is stored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from collector.model import Bookmark
from collector.wsman import bookmark as wire

_MARKER = re.compile(r"<SubscriptionBookmarkEvent[\s/>]")
_FORWARDER = re.compile(r"<Provider\s[^>]*Name=['\"]Microsoft-Windows-EventForwarder['\"]")


@dataclass(frozen=True, slots=True)
class Replace:
    """Save the new one. *went_back* names channels whose record id is lower than the stored one."""

    went_back: Sequence[str] = ()


FORWARD = Replace()
"""What is nearly always said."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the stored one. *reason* is fit for a metric label."""

    reason: str


def is_marker(events: Sequence[str], bookmark: str | None) -> bool:
    """Whether a batch is nothing but the artificial event 111, which is not a log event.

    All three signs together: alone in its batch, the forwarder's own provider and section, and a
    bookmark that looks backward. An event 111 that somebody's log really holds lacks the last.
    """
    if len(events) != 1 or bookmark is None or len(events[0]) > 4096:
        return False
    text = events[0]
    return bool(_MARKER.search(text) and _FORWARDER.search(text)) and wire.positions(bookmark).backward


def judge(stored: Bookmark | None, offered: str) -> Replace | Keep:
    """Whether *offered* (the content of w:Bookmark) may replace *stored*.

    A lower record id is no reason to refuse: a cleared log or a reinstalled machine counts
    from one again, and the source knows its own log best. It is reported, not hidden.
    """
    new = wire.positions(offered)
    if stored is None:
        return FORWARD
    if new.backward:
        return Keep("backward")
    old = wire.positions(stored.xml).records
    back = [channel for channel, record in new.records.items() if record < old.get(channel, record)]
    return Replace(tuple(back)) if back else FORWARD
