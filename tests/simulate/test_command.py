"""``wef simulate`` from outside: what it prints and how it exits."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

from tests.simulate.scripted import Offering, ScriptedCollector, collecting, event

pytestmark = pytest.mark.slow  # together they take several seconds


async def simulate(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from collector.cli.main import main; main()",
        "simulate",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_verdict_is_one_json_object_and_the_exit_code_agrees(tmp_path: Path) -> None:
    """contract.md 6; scripts and the acceptance of this project read it."""
    file = tmp_path / "e.jsonl"
    file.write_text("".join(json.dumps({"xml": event("System", number)}) + "\n" for number in range(3)))
    async with collecting(ScriptedCollector()) as collector:
        code, out, err = await simulate(
            "--url", collector.url, "--events", str(file), "--compression", "SLDC", "--json"
        )

    verdict = json.loads(out)
    assert verdict.pop("seconds") >= 0
    assert verdict == {"ok": True, "sent": 3, "acknowledged": 3, "duplicates": 0, "refused": 0}
    assert (code, err) == (0, "")


async def test_a_run_that_did_not_go_well_exits_with_1_and_says_why() -> None:
    """The sentence is for the person, the code for the script."""
    script = ScriptedCollector([Offering(query="<QueryList></QueryList>")])
    async with collecting(script) as collector:
        code, out, err = await simulate("--url", collector.url, "--sources", "1", "--rate", "50", "--duration", "100ms")

    assert code == 1
    assert out.startswith("NOT ok")
    assert "nothing is selected" in err


async def test_wrong_usage_is_explained_and_exits_with_64() -> None:
    """One sentence, no traceback."""
    code, _, err = await simulate("--url", "http://127.0.0.1/", "--duration", "soon")

    assert code == 64
    assert "'soon' is no duration" in err


async def test_on_a_terminal_a_line_shows_how_it_goes_and_leaves_nothing_behind() -> None:
    """Eighty columns hold it; the verdict is what remains."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    async with collecting(ScriptedCollector()) as collector:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector", "simulate", "--url", collector.url),
            *("--sources", "2", "--rate", "100", "--duration", "500ms"),
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": ""},
        )
        os.close(theirs)
        shown = asyncio.get_running_loop().run_in_executor(None, read_all, ours)
        out, _ = await process.communicate()

    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", await shown))
    assert any(line.startswith("⠋") for line in lines)
    assert any(" 2/2 sources " in line and " acknowledged " in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert out.decode().startswith("ok: ")


def read_all(terminal: int) -> str:
    """What was written to the other end of *terminal* until that was closed."""
    written = b""
    with contextlib.suppress(OSError):  # EIO: how Linux says that nobody has the other end open
        while piece := os.read(terminal, 65536):
            written += piece
    os.close(terminal)
    return written.decode()


async def test_two_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    """Which one was meant? Exit code 64."""
    file = str(tmp_path / "a")
    code, _, err = await simulate("--url", "http://127.0.0.1/", "--events", file, "--evtx", file)

    assert code == 64
    assert "--events and --evtx" in err
