"""Whether a stored document holds a user, a field's value or words. Pure.

Most documents are turned away without being parsed: a document can only match when certain
runs of letters and digits occur in its bytes, and whole blocks can be asked for them at once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import orjson

from collector.events.filters import Glob, SearchQuery
from collector.events.folding import Folding

USER_FIELDS = (
    "winlog.user.identifier", "winlog.user.name", "user.id", "user.name", "user.target.name", "user.target.id",
    "user.effective.name", "user.changes.name",
)  # fmt: skip
"""Where ``--user`` looks, besides USER_KEYS of ``winlog.event_data`` and ``winlog.user_data``."""

USER_KEYS = (
    "TargetUserName", "TargetUserSid", "TargetSid", "TargetOutboundUserName", "SubjectUserName", "SubjectUserSid",
    "MemberName", "MemberSid", "SamAccountName", "OldTargetUserName", "NewTargetUserName", "AccountName", "AccountSid",
    "User", "UserName", "UserSid", "UserID", "UserId", "SourceUser", "TargetUser", "ParentUser", "RunAsUser",
    "ClientUserName", "CallerUserName", "LogonUser", "ConnectedUser", "ContextUser", "Detection User",
)  # fmt: skip
"""Names under which Windows and Sysmon write a user or a SID."""

_DOMAINS = {"TargetUserName": "TargetDomainName", "SubjectUserName": "SubjectDomainName"}
_CERTAIN = re.compile(r"[A-Za-z0-9]+")
_GLOB_SET = re.compile(r"\[.*?\]|[*?]")

NO, MAYBE, YES = 0, 1, 2
"""What a look at a document's bytes can say."""

_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
"""Words that JSON writes as they are. (``null`` alone is written where a document has no text.)"""

_REST_OF_VALUE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"(?!:)')
"""From within a string to its end, when that string is no name of a field."""

_LOOKS = 8
"""Places of a word in one document that are looked at before the document is parsed instead."""

_ESCAPE = len(r"\u0000") - 1


class DocumentFilter:
    """The part of a query that only documents can answer."""

    def __init__(self, query: SearchQuery) -> None:
        self._words = [word.casefold() for word in query.text]
        self._fields = [(name.split("."), Glob([value])) for name, value in query.field]
        self._users = Glob(query.user) if query.user else None
        # Every alternative of a single glob must hold its literal runs; of several users any may match: no certainty.
        globs = [*(value for _, value in query.field), *(query.user if len(query.user) == 1 else ())]
        runs = {run.lower() for text in globs for run in _CERTAIN.findall(_GLOB_SET.sub(" ", text))}
        for word in self._words:
            runs.update([word] if _PLAIN.fullmatch(word) else _CERTAIN.findall(word))
        self._folded = Folding(runs, loose=bool(globs))
        self._runs = sorted((run.encode() for run in runs), key=len)[::-1]
        # What the bytes alone can confirm: only words are asked for, and all of them are plain.
        plain = not self._fields and not self._users and all(map(_PLAIN.fullmatch, self._words))
        self._plain = plain and not any(word in "null" for word in self._words)

    @property
    def idle(self) -> bool:
        """Nothing is asked of documents."""
        return not (self._words or self._fields or self._users)

    def marks(self, block: bytes) -> bytes:
        """NO, MAYBE or YES for each line of *block* (documents, joined by LF); what is not there is NO.

        MAYBE must be asked of ``matches``.
        """
        if not self._runs:
            return bytes([MAYBE]) * (block.count(b"\n") + 1)
        lowered = self._folded(block)
        if not all(run in lowered for run in self._runs):
            return b""
        ends = list(accumulate(len(line) + 1 for line in lowered.split(b"\n")))
        found = bytearray(len(ends))
        rarest = self._runs[0]
        at = lowered.find(rarest)
        while at >= 0:
            line = bisect_right(ends, at)
            start, end = ends[line - 1] if line else 0, ends[line] - 1
            found[line] = self._mark(lowered, start, end)
            at = lowered.find(rarest, end)
        return bytes(found)

    def _mark(self, lowered: bytes, start: int, end: int) -> int:
        if not all(lowered.find(run, start, end) >= 0 for run in self._runs[1:]):
            return NO
        return YES if self._plain and all(_in_value(lowered, start, end, run) for run in self._runs) else MAYBE

    def matches(self, document: bytes) -> bool:
        """Whether *document* (JSON) is asked for; an empty line stands for one that is not there."""
        if not document:
            return False
        if self._runs:
            lowered = self._folded(document)
            if not all(run in lowered for run in self._runs):
                return False
        values = orjson.loads(document)
        return (
            all(any(map(wanted.match, _texts_at(values, path))) for path, wanted in self._fields)
            and (self._users is None or any(map(self._users.match, _users(values))))
            and self._has_words(values)
        )

    def _has_words(self, values: Any) -> bool:
        if not self._words:
            return True
        whole = "\n".join(_texts(values)).casefold()
        return all(word in whole for word in self._words)


def _in_value(lowered: bytes, start: int, end: int, word: bytes) -> bool:
    """Whether a plain *word* certainly occurs in a value of the document from *start* to *end*."""
    at = start
    for _ in range(_LOOKS):
        at = lowered.find(word, at, end)
        if at < 0:
            return False
        if not _escaped(lowered, start, at) and _REST_OF_VALUE.match(lowered, at + len(word)):
            return True
        at += 1
    return False


def _escaped(lowered: bytes, start: int, at: int) -> bool:
    """Whether what stands at *at* may belong to an escape that began before it (``\\n``, ``\\u001f``)."""
    stroke = lowered.rfind(b"\\", max(start, at - _ESCAPE), at)
    if stroke < 0 or lowered[stroke + 1 : at][:1] not in (b"", b"u"):
        return False
    run = lowered[start : stroke + 1]
    return (len(run) - len(run.rstrip(b"\\"))) % 2 == 1


def _texts(value: Any) -> Iterator[str]:
    """Every value of a document as text; names of fields are no values."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif value is not None:
            yield _text(value)


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _texts_at(document: Any, path: list[str]) -> Iterator[str]:
    """The values at a dotted *path*; a single name is also sought in event_data and user_data."""
    yield from _texts(_at(document, path))
    if len(path) == 1 and path[0] not in document:
        for section in ("event_data", "user_data"):
            yield from _texts(_at(document, ["winlog", section, *path]))


def _at(value: Any, path: list[str]) -> Any:
    """The value at *path*; a step that is not there as written may differ in case."""
    for step in path:
        if not isinstance(value, dict):
            return None
        if step in value:
            value = value[step]
        else:
            folded = step.casefold()
            value = next((found for name, found in value.items() if name.casefold() == folded), None)
    return value


def _users(document: Any) -> Iterator[str]:
    """Every user and SID of a document: as written, without its domain, and with the domain named beside it."""
    for name in USER_FIELDS:
        yield from _named(_at(document, name.split(".")))
    user = _at(document, ["winlog", "user"])
    if isinstance(user, dict) and "domain" in user and "name" in user:
        yield f"{user['domain']}\\{user['name']}"
    for section in ("event_data", "user_data"):
        pairs = _at(document, ["winlog", section])
        if isinstance(pairs, dict):
            for key in USER_KEYS:
                yield from _named(pairs.get(key))
            for key, domain in _DOMAINS.items():
                if key in pairs and domain in pairs:
                    yield f"{pairs[domain]}\\{pairs[key]}"


def _named(value: Any) -> Iterator[str]:
    for text in _texts(value):
        yield text
        _, backslash, name = text.partition("\\")
        if backslash:
            yield name
