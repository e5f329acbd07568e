"""Reading an HTTP/1.1 answer out of bytes that a hostile far end may have written: bounded in everything.

Sans-I/O: bytes in, an answer out (RFC 9112). It knows no sockets, no proofs and no messages. What is unusual is refused
rather than interpreted: whoever frames an answer in two ways at once means no good by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from collector.wire.trouble import Reason

HEAD = 128 * 2**10
"""Bytes of status line and headers: a Kerberos token has up to 65,536 bytes (MaxTokenSize), a third more as base64."""
_FIELDS = 100  # header lines; Windows sends four, proxies twenty
_INTERIM = 8  # 1xx answers before the real one
_SIZE_LINE = 1024  # bytes of a chunk's size with its extensions
_TRAILER = 8 * 2**10
_SMALL_CHUNKS = 1000  # this many may be of any size; on average the others must have ...
_CHUNK = 64  # ... this many bytes: else a body of one-byte chunks costs more time than sixteen megabytes
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):([\t\x20-\x7e\x80-\xff]*+)")  # possessive: one pass, no way back
_LENGTH = re.compile(r"\d{1,19}", re.ASCII)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class BadResponse(Exception):
    """What came is no answer that is taken. *reason*: "http" or "too-large". The text tells what it was instead."""

    def __init__(self, said: str, reason: Reason = "http", status: int = 0) -> None:
        super().__init__(said)
        self.reason: Reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers. *fields*: names in lower case. *length*: of the body; None where the framing tells."""

    status: int
    fields: Sequence[tuple[str, str]]
    length: int | None
    chunked: bool
    keeps: bool

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.fields if found == name]

    def value(self, name: str) -> str:
        return next((value for found, value in self.fields if found == name), "")


class ResponseReader:
    """One answer. ``feed`` what arrives until it is ``complete``; *limit* is the most bytes of its body."""

    def __init__(self, limit: int) -> None:
        self.head: Head | None = None
        self.body = bytearray()
        self.complete = False
        self.excess = False
        """More came than the answer: whoever sends that is not to be listened to any longer."""
        self._limit = limit
        self._pending = bytearray()  # of the head, of a chunk's line, of what follows the last chunk
        self._interim = 0
        self._left = -1  # of the chunk that is being read; -1: its line is due, -2: the line end after it
        self._chunks = 0
        self._trailer = 0  # bytes after the last chunk; 0: it has not come

    def feed(self, arrived: bytes | bytearray | memoryview) -> bool:
        """Whether the answer is complete. Raises ``BadResponse``."""
        if self.complete:
            self.excess = self.excess or bool(arrived)
        elif self.head is None:
            self._pending += arrived
            self._read_heads()
        else:
            self._feed_body(arrived)
        return self.complete

    def end(self) -> bool:
        """The far end says no more. Whether that completes the answer; only one without any framing ends so."""
        head = self.head
        if head is not None and head.length is None and not head.chunked:
            self.complete = True
        return self.complete

    def _read_heads(self) -> None:
        while self.head is None:
            if len(self._pending) >= 5 and not self._pending.startswith(b"HTTP/"):
                raise BadResponse(f"it does not speak HTTP; its first bytes are {bytes(self._pending[:16])!r}")
            end = self._pending.find(b"\r\n\r\n", 0, HEAD)
            if end < 0:
                if len(self._pending) >= HEAD:
                    raise BadResponse(f"its headers have more than {HEAD} bytes", "too-large")
                return
            head = read_head(bytes(self._pending[:end]))
            del self._pending[: end + 4]
            if 100 <= head.status < 200:
                self._interim += 1
                if head.status == 101 or self._interim > _INTERIM:
                    raise BadResponse(f"it answers {head.status} instead of an answer", status=head.status)
                continue
            self._begin(head)

    def _begin(self, head: Head) -> None:
        if head.length is not None and head.length > self._limit:
            raise self._too_large(head.length)
        self.head = head
        rest, self._pending = self._pending, bytearray()
        self._feed_body(rest)

    def _feed_body(self, arrived: bytes | bytearray | memoryview) -> None:
        assert self.head is not None
        if self.head.chunked:
            self._pending += arrived
            self._read_chunks()
            return
        length = self.head.length
        room = (self._limit if length is None else length) - len(self.body)
        if length is None and len(arrived) > room:
            raise self._too_large()
        self.body += arrived if len(arrived) <= room else memoryview(arrived)[:room]
        self.excess = len(arrived) > room
        self.complete = length is not None and len(self.body) == length

    def _read_chunks(self) -> None:
        """All that is complete of what is pending, in one pass: what was read is cut off once, at the end."""
        pending, at = self._pending, 0
        try:
            while not self.complete:
                if self._trailer:
                    at = self._read_trailer(at)
                elif self._left == -1:
                    at = self._read_size(at)
                elif self._left == -2:
                    if len(pending) - at < 2:
                        return
                    if pending[at : at + 2] != b"\r\n":
                        raise self._bad_chunks()
                    at, self._left = at + 2, -1
                else:
                    taken = min(self._left, len(pending) - at)
                    self.body += memoryview(pending)[at : at + taken]
                    at, self._left = at + taken, self._left - taken or -2
                    if self._left > 0:
                        return
        except _MoreNeeded:
            return
        finally:
            del pending[:at]
        self.excess = bool(pending)

    def _read_size(self, at: int) -> int:
        """The line before a chunk; where the chunk begins. Raises ``_MoreNeeded``."""
        end = self._line(at, _SIZE_LINE)
        found = _CHUNK_SIZE.fullmatch(self._pending[at:end])
        if found is None:
            raise self._bad_chunks()
        size = int(found[1], 16)
        self._chunks += 1
        if len(self.body) + size > self._limit:
            raise self._too_large()
        if self._chunks > _SMALL_CHUNKS + len(self.body) // _CHUNK:
            raise BadResponse(f"its body is cut into chunks of less than {_CHUNK} bytes", "too-large")
        if size:
            self._left = size
        else:
            self._trailer = 1
        return end + 2

    def _read_trailer(self, at: int) -> int:
        """A line after the last chunk, which nobody wants; the empty one is the end. Raises ``_MoreNeeded``."""
        end = self._line(at, _SIZE_LINE)
        self._trailer += end + 2 - at
        if self._trailer > _TRAILER:
            raise BadResponse(f"it sends more than {_TRAILER} bytes of headers after its body", "too-large")
        self.complete = end == at
        return end + 2

    def _line(self, at: int, most: int) -> int:
        """Where the line that begins *at* ends."""
        end = self._pending.find(b"\r\n", at, at + most)
        if end < 0:
            if len(self._pending) - at >= most:
                raise self._bad_chunks()
            raise _MoreNeeded
        return end

    def _bad_chunks(self) -> BadResponse:
        return BadResponse("its body is chunked, and a chunk does not begin or end as chunks do", status=self._status)

    def _too_large(self, length: int | None = None) -> BadResponse:
        said = f"the answer has {length} bytes" if length is not None else "the answer does not end"
        return BadResponse(f"{said}; at most {self._limit} are taken", "too-large", self._status)

    @property
    def _status(self) -> int:
        return self.head.status if self.head is not None else 0


