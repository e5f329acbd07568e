"""A collector as its users run it: ``wef serve`` in a process of its own, with real TLS on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

WEF = [sys.executable, "-m", "collector"]
PATIENCE = 30.0


def wef(*arguments: str, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as a user would in *folder*."""
    done = subprocess.run([*WEF, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if check:
        assert done.returncode == 0, f"wef {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@dataclass
class Stage:
    """A folder with settings, certificates and subscriptions, and the collector that runs on it."""

    folder: Path
    port: int = field(default_factory=free_port)
    monitoring: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def build(cls, folder: Path, *, sinks: str, channels: Sequence[str], clients: Sequence[str], **extra: str) -> Stage:
        """*extra*: more text for the settings (``settings``) and for the subscription (``subscription``)."""
        stage = cls(folder)
        names = [word for client in clients for word in ("--client", client)]
        wef("tls", "init", "tls", "--server", "localhost", *names, folder=folder)
        selects = "\n".join(f'[[select]]\nchannel = "{channel}"' for channel in channels)
        (folder / "subscriptions").mkdir()
        (folder / "subscriptions" / "everything.toml").write_text(
            f'name = "everything"\nread_existing_events = true\n{extra.get("subscription", "")}\n{selects}\n'
        )
        (folder / "collector.toml").write_text(
            textwrap.dedent(f"""\
                min_free = "10MiB"
                {extra.get("settings", "")}
                [listeners.tls]
                transport = "https"
                address = "127.0.0.1"
                port = {stage.port}
                certificate = "tls/server.pem"
                key = "tls/server.key"
                client_ca = ["tls/ca.pem"]
                [monitoring]
                port = {stage.monitoring}
                """)
            + sinks
        )
        return stage

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/wsman/SubscriptionManager/WEC"

    def start(
        self,
        *,
        files: int | None = None,
        environment: Mapping[str, str] | None = None,
        stdout: IO[bytes] | int | None = None,
    ) -> None:
        """Start the collector, with so many descriptors at most, and wait until /readyz says so.

        *environment*: variables beside those of this process. *stdout*: where to, instead of into the log.
        """
        log = (self.folder / "collector.log").open("ab")
        out = log if stdout is None else stdout
        limited = ["prlimit", f"--nofile={files}"] if files else []
        variables = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(
            [*limited, *WEF, "serve"], cwd=self.folder, stdout=out, stderr=log, env=variables
        )
        log.close()
        give_up = time.monotonic() + PATIENCE
        while not self._ready():
            assert self.process.poll() is None, f"the collector ended:\n{self.log()}"
            assert time.monotonic() < give_up, f"the collector is not ready:\n{self.log()}"
            os.sched_yield()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9, as a power cut for the process."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def log(self) -> str:
        path = self.folder / "collector.log"
        return path.read_text() if path.exists() else ""

    def memory(self, *, most: bool = False) -> int:
        """Resident bytes of the collector; *most*: those that it ever had."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        wanted = "VmHWM" if most else "VmRSS"
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(wanted))) * 1024

    def seconds(self) -> float:
        """Processor seconds that the collector has used."""
        assert self.process is not None
        user, system = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def metrics(self) -> str:
        return self._get("/metrics").split("\r\n\r\n", 1)[1]

    def _ready(self) -> bool:
        try:
            return self._get("/readyz").startswith("HTTP/1.1 200")
        except OSError:
            return False

    def _get(self, path: str) -> str:
        with socket.create_connection(("127.0.0.1", self.monitoring), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        return received.decode()
