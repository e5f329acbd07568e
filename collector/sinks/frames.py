"""Records in zstd frames, one after another: what ``zstd -dc`` reads as one text, and how to find its whole end.

A frame is written for each round of writes, so a crash costs at most the frame that nobody was told
of. The walk over a file reads headers only (RFC 8878, section 3.1); it writes and decides nothing.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence

import zstandard

LEVEL = 1
"""Event text shrinks to about a tenth with it; higher levels cost a multiple of the time for a few per cent."""
REMEMBERED = 16_384
"""Files that were closed whole and need no second walk; sources choose computer names, so there is a bound."""

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_LARGEST_BLOCK = 128 * 1024
_LONGEST_HEADER = 18
_STEP = 64 * 1024


class Damaged(ValueError):
    """The file holds what no crash of ours leaves behind; nothing may be cut off, and nothing appended."""


class Lines:
    """Plain text: records end with LF."""

    def encoded(self, parts: Sequence[bytes]) -> Sequence[bytes]:
        return parts

    def whole(self, descriptor: int, size: int) -> int:
        """The size without what follows the last line end, a record that was never acknowledged."""
        end = size
        while end > 0:
            start = max(0, end - _STEP)
            at = os.pread(descriptor, end - start, start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return 0

    def closed(self, facts: os.stat_result) -> None:
        """Looking from behind is quick; nothing needs to be remembered."""


class Frames:
    """Text in zstd frames with checksums."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._known: OrderedDict[tuple[int, int], int] = OrderedDict()  # device and inode -> size

    def encoded(self, parts: Sequence[bytes]) -> Sequence[bytes]:
        """One frame of all *parts*."""
        total = sum(map(len, parts))
        if not total:
            return ()
        frame = self._compressor.compressobj(size=total)
        return [*(frame.compress(part) for part in parts), frame.flush()]

    def whole(self, descriptor: int, size: int) -> int:
        """The size without a frame that is not finished. Raises ``Damaged``."""
        facts = os.fstat(descriptor)
        if self._known.get((facts.st_dev, facts.st_ino)) == size:
            return size
        start, end = last_frame(descriptor, size)
        if end > start:
            _require_readable(descriptor, start, end)
        return end

    def closed(self, facts: os.stat_result) -> None:
        """The file was left as it is now, by whole frames."""
        while len(self._known) >= REMEMBERED:
            self._known.popitem(last=False)
        self._known[facts.st_dev, facts.st_ino] = facts.st_size


def last_frame(descriptor: int, size: int) -> tuple[int, int]:
    """Where the last whole frame begins and ends; (0, 0): there is none. Raises ``Damaged``."""
    headers = _Headers(descriptor, size)
    start = end = 0
    while end < size:
        following = _frame_end(headers, end)
        if following is None:
            break
        start, end = end, following
    return start, end


class _Headers:
    """Small reads that go forward, from a piece of the file that is held."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self._piece, self._start = b"", 0

    def read(self, at: int, count: int) -> bytes:
        """*count* bytes at *at*, or as many as there are."""
        count = min(count, self.size - at)
        if not self._start <= at <= at + count <= self._start + len(self._piece):
            self._piece, self._start = os.pread(self._descriptor, min(_STEP, self.size - at), at), at
        return self._piece[at - self._start : at - self._start + max(count, 0)]


def _frame_end(headers: _Headers, at: int) -> int | None:
    """Where the frame at *at* ends; None: beyond the end of the file. Raises ``Damaged``."""
    head = headers.read(at, _LONGEST_HEADER)
    if int.from_bytes(head[:4], "little") in _SKIPPABLE:  # never ours, so none of ours was torn
        end = at + 8 + int.from_bytes(head[4:8], "little")
        if len(head) < 8 or end > headers.size:
            raise Damaged(f"the skippable frame at byte {at} is not whole")
        return end
    if not head.startswith(MAGIC):
        if MAGIC.startswith(head) or _only_zeros(headers, at):  # a file system may lengthen a file before it fills it
            return None
        raise Damaged(f"there is no zstd frame at byte {at}")
    if len(head) < 5:
        return None
    flags = head[4]
    single = flags >> 5 & 1
    content_size = (single, 2, 4, 8)[flags >> 6]
    length = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + content_size
    return _blocks_end(headers, at + length, 4 if flags >> 2 & 1 else 0)


def _blocks_end(headers: _Headers, at: int, checksum: int) -> int | None:
    while at + 3 <= headers.size:
        header = int.from_bytes(headers.read(at, 3), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == 3 or size > _LARGEST_BLOCK:
            raise Damaged(f"there is no zstd block at byte {at}")
        at += 3 + (1 if kind == 1 else size)  # kind 1: one byte, repeated
        if last:
            return at + checksum if at + checksum <= headers.size else None
    return None


def _only_zeros(headers: _Headers, at: int) -> bool:
    while at < headers.size:
        piece = headers.read(at, _STEP)
        if piece.strip(b"\0"):
            return False
        at += len(piece)
    return True


def _require_readable(descriptor: int, start: int, end: int) -> None:
    """Raises ``Damaged`` when the frame does not match its checksum."""
    reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        while start < end:
            piece = os.pread(descriptor, min(_STEP, end - start), start)
            reader.decompress(piece)
            start += len(piece)
    except zstandard.ZstdError as error:
        raise Damaged(f"its last frame, which ends at byte {end}, is broken: {error}") from error
