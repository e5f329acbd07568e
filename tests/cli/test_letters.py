"""``wef letters``: what a sink rejected is seen, and comes back only when the sink really has it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest

from collector.app import Collector
from collector.cli.letters import Outcome, exit_code, offer_again, require_owner, throw_away
from collector.cli.settings import load_settings
from collector.errors import OperatorError
from collector.model import Key
from collector.store.base import Letter
from collector.store.sqlite import SqliteStore
from collector.store.state_folder import StateFolder
from tests.cli.running import wef
from tests.cli.site import NOW

pytestmark = pytest.mark.slow  # together they take several seconds

SETTINGS = """
min_free = "1KiB"
[monitoring]
port = 0
[sinks.archive]
type = "file"
path = "out/{computer}.jsonl"
[sinks.events]
type = "events"
[sinks.console]
type = "stdout"
patience = "10m"
"""


def letter(number: int, sink: str = "archive", **more: bytes) -> Letter:
    return Letter(
        f"id{number}", sink, "why", NOW, f"event{number}", more.get("record", b'{"n":%d}' % number),
        "stored" if sink == "events" else "winlogbeat", "pc", "sub", Key(1, f"PC{number}", "Security", "P", "1", 0),
    )  # fmt: skip


def site(folder: Path, *letters: Letter) -> Path:
    """Settings with letters in their state."""
    (folder / "subscriptions").mkdir()
    (folder / "subscriptions" / "one.toml").write_text('name = "one"\n[[select]]\nchannel = "Security"\n')
    path = folder / "collector.toml"
    path.write_text(SETTINGS)

    async def fill() -> None:
        state = StateFolder(folder / "state")
        state.create()
        store = SqliteStore.open(state.database)
        await store.save_letters(letters)
        await store.close()

    asyncio.run(fill())
    return path


def left(folder: Path) -> list[str]:
    """The ids of the letters in the state."""
    store = SqliteStore.open(StateFolder(folder / "state").database, readonly=True)
    found = [letter.id for letter in store.letters()]
    asyncio.run(store.close())
    return found


def command(path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "collector", "letters", *arguments, "--config", str(path)]


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: the command sends the log to its own stderr."""
    return subprocess.run(command(path, *arguments), capture_output=True, text=True, timeout=60, check=False)


def outcomes(found: Sequence[Outcome]) -> dict[str, str]:
    return {outcome.id: outcome.outcome for outcome in found}


def test_the_list_has_the_columns_of_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """contract.md 6: the record in full for programs, enough of it to recognise for people."""
    long = b'{"text":"' + b"x" * 500 + b'"}'
    path = site(tmp_path, letter(1), letter(2, "events", record=long))

    rows = wef(capsys, "letters", "list", "--config", path, "--json").rows
    people = wef(capsys, "letters", "list", "--config", path).out

    assert list(rows[0]) == ["id", "sink", "reason", "received", "event_id", "record"]
    assert [row["record"] for row in rows] == ['{"n":1}', long.decode()]
    assert "x" * 80 in people
    assert "x" * 101 not in people
    assert [row["id"] for row in wef(capsys, "letters", "list", "--sink", "events", "--config", path, "--json").rows] \
        == ["id2"]  # fmt: skip


