"""Claims about the file sink beyond the contract of all sinks."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from pydantic import ValidationError
from structlog.testing import capture_logs

from collector.clock import ManualClock
from collector.config.paths import Place
from collector.sinks.base import SinkUnavailable, Surroundings
from collector.sinks.file import OPEN_FILES, FileSettings, FileSink
from collector.sinks.frames import MAGIC, Frames
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


def test_settings_resolve_their_path_and_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    """A setting that is ignored silently is a promise broken silently."""
    place = Place(tmp_path, {})
    table = {"type": "file", "path": "a/{date}.jsonl"}

    assert FileSettings.model_validate(table, context=place).path == str(tmp_path / "a" / "{date}.jsonl")
    with pytest.raises(ValidationError, match="'none' or 'zstd'"):
        FileSettings.model_validate({**table, "compression": "gzip"}, context=place)
    with pytest.raises(ValidationError, match=r"no \{day\}"):
        FileSettings.model_validate({**table, "path": "{day}"}, context=place)


def zstd(path: object, clock: ManualClock | None = None, **rotation: Any) -> FileSink:
    limits = (rotation.get("size"), rotation.get("age"))
    return FileSink(PathTemplate(str(path)), "winlogbeat", clock or ManualClock(), limits, Frames())


def opened(content: bytes) -> bytes:
    """All frames as one text; one that is not whole raises."""
    pieces = []
    while content:
        frame = zstandard.ZstdDecompressor().decompressobj()
        pieces.append(frame.decompress(content))
        assert frame.eof
        content = frame.unused_data
    return b"".join(pieces)


async def test_with_zstd_every_round_of_writes_is_a_frame_that_stands_alone(tmp_path: Path) -> None:
    """Whoever reads while we write, or after a crash, sees whole frames."""
    path = tmp_path / "f.jsonl.zst"
    target = zstd(path)
    await target.open()
    await target.write(records([made(1), made(2)], form="winlogbeat"))
    between = tree(tmp_path)["f.jsonl.zst"]
    await target.write(records([made(3)], form="winlogbeat"))
    await target.close()

    assert opened(between) == line(made(1)) + line(made(2))
    assert opened(tree(tmp_path)["f.jsonl.zst"]) == line(made(1)) + line(made(2)) + line(made(3))
    assert zstandard.get_frame_parameters(between).has_checksum


@pytest.mark.parametrize("kept", [1, 3, 4, 5, 12, -9, -5, -1])
async def test_a_torn_last_frame_is_cut_off_before_anything_is_appended(tmp_path: Path, kept: int) -> None:
    """Behind half a frame no reader finds the next one."""
    path = tmp_path / "f.zst"
    await write(zstd(path), [made(1)], [made(2)])
    whole = tree(tmp_path)["f.zst"]
    torn = zstandard.ZstdCompressor(write_checksum=True).compress(line(made(3)))[:kept]
    put(path, whole + torn)

    with capture_logs() as logs:
        await write(zstd(path), [made(4)])

    assert opened(tree(tmp_path)["f.zst"]) == b"".join(line(made(number)) for number in (1, 2, 4))
    assert [(entry["event"], entry["bytes"]) for entry in logs] == [("torn record cut off", len(torn))]


async def test_zeros_at_the_end_are_cut_off(tmp_path: Path) -> None:
    """What some file systems leave after a power cut: the new length, and nothing in it."""
    path = tmp_path / "f.zst"
    await write(zstd(path), [made(1)])
    put(path, tree(tmp_path)["f.zst"] + b"\0" * 100_000)

    await write(zstd(path), [made(2)])

    assert opened(tree(tmp_path)["f.zst"]) == line(made(1)) + line(made(2))


async def test_a_file_that_holds_something_else_is_set_aside_whole(tmp_path: Path) -> None:
    """Its bytes may be somebody's evidence: they are neither cut nor made unreadable by what follows them."""
    path = tmp_path / "f.jsonl.zst"
    await write(zstd(path), [made(1)])
    foreign = tree(tmp_path)["f.jsonl.zst"] + b"plain text\n"
    put(path, foreign)

    with capture_logs() as logs:
        await write(zstd(path), [made(2)])

    assert [entry["event"] for entry in logs] == ["damaged file set aside"]
    assert tree(tmp_path).keys() == {"f.damaged.jsonl.zst", "f.jsonl.zst"}
    assert tree(tmp_path)["f.damaged.jsonl.zst"] == foreign
    assert opened(tree(tmp_path)["f.jsonl.zst"]) == line(made(2))


