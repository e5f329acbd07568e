"""What a file that only grows does beside the sink: names are made durable, and never taken from another file."""

from __future__ import annotations

from pathlib import Path

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
