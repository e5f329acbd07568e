"""Our own collector as a bench wants it: a real ``wef serve`` on a core of its own, with one sink and every listener.

What it took is read from /proc, so a bench sees a foreign server with the same eyes. It must not know what is measured.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from collector.cli.tls import make_lab
from tests.bench.envelopes import machine_name
from tests.bench.load import Way
from tests.servers.server import free_port

SINKS: Final = {
    "null": 'type = "null"',
    "file": 'type = "file"\npath = "out/{date}.jsonl"',
    "raw file": 'type = "file"\npath = "out/{date}.xml"\nformat = "raw"',
    "events": 'type = "events"',
}
"""By the word of the table: what stands in [sinks.bench]."""
SUBSCRIPTION = 'name = "bench"\nread_existing_events = true\n[[select]]\nchannel = "Security"\n'
MANAGER = "/wsman/SubscriptionManager/WEC"
STARTING = 30.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Certificates:
    """A lab's folder; every machine has a certificate of its own, because one certificate is one source."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, machines: int) -> Certificates:
        make_lab(folder, "localhost", [machine_name(number) for number in range(machines + 1)])
        return cls(folder)

    def context(self, machine: int) -> ssl.SSLContext:
        stem = self.folder / "clients" / machine_name(machine)
        return client_context(self.folder / "ca.pem", Path(f"{stem}.pem"), Path(f"{stem}.key"))


def client_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(certificate, key)
    return context


class Server:
    """``wef serve`` with *sink*, the word of SINKS, on *core*; *pure*: without the compiled kernel. Close it."""

    def __init__(self, folder: Path, sink: str, lab: Certificates, core: int, *, pure: bool, realm: Any = None) -> None:
        self.folder = folder
        self._lab, self._realm = lab, realm
        self._ports = {"http": free_port(), "https": free_port(), "sealed": free_port()}
        self._monitoring = free_port()
        (folder / "subscriptions").mkdir(parents=True, exist_ok=True)
        (folder / "subscriptions" / "bench.toml").write_text(self._subscription())
        (folder / "collector.toml").write_text(self._settings(sink))
        environment = {**os.environ, "WEF_KERNEL": "pure" if pure else "", **(realm.environment if realm else {})}
        with (folder / "log").open("wb") as log:
            self._child = subprocess.Popen(
                ["taskset", "-c", str(core), sys.executable, "-m", "collector", "serve", "--config", "collector.toml"],
                cwd=folder,
                env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def way(self, transport: str) -> Way:
        """*transport*: http, https or sealed."""
        scheme = "https" if transport == "https" else "http"
        return Way(
            f"{scheme}://localhost:{self._ports[transport]}",
            self._lab.context if transport == "https" else None,
            self._realm.session if transport == "sealed" else None,
        )

    @property
    def monitoring(self) -> str:
        return f"http://127.0.0.1:{self._monitoring}"

    def wait(self) -> None:
        """Return when it is ready; AssertionError with its log when it will not be."""
        for _ in range(int(STARTING / 0.1)):
            assert self._child.poll() is None, (self.folder / "log").read_text()
            try:
                urllib.request.urlopen(f"{self.monitoring}/readyz", timeout=5).close()
            except (urllib.error.URLError, ConnectionError):
                rest(0.1)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def close(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        self._child.wait(60)

    def _subscription(self) -> str:
        return SUBSCRIPTION

    def _tables(self) -> Sequence[str]:
        """What stands in collector.toml besides the state, the log and the sink."""
        tls = self._lab.folder
        listeners = {
            "http": 'transport = "http"\nauthentication = ["none"]',
            "https": f'transport = "https"\ncertificate = "{tls}/server.pem"\nkey = "{tls}/server.key"\n'
            f'client_ca = ["{tls}/ca.pem"]',
        }
        if self._realm is not None:
            listeners["sealed"] = (
                f'transport = "http"\nauthentication = ["negotiate"]\nkeytab = {json.dumps(self._realm.keytab)}'
            )
        return [
            f'[listeners.{name}]\n{text}\naddress = "127.0.0.1"\nport = {self._ports[name]}\nhostname = "localhost"'
            for name, text in listeners.items()
        ]

    def _settings(self, sink: str) -> str:
        state = 'state = "state"\nname = "bench"\nmin_free = "64MiB"\n[log]\nlevel = "warning"'
        return "\n".join(
            (state, f"[monitoring]\nport = {self._monitoring}", *self._tables(), "[sinks.bench]", SINKS[sink], "")
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of CPU that a server and its children have taken so far."""

    user: float
    system: float

    @property
    def cpu(self) -> float:
        return self.user + self.system


def taken(pid: int) -> Taken:
    """What /proc says of *pid* and all below it."""
    user = system = 0.0
    for one in family(pid):
        columns = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        user, system = user + int(columns[11]), system + int(columns[12])
    return Taken(user / TICKS, system / TICKS)


def resident(pid: int) -> float:
    """Megabytes (10^6) of memory that *pid* and all below it hold."""
    return sum(_status(one, "VmRSS") for one in family(pid)) * 1024 / 1e6


def family(pid: int) -> Sequence[int]:
    found = [pid]
    for one in found:
        children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        found += [int(child) for child in children]
    return found


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def rest(seconds: float) -> None:
    """Wait; a bench has nothing better to do."""
    subprocess.run(["sleep", str(seconds)], check=True)


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """On the disk where the repository is, not in a /tmp that may be memory: a sync has to cost what it costs."""
    return tempfile.TemporaryDirectory(prefix=".bench-", dir=os.environ.get("WEF_BENCH_FOLDER") or "/var/tmp")