class _MoreNeeded(Exception):
    """The line is not all there yet."""


def read_head(head: bytes) -> Head:
    """Status line and headers, without the empty line that ends them. Raises ``BadResponse``."""
    first, *lines = head.split(b"\r\n", _FIELDS + 1)
    found = _STATUS.fullmatch(first)
    if found is None:
        raise BadResponse(f"its status line is no HTTP: {first[:40]!r}")
    status = int(found[2])
    if len(lines) > _FIELDS:
        raise BadResponse(f"it sends more than {_FIELDS} headers", "too-large", status)
    fields = []
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadResponse(f"one of its headers is no header: {line[:40]!r}", status=status)
        fields.append((field[1].decode("ascii").lower(), field[2].strip(b" \t").decode("latin-1")))
    return _framed(status, fields, modern=found[1] == b"1")


def _framed(status: int, fields: list[tuple[str, str]], *, modern: bool) -> Head:
    """How the body ends (RFC 9112 6.3), and whether the connection lives on after it (9.3)."""
    lengths = {value for name, value in fields if name == "content-length"}
    codings = [value.lower() for name, value in fields if name == "transfer-encoding"]
    options = ",".join(value.lower() for name, value in fields if name == "connection")
    words = {word.strip() for word in options.split(",")}
    keeps = "close" not in words and (modern or "keep-alive" in words)
    if 100 <= status < 200 or status in (204, 304):
        return Head(status, fields, 0, False, keeps)
    if codings and (codings != ["chunked"] or lengths or not modern):
        raise BadResponse("it says in two ways, or in an unknown one, where its body ends", status=status)
    if len(lengths) > 1 or any(_LENGTH.fullmatch(value) is None for value in lengths):
        raise BadResponse("its Content-Length is not one number", status=status)
    if codings:
        return Head(status, fields, None, True, keeps)
    length = int(next(iter(lengths))) if lengths else None
    return Head(status, fields, length, False, keeps and length is not None)