def test_without_a_state_there_is_no_letter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And looking does not make one."""
    (tmp_path / "collector.toml").write_text("")

    ended = wef(capsys, "letters", "list", "--config", tmp_path / "collector.toml")

    assert (ended.code, ended.out) == (0, "There is no letter.\n")
    assert not (tmp_path / "state").exists()


def test_replay_without_a_collector_delivers_and_says_what_came_back(tmp_path: Path) -> None:
    """Exit 1: the answer is no for one of them; what is delivered is no letter any more."""
    path = site(tmp_path, letter(1), letter(2), letter(3, "events"))

    ended = run(path, "replay", "--all", "--json")

    assert ended.returncode == 1
    assert ended.stderr == ""
    assert [tuple(json.loads(line).values())[:3] for line in ended.stdout.splitlines()] == [
        ("id1", "archive", "delivered"), ("id2", "archive", "delivered"), ("id3", "events", "returned"),
    ]  # fmt: skip
    assert (tmp_path / "out" / "PC1.jsonl").read_bytes() == b'{"n":1}\n'
    assert left(tmp_path) == ["id3"]
    assert not StateFolder(tmp_path / "state").in_use()


def test_only_the_letters_that_were_named_are_replayed(tmp_path: Path) -> None:
    """By id, or by sink."""
    path = site(tmp_path, letter(1), letter(2), letter(3, "events"))

    assert run(path, "replay", "id2").stdout == "1 delivered\n"
    assert left(tmp_path) == ["id1", "id3"]
    assert run(path, "replay", "--sink", "archive").stdout == "1 delivered\n"
    assert left(tmp_path) == ["id3"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 64, "Say which letters"),
        (("id1", "--all"), 64, "Say which letters"),
        (("id1", "id9"), 1, "There is no letter id9; wef letters list shows them all."),
        (("--sink", "events"), 0, ""),
    ],
)
def test_a_selection_that_selects_nothing_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    """A slip of the pen must not replay a hundred thousand letters."""
    path = site(tmp_path, letter(1))

    ended = run(path, "replay", *arguments)

    assert (ended.returncode, text in ended.stderr) == (code, True)
    assert left(tmp_path) == ["id1"]


def test_a_sink_that_cannot_be_reached_or_is_gone_is_69(tmp_path: Path) -> None:
    """The letters stay as they were, the command says why."""
    path = site(tmp_path, letter(1), letter(2, "renamed"))
    (tmp_path / "out").write_text("no folder")

    ended = run(path, "replay", "--all", "--json")

    assert ended.returncode == 69
    assert "the settings have no sink renamed" in ended.stdout
    assert "PC1.jsonl" in ended.stdout
    assert left(tmp_path) == ["id1", "id2"]


async def test_a_running_collector_answers_within_a_second(tmp_path: Path) -> None:
    """Its sinks stay its own; the command only asks."""
    path = await asyncio.to_thread(site, tmp_path, letter(1), letter(3, "events"))
    settings = load_settings(str(path))
    collector = Collector(settings)
    await collector.start()
    try:
        async with asyncio.timeout(5):  # half a second in fact; this only ends a hang
            found = await offer_again(settings, {"id1": "archive", "id3": "events"}, 30.0)
    finally:
        await collector.stop("test")

    assert outcomes(found) == {"id1": "delivered", "id3": "returned"}
    assert await asyncio.to_thread((tmp_path / "out" / "PC1.jsonl").read_bytes) == b'{"n":1}\n'
    assert await asyncio.to_thread(left, tmp_path) == ["id3"]


async def test_a_collector_that_does_not_answer_leaves_the_letters_wanted(tmp_path: Path) -> None:
    """Exit 75: it may be busy or just ending; the next one offers them."""
    path = await asyncio.to_thread(site, tmp_path, letter(1))
    settings, folder = load_settings(str(path)), StateFolder(tmp_path / "state")
    folder.lock()  # as a collector that hangs would
    try:
        found = await offer_again(settings, {"id1": "archive"}, 0.0)
    finally:
        folder.unlock()

    assert outcomes(found) == {"id1": "waiting"}
    assert exit_code(found) == 75

    collector = Collector(settings)
    await collector.start()
    store = SqliteStore.open(folder.database, readonly=True)
    async with asyncio.timeout(10):
        while list(store.letters()):  # noqa: ASYNC110 - another task empties it, and says so nowhere else
            await asyncio.sleep(0.02)
    await store.close()
    await collector.stop("test")


def test_a_kill_in_the_middle_loses_no_letter(tmp_path: Path) -> None:
    """The record is half in a pipe when the command dies; the letter is still there and can be offered again."""
    big = b'{"text":"' + b"x" * 300_000 + b'"}'
    path = site(tmp_path, letter(1, "console", record=big))
    with subprocess.Popen(command(path, "replay", "--all"), stdout=subprocess.PIPE) as child:
        out: IO[bytes] | None = child.stdout
        assert out is not None
        assert out.read(10) == big[:10]  # so it is writing, and the pipe holds no more than 64 KiB
        os.kill(child.pid, signal.SIGKILL)
    assert left(tmp_path) == ["id1"]

    ended = run(path, "replay", "--all")

    assert ended.stdout == f"{big.decode()}\n1 delivered\n"
    assert left(tmp_path) == []


def test_the_worst_outcome_makes_the_exit_code() -> None:
    """Scripts see one number."""
    words = ["delivered", "returned", "waiting", "unreachable"]
    found = [Outcome(str(number), "sink", word) for number, word in enumerate(words)]

    assert [exit_code(found[: count + 1]) for count in range(4)] == [0, 1, 75, 69]
    assert exit_code([]) == 0


def test_without_a_collector_only_its_user_may_write_into_its_sinks(tmp_path: Path) -> None:
    """A file of root's in the archive would stop the collector at the next event."""
    folder = StateFolder(tmp_path)

    require_owner(folder, os.geteuid())
    with pytest.raises(OperatorError, match="Run it as that user") as refusal:
        require_owner(folder, os.geteuid() + 1)
    assert refusal.value.exit_code == 77


QUARANTINED = "computer: the event says 'DC01', its caller is PC01$@CORP.EXAMPLE"
QUOTING = "mapper_parsing_exception: computer: the event says 'DC01'"


