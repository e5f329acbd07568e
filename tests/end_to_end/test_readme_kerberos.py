"""README, "The same without a domain": followed word for word, it ends in sealed events that are stored.

The commands run as they stand there, in one shell, in a folder that looks like the clone; only what installs the
collector is left out, because the one under test is installed already.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, absent
from tests.end_to_end.stage import PATIENCE, json_lines
from tests.servers.distribution import Absent
from tests.servers.kdc import program

pytestmark = pytest.mark.slow  # a KDC and a collector in processes of their own

PORTS = (5985, 9598)
READY: Mapping[str, str] = {"tests.servers kdc": "answers until Ctrl-C", "wef serve": '"event": "listening"'}
"""What has to be read before the next command is typed: a person would wait for it too."""


def walk() -> tuple[str, list[str]]:
    """The settings and the commands of the section."""
    section = (
        (REPOSITORY / "README.md").read_text().split("\n### The same without a domain\n", 1)[1].split("\n## ", 1)[0]
    )
    (settings,) = re.findall(r"^```toml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    consoles = "".join(re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    return settings, [line[2:] for line in consoles.splitlines() if line.startswith("$ ")]


def taken(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of the clone as the commands need, and nothing in the real one."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    try:
        program("krb5kdc")
    except Absent as reason:
        absent(str(reason))
    for port in filter(taken, PORTS):
        absent(f"port {port} is taken, which the README's collector has; end what listens there")
    (tmp_path / "tests").symlink_to(REPOSITORY / "tests")
    (tmp_path / "subscriptions").symlink_to(REPOSITORY / "subscriptions")
    return tmp_path


@pytest.fixture
def shell(clone: Path) -> Iterator[subprocess.Popen[str]]:
    """An interactive reader: job numbers count, and what is left over at the end is killed."""
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    variables.pop("KRB5_CONFIG", None)
    with (clone / "said").open("wb") as said:
        shell = subprocess.Popen(
            ["bash", "-e"], cwd=clone, env=variables, stdin=subprocess.PIPE, stdout=said, stderr=said, text=True,
            start_new_session=True,
        )  # fmt: skip
    yield shell
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()


def heard(clone: Path) -> str:
    log = clone / "lab" / "log"
    return (clone / "said").read_text() + (log.read_text() if log.exists() else "")


def test_the_readme_is_followed_word_for_word_and_sealed_events_are_stored(
    clone: Path, shell: subprocess.Popen[str]
) -> None:
    """A text that was right once and never run again costs every newcomer an hour."""
    settings, commands = walk()
    assert "deploy/install" in commands.pop(0)
    ending = commands.pop()
    assert ending == "kill %2 %1"
    assert shell.stdin is not None

    for number, command in enumerate(commands):
        if command.startswith("export WEF_CONFIG"):
            (clone / "lab" / "collector.toml").write_text(settings)
        mark = f"typed-{number}"
        shell.stdin.write(f"{command}\necho {mark}\n")
        shell.stdin.flush()
        wanted = [mark, *(text for start, text in READY.items() if start in command)]
        wait_for(clone, shell, wanted)

    said = heard(clone)
    assert "was let in by kerberos, sealed" in said
    (verdict,) = re.findall(r"^ok: (\d+) of (\d+) events acknowledged", said, re.MULTILINE)
    assert verdict[0] == verdict[1] != "0"
    (found,) = json_lines("\n".join(line for line in said.splitlines() if line.startswith('{"@timestamp"')))
    assert re.fullmatch(r"WS-000[123]\$@WEF\.TEST", found["wef"]["client"]["principal"])
    shell.stdin.write(f"{ending}\nwait\n")
    shell.stdin.close()
    shell.wait(PATIENCE)
    assert not any(taken(port) for port in PORTS), "the last line ends them"


def wait_for(clone: Path, shell: subprocess.Popen[str], wanted: list[str]) -> None:
    give_up = time.monotonic() + 2 * PATIENCE
    while not all(text in heard(clone) for text in wanted):
        assert shell.poll() is None, heard(clone)
        assert time.monotonic() < give_up, heard(clone)
        os.sched_yield()
