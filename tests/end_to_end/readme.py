"""A section of the README, followed word for word in one shell, in a folder that looks like the clone.

Only what installs the collector is left out, because the one under test is installed already. It must not know what the
section is about.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import REPOSITORY, absent
from tests.end_to_end.stage import PATIENCE
from tests.servers.distribution import Absent
from tests.servers.kdc import program

READY: Mapping[str, str] = {
    "python3 -m tests.servers kdc": "answers until Ctrl-C",
    "wef serve": '"event": "ready"',
    "wef simulate --serve": "Waiting for a collector",
}
"""What has to be read before the next command is typed: a person would wait for it too."""
_BLOCK = re.compile(r"^```(toml|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w/.-]+\.toml)`")


def section(title: str) -> str:
    """What stands below ``### title``."""
    return (REPOSITORY / "README.md").read_text().split(f"\n### {title}\n", 1)[1].split("\n## ", 1)[0]


class Walk:
    """A reader, who types what stands there into an interactive shell: job numbers count."""

    def __init__(self, clone: Path, shell: subprocess.Popen[str]) -> None:
        self.clone = clone
        self._shell = shell
        self._typed = 0

    def follow(self, text: str) -> None:
        """Write the files and type the commands of *text*, in its order; a file is named in the words before it."""
        end = 0
        for block in _BLOCK.finditer(text):
            if block[1] == "toml":
                (self.clone / _FILE.findall(text[end : block.start()])[-1]).write_text(block[2])
            for command in (line[2:] for line in block[2].splitlines() if line.startswith("$ ")):
                if "deploy/install" not in command:
                    self.type(command)
            end = block.end()

    def type(self, command: str) -> None:
        """Type *command*, and wait until it is done or, where it goes on, works."""
        assert self._shell.stdin is not None
        self._typed += 1
        mark = f"typed-{self._typed}\n"
        for begun_anew in re.findall(r"2> (\S+)", command):
            (self.clone / begun_anew).unlink(missing_ok=True)
        before = self.heard()
        self._shell.stdin.write(f"{command}\necho {mark}")
        self._shell.stdin.flush()
        wanted = [text for start, text in READY.items() if command.startswith(start)]
        give_up = time.monotonic() + 2 * PATIENCE
        while True:
            heard = self.heard()
            if mark in heard and all(heard.count(text) > before.count(text) for text in wanted):
                return
            assert self._shell.poll() is None, heard
            assert time.monotonic() < give_up, heard
            with suppress(subprocess.TimeoutExpired):
                self._shell.wait(0.05)

    def heard(self) -> str:
        """Everything that was said, on the screen and in logs."""
        logs = (path.read_text() for path in sorted(self.clone.glob("*/log")))
        return (self.clone / "said").read_text() + "".join(logs)


def taken(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def walking(clone: Path, ports: Sequence[int]) -> Iterator[Walk]:
    """Someone who walks through a section with a realm of its own in *clone*, and needs *ports*: one at a time."""
    if importlib.util.find_spec("gssapi") is None:
        absent("the Python package gssapi is not there: tests/servers/install builds it, with gcc and libkrb5-dev")
    try:
        program("krb5kdc")
    except Absent as reason:
        absent(str(reason))
    with (Path(tempfile.gettempdir()) / f"wef-readme-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other sections have the same ports
        for port in filter(taken, ports):
            absent(f"port {port} is taken, which the README's collector has; end what listens there")
        for folder in ("tests", "subscriptions"):
            (clone / folder).symlink_to(REPOSITORY / folder)
        variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        variables.pop("KRB5_CONFIG", None)
        with (clone / "said").open("wb") as said:
            shell = subprocess.Popen(
                ["bash", "-e"], cwd=clone, env=variables, stdin=subprocess.PIPE, stdout=said, stderr=said, text=True,
                start_new_session=True,
            )  # fmt: skip
        try:
            yield Walk(clone, shell)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
            assert shell.stdin is not None
            shell.stdin.close()
