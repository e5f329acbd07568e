"""Bodies in blocks: many lines compressed together, read back by their number. No files here."""

from __future__ import annotations

import zstandard

BLOCK_SIZE = 512 * 1024
"""Bytes of documents after which a block is closed: large enough to compress ten to one, small enough
that reading one event of it costs well under a millisecond."""

_MOST = 256 * 2**20
"""No block of ours unpacks to more (one event may be larger than BLOCK_SIZE, but is bounded by the body limit);
a damaged length must not be believed."""


class BlockDamaged(Exception):
    """A block that cannot be read back as it was written."""


class Packer:
    """Lines to a block. zstd level 1: the fastest by far and nearly as small (performance.md 5)."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)

    def pack(self, lines: bytes) -> bytes:
        """*lines* are joined by LF."""
        return self._zstd.compress(lines)


class Unpacker:
    """Blocks to lines."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()

    def unpack(self, block: bytes) -> bytes:
        """The lines of a block, still joined by LF. Raises ``BlockDamaged``."""
        try:
            size = zstandard.frame_content_size(block)
            if not 0 <= size <= _MOST:
                raise BlockDamaged(f"a block claims {size} bytes; none of ours holds more than {_MOST}")
            return self._zstd.decompress(block) if size else b""
        except zstandard.ZstdError as error:
            raise BlockDamaged(f"a block of {len(block)} bytes does not unpack: {error}") from error
