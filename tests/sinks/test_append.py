"""What a file that only grows does beside the sink: names are made durable, and never taken from another file."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.sinks.append import AppendFile, rotate
from collector.sinks.frames import Lines


def test_every_folder_with_a_new_name_in_it_is_synced(tmp_path: Path) -> None:
    """A synced file in a folder that a power cut forgets is lost all the same."""
    synced: list[Path] = []

    AppendFile(tmp_path / "a" / "b" / "f", Lines().whole, sync=synced.append).close()

    assert sorted(synced) == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_the_folder_of_a_file_that_was_there_is_synced_too(tmp_path: Path) -> None:
    """Whoever made it may have been killed before its own sync."""
    synced: list[Path] = []
    (tmp_path / "f").write_bytes(b"line\n")

    AppendFile(tmp_path / "f", Lines().whole, sync=synced.append).close()

    assert synced == [tmp_path]


def test_rotation_never_takes_the_name_of_another_file(tmp_path: Path) -> None:
    """Two rotations in one second; names with and without endings."""
    made = []
    for name in ("f.jsonl", "f.jsonl", "f", "f.jsonl.zst", ".zst", "f.jsonl.zst"):
        (tmp_path / name).write_text(name)
        made.append(rotate(tmp_path / name, "S").name)

    assert made == ["f.S.jsonl", "f.S-1.jsonl", "f.S", "f.S.jsonl.zst", ".zst.S", "f.S-1.jsonl.zst"]


def test_what_a_write_leaves_over_is_written_by_the_next(tmp_path: Path) -> None:
    """The kernel may take a part of many batches, and from the middle of one; every line is there once, in order."""

    def little(descriptor: int, parts: Sequence[bytes | memoryview], offset: int) -> int:
        return os.pwrite(descriptor, b"".join(parts)[:7], offset)

    parts = [b"%d\n" % number for number in range(1200)]
    file = AppendFile(tmp_path / "f", Lines().whole, write=little)
    file.append([*parts, b"", b"the last line\n"])
    file.append([b""])
    file.sync()
    file.close()

    assert (tmp_path / "f").read_bytes() == b"".join(parts) + b"the last line\n"


def test_a_disk_that_fills_up_within_many_batches_keeps_nothing_of_them(tmp_path: Path) -> None:
    """All of them are offered again, and a half line between others would spoil two."""
    file = AppendFile(tmp_path / "f", Lines().whole)
    file.append([b"before\n"])
    file.sync()

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, before[1]))  # no file may grow beyond this
    try:
        with pytest.raises(OSError, match="too large"):
            file.append([b"x" * 999 + b"\n"] * 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = (tmp_path / "f").read_bytes()
    file.append([b"after\n"])
    file.close()

    assert found == b"before\n"
    assert (tmp_path / "f").read_bytes() == b"before\nafter\n"


def test_a_file_that_was_moved_away_is_noticed(tmp_path: Path) -> None:
    """Rotation tools rename; what came later would be lost with the old name."""
    file = AppendFile(tmp_path / "f", Lines().whole)
    before = file.still_there()
    (tmp_path / "f").rename(tmp_path / "f.1")
    gone = file.still_there()
    (tmp_path / "f").write_bytes(b"")
    another = file.still_there()
    file.close()

    assert (before, gone, another) == (True, False, False)
