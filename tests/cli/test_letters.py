"""``wef letters``: what a sink rejected is seen, and comes back only when the sink really has it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from collector.app import Collector
from collector.cli.letters import Outcome, exit_code, offer_again, require_owner
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