def reasoned(folder: Path) -> Path:
    """Two letters of the archive, one of them from quarantine and one that quotes such a reason, and one of events."""
    return site(
        folder,
        replace(letter(1), reason=QUARANTINED),
        replace(letter(2), reason=QUOTING, received=NOW + timedelta(days=1)),
        letter(3, "events"),
    )


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (("id1", "id3"), ["id1", "id3"]),
        (("--sink", "archive"), ["id1", "id2"]),
        (("--sink", "archive", "--sink", "events"), ["id1", "id2", "id3"]),
        (("--reason", "COMPUTER:*"), ["id1"]),
        (("--reason", "computer"), []),
        (("--reason", "computer:*", "--reason", "why", "--sink", "events"), ["id3"]),
        (("--until", NOW.isoformat()), ["id1", "id3"]),
        (("--until", (NOW - timedelta(seconds=1)).isoformat()), []),
        (("--all",), ["id1", "id2", "id3"]),
    ],
)
def test_delete_takes_what_list_shows_and_says_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], gone: list[str]
) -> None:
    """A forged event could otherwise only be let go on. Half a reason selects nothing: a source may have written it."""
    path = reasoned(tmp_path)
    if arguments[0].startswith("--") and "--all" not in arguments:
        listed = wef(capsys, "letters", "list", *arguments, "--config", path, "--json").rows
        assert [row["id"] for row in listed] == gone

    ended = run(path, "delete", *arguments)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (f"{len(gone)} deleted\n" if gone else "There is no such letter.\n")
    assert left(tmp_path) == sorted({"id1", "id2", "id3"} - set(gone))
    assert not StateFolder(tmp_path / "state").in_use()


def test_delete_prints_each_letter_for_programs(tmp_path: Path) -> None:
    """What is gone for good should at least stand in somebody's log."""
    ended = run(reasoned(tmp_path), "delete", "--sink", "events", "--json")

    assert [json.loads(line) for line in ended.stdout.splitlines()] == [
        {"id": "id3", "sink": "events", "outcome": "deleted", "reason": ""}
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 64, "Say which letters"),
        (("id1", "--all"), 64, "Say which letters"),
        (("--all", "--sink", "archive"), 64, "Say which letters"),
        (("id1", "--until", "7d"), 64, "Say which letters"),
        (("--until", "yesterday"), 64, "--until: 'yesterday' is no time"),
        (("id1", "id9"), 1, "There is no letter id9"),
    ],
)
def test_a_slip_of_the_pen_deletes_nothing(tmp_path: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    """There is no way back."""
    ended = run(reasoned(tmp_path), "delete", *arguments)

    assert (ended.returncode, text in ended.stderr) == (code, True)
    assert left(tmp_path) == ["id1", "id2", "id3"]


def test_delete_without_a_state_makes_none(tmp_path: Path) -> None:
    """As list."""
    path = tmp_path / "collector.toml"
    path.write_text("")

    ended = run(path, "delete", "--all")

    assert (ended.returncode, ended.stdout) == (0, "There is no such letter.\n")
    assert not (tmp_path / "state").exists()


async def test_beside_a_running_collector_deleted_is_deleted_also_after_its_kill(tmp_path: Path) -> None:
    """It takes the letters from the state each time, so one that is gone is never offered again."""
    path = await asyncio.to_thread(reasoned, tmp_path)
    settings = load_settings(str(path))
    collector = Collector(settings)
    await collector.start()
    try:
        assert await asyncio.to_thread(lambda: run(path, "delete", "id1", "id3").stdout) == "2 deleted\n"
        assert await asyncio.to_thread(left, tmp_path) == ["id2"]
        found = await offer_again(settings, {"id2": "archive"}, 30.0)
    finally:
        await collector.stop("test")

    assert outcomes(found) == {"id2": "delivered"}
    assert not await asyncio.to_thread((tmp_path / "out" / "PC1.jsonl").exists)


@pytest.mark.parametrize("arguments", [("list",), ("delete", "--all"), ("replay", "--all")], ids=lambda words: words[0])
def test_a_damaged_state_is_a_sentence_and_74(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """And no traceback with exit code 1, which says that the answer is no."""
    path = site(tmp_path, *(letter(number, record=b"x" * 4000) for number in range(20)))
    database = StateFolder(tmp_path / "state").database
    content = bytearray(database.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    database.write_bytes(content)

    ended = wef(capsys, "letters", *arguments, "--config", path)

    assert ended.code == 74
    assert ended.err == f"{database} cannot be read: database disk image is malformed\n"


async def test_a_state_that_cannot_be_written_is_74(tmp_path: Path) -> None:
    """A full or failing disk: a sentence, and the letters are still there."""
    path = await asyncio.to_thread(reasoned, tmp_path)
    folder = StateFolder(tmp_path / "state")
    rival = sqlite3.connect(folder.database)
    rival.execute("CREATE TRIGGER keep BEFORE DELETE ON letter BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END")
    rival.commit()
    rival.close()

    with pytest.raises(OperatorError, match="disk I/O error") as refusal:
        await throw_away(load_settings(str(path)), ["id1"])

    assert refusal.value.exit_code == 74
    assert await asyncio.to_thread(left, tmp_path) == ["id1", "id2", "id3"]
    assert not folder.in_use()
