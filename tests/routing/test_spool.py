"""A spool gives back what it took, in order, whatever happens to the process or to the disk."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from collector.errors import Backpressure, OperatorError
from collector.model import Key, Records
from collector.routing.packing import footprint, pack, unpack
from collector.routing.spool import Spool, SpoolFull
from tests.routing.scripted_sink import RECEIVED, records

MUCH = 2**30

CHILD = """
import asyncio, sys
from pathlib import Path
from collector.routing.spool import Spool
from tests.routing.scripted_sink import records

async def main():
    spool = Spool.open(Path(sys.argv[1]), 2**30)
    number = 0
    while True:
        await asyncio.gather(*(spool.append(records(f"{number + i}")) for i in range(4)))
        number += 4
        print(number, flush=True)

asyncio.run(main())
"""


async def ids_in(spool: Spool) -> list[str]:
    return [identifier for share in await spool.oldest(10_000, MUCH) for identifier in share.records.ids]


async def test_a_share_comes_back_as_it_was_after_a_restart(tmp_path: Path) -> None:
    """Format, ids, keys, origin and every byte: a sink must not see that there was a detour."""
    share = records("a", "b", source="pc07")
    odd = Records("raw", b"x\n", share.ends[:0], ["\ud800"], [Key(0, "\ud800", "", "", "", 0)], "", "", RECEIVED)
    spool = Spool.open(tmp_path / "s.sqlite", MUCH)
    await asyncio.gather(spool.append(share), spool.append(odd))
    await spool.close()

    again = Spool.open(tmp_path / "s.sqlite", MUCH)

    assert [found.records for found in await again.oldest(9, MUCH)] == [share, odd]
    assert (again.shares, again.bytes, again.oldest_received) == (2, footprint(share) + footprint(odd), RECEIVED)
    await again.close()


async def test_what_was_appended_before_a_kill_is_there_after_it_in_order(tmp_path: Path) -> None:
    """The lane has confirmed it: the source has forgotten it by now."""
    file = tmp_path / "s.sqlite"
    promised = await asyncio.to_thread(_append_until_killed, file)

    spool = Spool.open(file, MUCH)
    found = [int(identifier) for identifier in await ids_in(spool)]
    await spool.close()

    assert found == list(range(len(found)))
    assert len(found) >= promised >= 40


def _append_until_killed(file: Path) -> int:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(file)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        promised = 0
        while promised < 40:
            promised = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        return max([promised, *(int(line) for line in child.stdout.read().split())])


async def test_a_full_spool_says_so_at_once_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    """The source hears 503 now, not after a minute; and nothing of the share is half kept."""
    share = records("a")
    spool = Spool.open(tmp_path / "s.sqlite", 2 * footprint(share))
    waiting = [spool.append(share), spool.append(records("b"))]

    with pytest.raises(SpoolFull, match=r"s\.sqlite") as refusal:  # also while the others are still on their way
        spool.append(records("c"))
    assert refusal.value.reason == "spool_full"
    first, _ = await asyncio.gather(*waiting)
    with pytest.raises(SpoolFull):
        spool.append(records("c"))
    await spool.remove([first])
    await spool.append(records("d"))

    assert await ids_in(spool) == ["b", "d"]
    await spool.close()


async def test_removed_shares_are_gone_for_good_and_positions_never_come_again(tmp_path: Path) -> None:
    """A late success removes its row by position; it must never hit somebody else's."""
    spool = Spool.open(tmp_path / "s.sqlite", MUCH)
    positions = [await spool.append(records(name)) for name in "abc"]
    await spool.remove(positions)
    await spool.remove(positions)
    await spool.close()

    again = Spool.open(tmp_path / "s.sqlite", MUCH)
    later = await again.append(records("d"))

    assert await ids_in(again) == ["d"]
    assert later > max(positions)
    assert again.shares == 1
    await again.close()
    assert (again.bytes, again.oldest_received) == (footprint(records("d")), RECEIVED)


async def test_reading_is_bounded_by_bytes_but_always_gives_one(tmp_path: Path) -> None:
    """A spool of gigabytes is drained with a few megabytes of memory, and a big share does not get stuck."""
    spool = Spool.open(tmp_path / "s.sqlite", MUCH)
    for name in "abcd":
        await spool.append(records(name, size=50_000))

    assert len(await spool.oldest(10, 1)) == 1
    assert len(await spool.oldest(10, 120_000)) == 2
    assert len(await spool.oldest(3, MUCH)) == 3
    await spool.close()


async def test_emptied_space_is_given_back(tmp_path: Path) -> None:
    """After an outage the disk must not stay as full as it was."""
    file = tmp_path / "s.sqlite"
    spool = Spool.open(file, MUCH)
    positions = [await spool.append(records(str(n), size=1_000_000)) for n in range(24)]
    for position in positions:
        await spool.remove([position])
    for _ in range(8):  # it is given back in small portions, with every removal
        await spool.remove([await spool.append(records("x"))])
    await spool.close()

    assert file.stat().st_size < 10_000_000


