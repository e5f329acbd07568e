"""Claims about the file sink beyond the contract of all sinks."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from collector.clock import ManualClock
from collector.config.paths import Place
from collector.sinks.base import SinkUnavailable
from collector.sinks.file import OPEN_FILES, FileSettings, FileSink
from collector.sinks.template import PathTemplate
from tests.events.made import Made, made, records


def sink(path: object, clock: ManualClock | None = None, **rotation: Any) -> FileSink:
    limits = (rotation.get("size"), rotation.get("age"))
    return FileSink(PathTemplate(str(path)), "winlogbeat", clock or ManualClock(), limits)


async def write(target: FileSink, *batches: list[Made]) -> None:
    await target.open()
    for batch in batches:
        await target.write(records(batch, form="winlogbeat"))
    await target.close()


def line(event: Made) -> bytes:
    return orjson.dumps(event.document) + b"\n"


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process may grow beyond *size* bytes: the kernel writes what fits and refuses the rest."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def move(path: Path, new: Path) -> None:
    path.rename(new)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def test_each_event_goes_into_the_file_of_its_computer(tmp_path: Path) -> None:
    """A batch of a relay holds several machines' events."""
    one, two, three = made(1, computer="A"), made(2, computer="B"), made(3, computer="A")

    await write(sink(tmp_path / "{computer}" / "{date}.jsonl"), [one, two, three])

    assert tree(tmp_path) == {"A/2026-03-10.jsonl": line(one) + line(three), "B/2026-03-10.jsonl": line(two)}


@pytest.mark.parametrize("torn", [b'{"half": "a rec', b"x" * 200_000])
async def test_a_torn_last_line_is_mended_before_anything_is_appended(tmp_path: Path, torn: bytes) -> None:
    """Otherwise the next record is glued to it, and both are lost to every reader."""
    path, old, new = tmp_path / "f.jsonl", made(1), made(2)
    put(path, line(old) + torn)

    await write(sink(path), [new])

    assert tree(tmp_path) == {"f.jsonl": line(old) + line(new)}


async def test_a_file_that_is_all_torn_begins_anew(tmp_path: Path) -> None:
    """The very first record may be the one that was cut."""
    put(tmp_path / "f", b"no line end")

    await write(sink(tmp_path / "f"), [made(1)])

    assert tree(tmp_path) == {"f": line(made(1))}


async def test_more_computers_than_open_files(tmp_path: Path) -> None:
    """Names come from outside; descriptors do not grow with them, and a file that was closed is appended to again."""
    many = [made(n, computer=f"pc{n}") for n in range(OPEN_FILES + 20)]
    target = sink(tmp_path / "{computer}")

    await target.open()
    await target.write(records(many, form="winlogbeat"))
    assert len(target._open) == OPEN_FILES
    await target.write(records(many, form="winlogbeat"))
    await target.close()

    assert all(content.count(b"\n") == 2 for content in tree(tmp_path).values())


async def test_a_file_that_cannot_be_made_is_not_now_and_works_later(tmp_path: Path) -> None:
    """A disk that comes back needs no restart."""
    blocker, target = tmp_path / "folder", sink(tmp_path / "folder" / "f")
    put(blocker, b"")
    await target.open()

    with pytest.raises(SinkUnavailable, match=r"Not a directory|File exists"):
        await target.write(records([made(1)], form="winlogbeat"))
    move(blocker, tmp_path / "elsewhere")
    await target.write(records([made(1)], form="winlogbeat"))
    await target.close()

    assert tree(tmp_path) == {"elsewhere": b"", "folder/f": line(made(1))}


async def test_a_file_moved_away_is_made_anew(tmp_path: Path) -> None:
    """logrotate renames; writing on into a renamed or deleted file would be writing into nothing."""
    target = sink(tmp_path / "f")
    await target.open()
    await target.write(records([made(1)], form="winlogbeat"))
    move(tmp_path / "f", tmp_path / "f.1")
    await target.write(records([made(2)], form="winlogbeat"))
    await target.close()

    assert tree(tmp_path) == {"f": line(made(2)), "f.1": line(made(1))}


async def test_a_file_is_rotated_by_size_between_records(tmp_path: Path) -> None:
    """A rotated file is whole and never renamed over another."""
    await write(sink(tmp_path / "f.jsonl", size=100), [made(1)], [made(2)], [made(3)])

    assert tree(tmp_path) == {
        "f.20260101T000000Z.jsonl": line(made(1)),
        "f.20260101T000000Z-1.jsonl": line(made(2)),
        "f.jsonl": line(made(3)),
    }


async def test_a_file_is_rotated_when_its_day_is_over(tmp_path: Path) -> None:
    """Ages are whole periods, so one day's records stay together."""
    clock = ManualClock()
    target = sink(tmp_path / "f.jsonl", clock, age=86_400.0)
    await target.open()
    for number in (1, 2, 3):
        await target.write(records([made(number)], form="winlogbeat"))
        clock.advance(50_000)  # the third comes on the second day
    await target.close()

    assert tree(tmp_path) == {"f.20260102T034640Z.jsonl": line(made(1)) + line(made(2)), "f.jsonl": line(made(3))}


async def test_age_is_counted_across_restarts(tmp_path: Path) -> None:
    """A collector that restarts every hour still rotates every day."""
    await write(sink(tmp_path / "f"), [made(1)])
    os.utime(tmp_path / "f", (0, 1767225600 - 60))  # a minute before the clock's 2026-01-01

    await write(sink(tmp_path / "f", age=86_400.0), [made(2)])

    assert sorted(tree(tmp_path).values()) == sorted([line(made(1)), line(made(2))])


async def test_a_device_takes_lines_and_is_never_rotated() -> None:
    """``path = "/dev/null"`` is how people measure; renaming it would break the machine."""
    await write(sink("/dev/null", size=100), [made(1)], [made(2)])

    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116 - a path of the machine, not of the test


async def test_a_full_disk_leaves_no_half_line_and_a_later_try_succeeds(tmp_path: Path) -> None:
    """The lane offers the batch again; readers in between see whole, acknowledged records only."""
    target = sink(tmp_path / "f")
    await target.open()
    await target.write(records([made(1)], form="winlogbeat"))

    with full_disk(len(line(made(1))) + 50), pytest.raises(SinkUnavailable, match="File too large"):
        await target.write(records([made(2), made(3)], form="winlogbeat"))
    between = tree(tmp_path)
    await target.write(records([made(2), made(3)], form="winlogbeat"))
    await target.close()

    assert between == {"f": line(made(1))}
    assert tree(tmp_path) == {"f": line(made(1)) + line(made(2)) + line(made(3))}


def test_settings_resolve_their_path_and_refuse_what_is_not_built(tmp_path: Path) -> None:
    """A setting that is ignored silently is a promise broken silently."""
    place = Place(tmp_path, {})
    table = {"type": "file", "path": "a/{date}.jsonl"}

    assert FileSettings.model_validate(table, context=place).path == str(tmp_path / "a" / "{date}.jsonl")
    with pytest.raises(ValidationError, match="zstd"):
        FileSettings.model_validate({**table, "compression": "zstd"}, context=place)
    with pytest.raises(ValidationError, match=r"no \{day\}"):
        FileSettings.model_validate({**table, "path": "{day}"}, context=place)
