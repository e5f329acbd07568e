"""Finding the whole end of a file of zstd frames by their headers alone."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import zstandard

from collector.sinks.frames import Damaged, Frames, last_frame


def walked(path: Path, content: bytes) -> tuple[int, int]:
    path.write_bytes(content)
    with path.open("rb") as stream:
        return last_frame(stream.fileno(), len(content))


def frame(content: bytes, level: int = 1, **settings: Any) -> bytes:
    return zstandard.ZstdCompressor(level=level, **settings).compress(content)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


FRAMES = {
    "empty": frame(b""),
    "small": frame(b"x"),
    "one byte repeated": frame(b"x" * 1_000_000),
    "not compressible": frame(noise(300_000)),
    "many blocks": frame(b"".join(b"%d," % number for number in range(200_000)), level=3),
    "checksum": frame(b"abc" * 100, write_checksum=True),
    "no content size": frame(b"abc" * 1000, write_content_size=False),
    "64 KiB": frame(noise(65_536)),
    "skippable": b"\x5a\x2a\x4d\x18\x05\x00\x00\x00hello",
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_kind_of_frame_is_measured(tmp_path: Path, name: str) -> None:
    """Frames of other programs too: an archive may have been made elsewhere."""
    one, other = FRAMES[name], FRAMES["small"]

    assert walked(tmp_path / "f", one) == (0, len(one))
    assert walked(tmp_path / "f", other + one) == (len(other), len(other) + len(one))
    assert walked(tmp_path / "f", one + other) == (len(one), len(one) + len(other))


@pytest.mark.parametrize("name", ["small", "not compressible", "checksum", "no content size"])
def test_wherever_a_frame_is_cut_the_one_before_it_is_the_last(tmp_path: Path, name: str) -> None:
    """A crash cuts where it wants."""
    before, torn = FRAMES["checksum"], FRAMES[name]
    cuts = {*range(1, min(len(torn), 40)), *range(max(1, len(torn) - 10), len(torn)), len(torn) // 2}

    for cut in sorted(cuts):
        assert walked(tmp_path / "f", before + torn[:cut]) == (0, len(before)), cut


@pytest.mark.parametrize(
    "foreign", [b"plain text", b"\x28\xb5\x2f\xfe....", b"\0\0\0x", b"\x5f\x2a\x4d\x19abcdefgh", b"\x5a\x2a"]
)
def test_what_is_no_frame_is_damage_and_not_a_torn_frame(tmp_path: Path, foreign: bytes) -> None:
    """Only what a crash of ours can leave may be cut off."""
    with pytest.raises(Damaged, match=f"no zstd frame at byte {len(FRAMES['small'])}"):
        walked(tmp_path / "f", FRAMES["small"] + foreign)


def test_a_block_that_cannot_be_is_damage(tmp_path: Path) -> None:
    """Its length would lead anywhere."""
    with pytest.raises(Damaged, match="no zstd block"):
        walked(tmp_path / "f", FRAMES["small"][:6] + b"\xff" * 50)


def test_a_long_file_is_walked_to_its_end(tmp_path: Path) -> None:
    """Headers lie on both sides of every border of what is read at once."""
    frames = [frame(noise(number % 977)) for number in range(3000)]

    assert walked(tmp_path / "f", b"".join(frames) + frames[0][:-1]) == (
        sum(map(len, frames[:-1])),
        sum(map(len, frames)),
    )


def test_a_file_that_was_closed_whole_is_not_walked_again(tmp_path: Path) -> None:
    """Thousands of computers, a hundred open files: each opening would read the whole day."""
    content, path = Frames(), tmp_path / "f"
    path.write_bytes(b"no frame at all, but nobody looks")
    with path.open("rb") as stream:
        size = path.stat().st_size
        with pytest.raises(Damaged):
            content.whole(stream.fileno(), size)

        content.closed(os.fstat(stream.fileno()))

        assert content.whole(stream.fileno(), size) == size