async def test_a_damaged_share_is_set_aside_alone(tmp_path: Path) -> None:
    """One flipped bit must not cost the neighbours, nor stop the lane for ever."""
    file = tmp_path / "s.sqlite"
    spool = Spool.open(file, MUCH)
    for name in "abc":
        await spool.append(records(name))
    await spool.close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE share SET block = 'BAD' || substr(block, 4) WHERE position = 2")
    connection.close()

    again = Spool.open(file, MUCH)

    assert await ids_in(again) == ["a", "c"]
    assert again.shares == 2
    assert b"BAD" in (tmp_path / "s.damaged-share-2").read_bytes()
    await again.close()


async def test_a_file_that_is_no_database_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    """The collector has to start: sources wait, and their logs roll over."""
    file = tmp_path / "s.sqlite"
    file.write_bytes(b"rubbish " * 1000)

    spool = Spool.open(file, MUCH)
    await spool.append(records("a"))

    assert await ids_in(spool) == ["a"]
    assert (tmp_path / "s.damaged-file-1").read_bytes().startswith(b"rubbish")
    await spool.close()


async def test_what_can_be_read_of_a_broken_file_is_saved(tmp_path: Path) -> None:
    """Those records were acknowledged; the far end has not seen them; only this file has them."""
    file = tmp_path / "s.sqlite"
    spool = Spool.open(file, MUCH)
    for number in range(60):
        await spool.append(records(str(number), size=3000))
    await spool.close()
    _break_the_middle_of(file)

    again = Spool.open(file, MUCH)
    found = [int(identifier) for identifier in await ids_in(again)]
    position = await again.append(records("new"))
    await again.close()

    assert found == sorted(found)
    assert found[0] == 0
    assert 30 < len(found) < 60
    assert position > 60
    assert found != list(range(60))


def _break_the_middle_of(file: Path) -> None:
    """Overwrite pages of the table; the index and the first page stay whole."""
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2 // 4096 * 4096)
        stream.write(b"\xff" * 4096 * 3)


async def test_a_file_that_breaks_while_it_is_used_is_replaced_and_the_append_succeeds(tmp_path: Path) -> None:
    """Disks break at three in the morning; the share at hand must not be lost for it."""
    file = tmp_path / "s.sqlite"
    spool = Spool.open(file, MUCH)
    kept = [await spool.append(records(str(number), size=3000)) for number in range(30)]
    spool._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool._connection.execute("PRAGMA cache_size = 0")
    _overwrite(file, after=4096 * 2)

    position = await spool.append(records("new"))

    assert position > kept[-1]
    assert "new" in await ids_in(spool)
    assert spool.shares == len(await spool.oldest(1000, MUCH))
    await spool.close()


def _overwrite(file: Path, *, after: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(after)
        stream.write(b"\xff" * (file.stat().st_size - after))


async def test_a_disk_that_refuses_is_backpressure_and_ends_by_itself(tmp_path: Path) -> None:
    """Full now, room later: nothing has to be restarted, and what was refused is not counted."""
    spool = Spool.open(tmp_path / "s.sqlite", MUCH)
    await spool.append(records("a"))
    before = spool.bytes
    pages = spool._connection.execute("PRAGMA page_count").fetchone()[0]
    spool._connection.execute(f"PRAGMA max_page_count = {pages}")

    outcomes = await asyncio.gather(
        spool.append(records("big", size=200_000)), spool.append(records("b")), return_exceptions=True
    )

    assert isinstance(outcomes[0], Backpressure)
    assert outcomes[0].reason == "state"
    assert isinstance(outcomes[1], int)
    assert spool.bytes == before + footprint(records("b"))
    spool._connection.execute("PRAGMA max_page_count = 1000000")
    await spool.append(records("c", size=200_000))
    assert await ids_in(spool) == ["a", "b", "c"]
    await spool.close()


def test_a_spool_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """A missing folder is a person's to mend."""
    with pytest.raises(OperatorError, match="cannot be opened"):
        Spool.open(tmp_path / "missing" / "s.sqlite", MUCH)


def test_no_flipped_bit_passes_the_checksum() -> None:
    """Bytes that changed on the disk must never reach a sink as evidence."""
    share = records("a", "b")
    head, checksum = pack(share)
    assert unpack(head, share.block, checksum) == share

    for part in range(len(head)):
        with pytest.raises(ValueError, match="checksum"):
            unpack(head[:part] + bytes([head[part] ^ 4]) + head[part + 1 :], share.block, checksum)
    for part in range(len(share.block)):
        block = share.block[:part] + bytes([share.block[part] ^ 1]) + share.block[part + 1 :]
        with pytest.raises(ValueError, match="checksum"):
            unpack(head, block, checksum)