async def test_a_last_frame_with_a_wrong_checksum_is_set_aside(tmp_path: Path) -> None:
    """It looks whole and is not; a reader would stop there and never see what we append."""
    path = tmp_path / "f.zst"
    await write(zstd(path), [made(1)], [made(2)])
    content = bytearray(tree(tmp_path)["f.zst"])
    content[-1] ^= 1
    put(path, bytes(content))

    await write(zstd(path), [made(3)])

    assert opened(tree(tmp_path)["f.zst"]) == line(made(3))
    assert tree(tmp_path)["f.damaged.zst"] == bytes(content)


async def test_zstd_files_are_rotated_by_their_size_on_the_disk_and_keep_their_endings(tmp_path: Path) -> None:
    """``zstd -d`` makes f.STAMP.jsonl of it, which tools know by its ending."""
    await write(zstd(tmp_path / "f.jsonl.zst", size=100), [made(1)], [made(2)])

    assert {name: opened(content) for name, content in tree(tmp_path).items()} == {
        "f.20260101T000000Z.jsonl.zst": line(made(1)),
        "f.jsonl.zst": line(made(2)),
    }


async def test_a_full_disk_leaves_no_half_frame(tmp_path: Path) -> None:
    """The same promise as for lines."""
    target = zstd(tmp_path / "f.zst")
    await target.open()
    await target.write(records([made(1)], form="winlogbeat"))
    whole = tree(tmp_path)["f.zst"]

    with full_disk(len(whole) + 50), pytest.raises(SinkUnavailable, match="File too large"):
        await target.write(records([made(2), made(3)], form="winlogbeat"))
    between = tree(tmp_path)["f.zst"]
    await target.write(records([made(2)], form="winlogbeat"))
    await target.close()

    assert between == whole
    assert opened(tree(tmp_path)["f.zst"]) == line(made(1)) + line(made(2))


async def test_zstd_files_of_more_computers_than_open_files_are_appended_to_again(tmp_path: Path) -> None:
    """A file that we closed ourselves is not walked again; one that somebody changed meanwhile is."""
    many = [made(number, computer=f"pc{number}") for number in range(OPEN_FILES + 5)]
    target = zstd(tmp_path / "{computer}.zst")
    await target.open()
    await target.write(records(many, form="winlogbeat"))
    put(tmp_path / "pc0.zst", tree(tmp_path)["pc0.zst"] + MAGIC)  # half a frame

    await target.write(records(many, form="winlogbeat"))
    await target.close()

    found = tree(tmp_path)
    assert len(found) == len(many)
    assert all(opened(content).count(b"\n") == 2 for content in found.values())


@pytest.mark.parametrize(
    ("compression", "path", "written"),
    [("none", "a", "a"), ("zstd", "a", "a.zst"), ("zstd", "a.zst", "a.zst"), ("zstd", "{date}.jsonl", None)],
)
async def test_the_name_says_that_a_file_is_compressed(
    tmp_path: Path, compression: str, path: str, written: str | None
) -> None:
    """Tools go by it, and a file that was plain yesterday must not get frames appended today."""
    settings = FileSettings.model_validate(
        {"type": "file", "path": path, "compression": compression}, context=Place(tmp_path, {})
    )

    await write(FileSink.build("sink", settings, Surroundings(tmp_path, ManualClock())), [made(1)])

    assert list(tree(tmp_path)) == [written or "2026-03-10.jsonl.zst"]


async def test_names_from_the_network_make_files_inside_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    """Computer and channel are what a source claims."""
    hostile = ["../../up", "..", "/etc/passwd", "a/b", "\x1b[2J", "con\0trol", ".hidden", "x" * 10_000, "", "\ud800"]
    events = [
        replace(made(number), key=made(number, computer=name, channel=name).key) for number, name in enumerate(hostile)
    ]

    await write(sink(tmp_path / "in" / "{computer}" / "{channel}.jsonl"), events)

    found = tree(tmp_path)
    assert all(name.startswith("in/") and name.count("/") == 2 and name.isprintable() for name in found)
    assert b"".join(found.values()).count(b"\n") == len(events)
