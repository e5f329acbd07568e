"""The whole server under load: ``python -m tests.bench pipeline [--help]`` prints one table.

A real ``wef serve`` on one core, this bench on another, sources that send what Windows sends: UTF-16 with its BOM,
plain or SLDC, over http, https with a certificate for each machine, or sealed with Kerberos. No two events are the
same. Every server of the table is up all the time, and each round measures every row once with each kernel, so that
both have met the same machine. The figure that counts is events per second of one core, that is per second of the
server's own CPU: other programs take time away from a server, but seldom CPU.

Nothing is asserted; ``--quick`` takes two minutes, the whole table about fifteen. ``--memory MINUTES`` prints
instead how much memory a server holds at rest and under load.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from collector.kernel import selection
from tests.bench.envelopes import Template, templates
from tests.bench.load import Load, Outcome, learn, target_of
from tests.bench.serving import MANAGER, SINKS, Certificates, Server, new_folder, resident, rest, taken

if TYPE_CHECKING:
    from tests.bench.realm import Realm

POOL: Final = 8
"""Different messages of a load; more of them are other numbers in the same texts."""
WARM: Final = 0.7
HEAD: Final = (
    "| sink | transport | encoding | events/message | connections | kernel | events/s of one core | CPU us/event |"
    " p50 ms | p99 ms | measured events/s | server's core | load's core |"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent where: *size* events in each message over *connections*."""

    sink: str
    transport: str = "https"
    encoding: str = "plain"
    rendered: bool = False
    size: int = 100
    connections: int = 8

    @property
    def spelled(self) -> str:
        return f"{self.encoding}, rendered" if self.rendered else self.encoding


