"""The whole server under load: ``python -m tests.bench pipeline [--help]`` prints two tables.

A real ``wef serve`` on one core, this bench on another, sources that send what Windows sends: UTF-16 with its BOM,
plain or SLDC, over http, https with a certificate for each machine, or sealed with Kerberos. No two events are the
same. Every server of the table is up all the time, and each round measures every row once with each kernel, so that
both have met the same machine. The figure that counts is events per second of one core, that is per second of the
server's own CPU: other programs take time away from a server, but seldom CPU. How long an Ack takes tells nothing
of a server that gets all it can take, where it is the number of connections through the rate; so the *paced* rows
send a fixed number of events per second, and count from when a batch was due. The second table has the same figures
beside those of a peer.

Nothing is asserted; ``--quick`` takes two minutes, the whole table about fifteen. ``--memory MINUTES`` prints
instead how much memory a server with a listener for http and one for https holds at rest and under load.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from collector.kernel import selection
from tests.bench import peer
from tests.bench.envelopes import Template, templates
from tests.bench.load import Load, Outcome, learn, target_of
from tests.bench.serving import MANAGER, SINKS, Certificates, Server, new_folder, resident, rest, taken

if TYPE_CHECKING:
    from tests.bench.realm import Realm

POOL: Final = 8
"""Different messages of a load; more of them are other numbers in the same texts."""
WARM: Final = 0.7
HEAD: Final = (
    "| sink | transport | encoding | events/message | connections | sent | kernel | events/s of one core |"
    " CPU us/event | p50 ms | p99 ms | measured events/s | server's core | load's core |"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent where: *size* events in each message over *connections*.

    *pace*: events per second of all connections together; 0: as many as are acknowledged.
    """

    sink: str
    transport: str = "https"
    encoding: str = "plain"
    rendered: bool = False
    size: int = 100
    connections: int = 8
    pace: float = 0.0

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
MEMORY: Final = Row("events")
PACE: Final = 20_000.0
"""Events per second: what a few thousand busy machines send, and less than half of what one core takes."""
PACED: Final = tuple(Row(sink, connections=number, pace=PACE) for sink in ("file", "events") for number in (8, 64, 200))


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

    def measure(self, row: Row, kernel: str, seconds: float) -> Sample:
        server = self.server(row.sink, kernel)
        with self.load(row, server) as load:
            load.drive(self._numbers, 0.0, WARM, row.pace / row.size)
            if row.pace:
                load.finish()  # else what is late already would count
            before = taken(server.pid)
            outcome = load.drive(self._numbers, seconds, 0.0, row.pace / row.size)
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
    # the pure kernel takes no such pace: its paced rows would say what its others say
    found: dict[tuple[Row, str], list[Sample]] = {
        (row, kernel): [] for row in rows for kernel in kernels if not (row.pace and kernel == "pure")
    }
    for row, kernel in found:
        field.server(row.sink, kernel)
    for number in range(asked.rounds):
        for row, kernel in found:
            found[row, kernel].append(field.measure(row, kernel, asked.seconds))
        print(f"round {number + 1} of {asked.rounds} is done", flush=True)
    _print_table(HEAD, [line(row, kernel, samples) for (row, kernel), samples in found.items()])
    beside = [
        peer.beside((row.sink, row.transport, row.spelled, row.size, row.connections), figures(samples))
        for (row, kernel), samples in found.items()
        if kernel == "compiled" and not row.pace
    ]
    if any(beside):
        print(f"\nBeside the peer (another machine; a ratio above 1 is ours): {peer.__name__} says what it is")
        _print_table(peer.HEAD, filter(None, beside))


def _print_table(head: str, lines: Iterable[str]) -> None:
    print(f"\n{head}\n{'|---' * head.count(' | ')}|---|")
    for one in lines:
        print(one)


def figures(samples: Sequence[Sample]) -> peer.Figures:
    """Medians over the rounds."""
    outcomes = [sample.outcome for sample in samples]
    return peer.Figures(
        rate=statistics.median(one.rate for one in outcomes),
        cost=statistics.median(sample.cost for sample in samples),
        p50=statistics.median(one.percentile(0.5) for one in outcomes),
        p99=statistics.median(one.percentile(0.99) for one in outcomes),
    )


def line(row: Row, kernel: str, samples: Sequence[Sample]) -> str:
    """A line of HEAD: medians over the rounds."""
    middle = figures(samples)
    cells = (
        row.sink, row.transport, row.spelled, row.size, row.connections, f"{row.pace:,.0f}/s" if row.pace else "all",
        kernel, f"{1e6 / middle.cost:,.0f}", f"{middle.cost:.1f}", f"{middle.p50:.1f}", f"{middle.p99:.1f}",
        f"{middle.rate:,.0f}", f"{statistics.median(sample.cpu / sample.outcome.seconds for sample in samples):.0%}",
        f"{statistics.median(sample.outcome.busy for sample in samples):.0%}",
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def memory(field: Field, kernel: str, minutes: float, rate: float) -> None:
    """Prints a line for every sixth of the time: whether memory stays where it is while events come."""
    row = MEMORY
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


def rows_of(asked: argparse.Namespace) -> list[Row]:
    """The rows of the table that was asked for; a rate makes a paced row of each."""
    if asked.memory:
        return [MEMORY]
    whole = PACED if asked.paced else QUICK if asked.quick else WHOLE + PACED
    rows = [row for row in whole if not asked.sinks or row.sink in asked.sinks]
    return [replace(row, pace=asked.rate) for row in rows] if asked.rate else rows


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    rows = rows_of(asked)
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
    parser.add_argument("--paced", action="store_true", help="only the rows of a fixed rate")
    parser.add_argument("--sinks", nargs="+", choices=list(SINKS), help="only the rows of these")
    parser.add_argument("--kernels", nargs="+", choices=["compiled", "pure"], default=["compiled", "pure"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each row, kernel and round")
    parser.add_argument("--rate", type=float, default=0.0, help="events/s to send; 0: as many as are acknowledged")
    parser.add_argument("--memory", type=float, default=0.0, metavar="MINUTES", help="memory instead of the table")
    parser.add_argument("--cores", nargs=2, type=int, default=(1, 0), metavar=("SERVER", "LOAD"))
    return parser
