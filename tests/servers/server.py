"""A server of its own for a test: started, waited for, stalled, killed, started again, and gone at the end.

What every server has in common. It must not know what is served; only the processes that it started
itself are ever signalled. Methods are synchronous and return within *timeout* (a test on an event loop
calls ``wait`` through ``asyncio.to_thread``).
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

KEEPER = Path(__file__).with_name("keeper.py")
FUNCTIONAL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Half the processor time of a start, and slower ever after: not for benchmarks."""
LOOK = 0.05
"""Seconds between two looks at a server that is starting."""
PORTS = range(20_000, 32_000)
"""Below what the kernel gives to outgoing connections (32768 and up): nobody takes one between choice and use."""


class NotStarted(Exception):
    """The server ended, or did not answer in time; the text has the end of its output."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    choice = random.SystemRandom()
    while True:
        port = choice.choice(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def open_folder(name: str) -> Path:
    """A new folder that every user may enter, with all its parents: Elasticsearch runs as nobody."""
    for place in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if all(above.stat().st_mode & 0o001 for above in (place, *place.parents)):
            break
    folder = Path(tempfile.mkdtemp(prefix=f"wef-{name}-", dir=place))
    folder.chmod(0o755)
    return folder


class Server:
    """One process (or a launcher with its child) and its folder, which is removed with it."""

    name = "server"
    patience = 180.0
    """Seconds until it must be ready, on a machine with other work."""

    def __init__(self) -> None:
        self.folder = open_folder(self.name)
        self.keeper: subprocess.Popen[str] | None = None
        self.leader = 0

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables on top of those of the tests."""
        return {}

    def prepare(self) -> None:
        """What must be there before the process starts; called at every start."""

    def ready(self) -> bool:
        """It answers."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it, or start it again with the data that it had; ``wait`` before using it."""
        assert not self.running, f"{self.name} runs already"
        self.prepare()
        self._spawn()
        return self

    def wait(self, timeout: float | None = None) -> Self:
        """Return when it answers. Raises ``NotStarted``."""
        give_up = time.monotonic() + (timeout or self.patience)
        while not self.ready():
            if not self.running or time.monotonic() > give_up:
                reason = "is not ready" if self.running else "ended"
                self.stop()
                raise NotStarted(f"{self.name} {reason}:\n{self.output()[-4000:]}")
            self._ended_within(LOOK)
        return self

    @property
    def running(self) -> bool:
        return self.keeper is not None and self.keeper.poll() is None

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self.running, f"{self.name} does not run"
        return self.leader

    def stall(self) -> None:
        """SIGSTOP: connections stay open, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after ``stall``."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, as a power cut: what it had not yet written is gone. ``start`` brings it back."""
        if self.running:
            os.killpg(self.leader, signal.SIGKILL)
        self._forget()

    def stop(self, timeout: float = 20.0) -> None:
        """SIGTERM, and kill -9 after *timeout* seconds. ``start`` brings it back."""
        if self.running:
            os.killpg(self.leader, signal.SIGCONT)  # what is stalled does not hear SIGTERM
            os.kill(self.leader, signal.SIGTERM)
            if not self._ended_within(timeout):
                os.killpg(self.leader, signal.SIGKILL)
        self._forget()

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def output(self) -> str:
        """What it has printed since the first start."""
        log = self.folder / "output.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()

    def _spawn(self) -> None:
        keep = [sys.executable, "-I", "-S", str(KEEPER), str(self.folder), *self.command()]
        with (self.folder / "output.log").open("ab") as log:
            self.keeper = subprocess.Popen(
                keep,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it in order
                text=True,
            )
        assert self.keeper.stdout is not None
        said = self.keeper.stdout.readline()
        if not said:
            self._forget()
            raise NotStarted(f"{self.name} cannot be started:\n{self.output()[-4000:]}")
        self.leader = int(said)

    def _ended_within(self, seconds: float) -> bool:
        """Wait for its end, at most so long."""
        if self.keeper is None or self.keeper.poll() is not None:
            return True
        ended = os.pidfd_open(self.keeper.pid)
        try:
            return bool(select.select([ended], [], [], seconds)[0])
        finally:
            os.close(ended)

    def _forget(self) -> None:
        """The keeper has ended or is about to; its pipes close last, because closing them means that we died."""
        if self.keeper is None:
            return
        assert self.keeper.stdin is not None
        assert self.keeper.stdout is not None
        self.keeper.wait()
        self.keeper.stdin.close()
        self.keeper.stdout.close()
        self.keeper = None