QUICK: Final = (
    Row("null"), Row("null", encoding="sldc"), Row("file"), Row("file", encoding="sldc"), Row("events"),
    Row("file", size=10), Row("raw file"),
)  # fmt: skip
WHOLE: Final = (
    Row("null", "http"), *QUICK, Row("null", rendered=True), Row("events", encoding="sldc"), Row("events", size=10),
    Row("raw file", encoding="sldc"), Row("file", "sealed"), Row("file", "sealed", "sldc"),
    Row("file", connections=64), Row("file", connections=200),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """One row once: what the load saw, and the seconds of CPU that the server took meanwhile."""

    outcome: Outcome
    cpu: float

    @property
    def cost(self) -> float:
        """Microseconds of CPU for an event."""
        return self.cpu / self.outcome.events * 1e6


class Field:
    """Everything that a table needs: certificates, perhaps a realm, and a server for each sink and kernel."""

    def __init__(self, folder: Path, lab: Certificates, realm: Realm | None, cores: tuple[int, int]) -> None:
        self._folder, self._lab, self._realm, self._core = folder, lab, realm, cores[0]
        self._numbers = itertools.count()
        self._servers: dict[tuple[str, str], Server] = {}
        self._messages: dict[tuple[object, ...], list[Template]] = {}
        self.ending = contextlib.ExitStack()
        os.sched_setaffinity(0, {cores[1]})

    def server(self, sink: str, kernel: str) -> Server:
        if (sink, kernel) not in self._servers:
            place = self._folder / f"{sink.replace(' ', '-')}-{kernel}"
            server = Server(place, sink, self._lab, self._core, pure=kernel == "pure", realm=self._realm)
            self.ending.callback(server.close)
            server.wait()
            self._servers[sink, kernel] = server
        return self._servers[sink, kernel]

    def measure(self, row: Row, kernel: str, seconds: float, rate: float = 0.0) -> Sample:
        """*rate*: events per second of all connections together; 0: as many as are acknowledged."""
        server = self.server(row.sink, kernel)
        with self.load(row, server) as load:
            load.drive(self._numbers, 0.0, WARM)
            before = taken(server.pid)
            outcome = load.drive(self._numbers, seconds, 0.0, rate / row.size)
            sample = Sample(outcome, taken(server.pid).cpu - before.cpu)
            load.finish()
        return sample

    @contextlib.contextmanager
    def load(self, row: Row, server: Server) -> Iterator[Load]:
        way, sldc = server.way(row.transport), row.encoding == "sldc"
        offer = learn(way, MANAGER)
        kind = (row.size, row.rendered, sldc, offer.version, offer.notify_to)
        if kind not in self._messages:
            self._messages[kind] = templates(POOL, row.size, target_of(offer), rendered=row.rendered, sldc=sldc)
        path = urlsplit(offer.notify_to or "").path
        with contextlib.closing(Load(way, path, self._messages[kind], row.connections, sldc=sldc)) as load:
            yield load


def table(field: Field, rows: Sequence[Row], kernels: Sequence[str], asked: argparse.Namespace) -> None:
    found: dict[tuple[Row, str], list[Sample]] = {(row, kernel): [] for row in rows for kernel in kernels}
    for row, kernel in found:
        field.server(row.sink, kernel)
    for number in range(asked.rounds):
        for row, kernel in found:
            found[row, kernel].append(field.measure(row, kernel, asked.seconds, asked.rate))
        print(f"round {number + 1} of {asked.rounds} is done", flush=True)
    print(f"\n{HEAD}\n{'|---' * HEAD.count(' | ')}|---|")
    for (row, kernel), samples in found.items():
        print(line(row, kernel, samples))


def line(row: Row, kernel: str, samples: Sequence[Sample]) -> str:
    """Medians over the rounds."""

    def middle(values: Iterator[float]) -> float:
        return statistics.median(values)

    outcomes = [sample.outcome for sample in samples]
    cost = middle(sample.cost for sample in samples)
    cells = (
        row.sink, row.transport, row.spelled, row.size, row.connections, kernel, f"{1e6 / cost:,.0f}", f"{cost:.1f}",
        f"{middle(one.percentile(0.5) for one in outcomes):.1f}",
        f"{middle(one.percentile(0.99) for one in outcomes):.1f}",
        f"{middle(one.rate for one in outcomes):,.0f}",
        f"{middle(sample.cpu / sample.outcome.seconds for sample in samples):.0%}",
        f"{middle(one.busy for one in outcomes):.0%}",
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def memory(field: Field, kernel: str, minutes: float, rate: float) -> None:
    """Prints a line for every sixth of the time: whether memory stays where it is while events come."""
    row = Row("events")
    server = field.server(row.sink, kernel)
    rest(2)
    print(f"at rest: {resident(server.pid):.1f} MB")
    numbers = itertools.count()
    with field.load(row, server) as load:
        for step in range(1, 7):
            outcome = load.drive(numbers, minutes * 10, 0.0, rate / row.size)
            print(f"after {step * minutes / 6:.1f} min, {outcome.rate:,.0f} events/s: {resident(server.pid):.1f} MB",
                  flush=True)  # fmt: skip
        load.finish()


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    rows = [row for row in (QUICK if asked.quick else WHOLE) if not asked.sinks or row.sink in asked.sinks]
    kernels = [kernel for kernel in asked.kernels if kernel == "pure" or selection.active() == "compiled"]
    if kernels != asked.kernels:
        print(f"no rows of the compiled kernel: {selection.reason()}")
    with contextlib.ExitStack() as ending:
        folder = Path(ending.enter_context(new_folder()))
        realm = None
        if any(row.transport == "sealed" for row in rows):
            realm = _realm(ending)
            rows = [row for row in rows if realm is not None or row.transport != "sealed"]
        lab = Certificates.make(folder / "tls", max(row.connections for row in rows))
        field = Field(folder, lab, realm, asked.cores)
        ending.enter_context(field.ending)
        if asked.memory:
            memory(field, kernels[0], asked.memory, asked.rate)
        else:
            table(field, rows, kernels, asked)
    return 0


def _realm(ending: contextlib.ExitStack) -> Realm | None:
    """None, with a sentence, where this machine has no KDC or no gssapi."""
    try:
        from tests.bench.realm import Realm
        from tests.servers.kdc import Kdc

        kdc = ending.enter_context(Kdc())
    except (ImportError, OSError, RuntimeError) as error:
        print(f"no sealed rows: {error}")
        return None
    return Realm(kdc.start().wait(), 16)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench pipeline", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the seven rows that tell most")
    parser.add_argument("--sinks", nargs="+", choices=list(SINKS), help="only the rows of these")
    parser.add_argument("--kernels", nargs="+", choices=["compiled", "pure"], default=["compiled", "pure"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each row, kernel and round")
    parser.add_argument("--rate", type=float, default=0.0, help="events/s to send; 0: as many as are acknowledged")
    parser.add_argument("--memory", type=float, default=0.0, metavar="MINUTES", help="memory instead of the table")
    parser.add_argument("--cores", nargs=2, type=int, default=(1, 0), metavar=("SERVER", "LOAD"))
    return parser
