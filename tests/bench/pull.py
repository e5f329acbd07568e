"""Pulling under load: ``python -m tests.bench pull [--help]`` prints what it costs, how late it is, what it holds.

A real ``wef serve`` on one core that pulls from pretend Windows machines on another (``hosts``). Three questions:
*all* what an event costs when every machine has more of them all the time, beside the same events pushed to the same
kind of server in the same rounds; *paced* how late events are when each of thousands of machines has a few per second;
*idle* how much memory a machine takes of which nothing comes, the whole process divided by their number.

With https every machine is proven by its certificate and the collector by its own. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import signal
import ssl
import statistics
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.bench.envelopes import machine_name
from tests.bench.hosts import Hosts, urls
from tests.bench.pipeline import Field, Row, Sample, figures
from tests.bench.serving import STARTING, Certificates, Server, new_folder, resident, taken

SIZE: Final = 100
"""Events of an answer where there are always more."""
BUSY: Final = 8
"""Machines that always have more."""
WARM: Final = 0.7
HEAD: Final = "| flow | sink | transport | events/s of one core | CPU us/event | server's core | load's core |"
SINKS: Final = ("null", "file")


class Puller(Server):
    """``wef serve`` with one subscription of type pull: at *hosts*, with *latency* seconds of max_latency. Close it."""

    def __init__(self, folder: Path, sink: str, lab: Certificates, core: int, hosts: Hosts, latency: float) -> None:
        self._hosts, self._latency, self._secure = hosts, latency, hosts.secure
        folder.mkdir(parents=True)
        (folder / "hosts.txt").write_text(urls(hosts.all, hosts.secure))
        super().__init__(folder, sink, lab, core, pure=False)

    def gather(self) -> None:
        """Return when all machines are subscribed to, and nothing of that is left to do."""
        self.wait()
        wanted = len(self._hosts.all)
        end = time.perf_counter() + STARTING + wanted / 20
        self._hosts.serve(lambda: self._hosts.subscribed == wanted or time.perf_counter() > end)
        assert self._hosts.subscribed == wanted, (self.folder / "log").read_text()[-4000:]

    def lag(self, share: float) -> float:
        """Seconds from a newest event's time until it was safe: the bound below which *share* of all answers were."""
        text = urllib.request.urlopen(f"{self.monitoring}/metrics", timeout=10).read().decode()
        found = re.findall(r'^wef_pull_lag_seconds_bucket\{.*?le="([^"]+)".*?\} (\S+)$', text, re.MULTILINE)
        whole = float(found[-1][1]) if found else 0.0
        return next((float(bound) for bound, number in found if float(number) >= share * whole), float("nan"))

    def close(self) -> None:
        """The machines are told, so they have to answer meanwhile."""
        self._child.send_signal(signal.SIGTERM)
        self._hosts.serve(lambda: self._child.poll() is not None)

    def _subscription(self) -> str:
        delivery = f'[delivery]\nmax_latency = "{self._latency}s"\nmax_items = {SIZE}\n'
        credentials = 'credentials = "bench"\n'
        head = f'name = "bench"\ntype = "pull"\nsources = {{ file = "{self.folder}/hosts.txt" }}\n{credentials}'
        return f'{head}read_existing_events = true\n{delivery}[[select]]\nchannel = "Security"\n'

    def _tables(self) -> Sequence[str]:
        tls, name = self._lab.folder, machine_name(0)
        # whoever is not measured is not answered for as long as another is
        tables = ['[pull]\nnetwork_delay = "120s"\nconversations = 10000', '[credentials.bench]\nmechanism = "none"']
        if self._secure:
            tables[1] = (
                f'[credentials.bench]\nmechanism = "certificate"\nca = "{tls}/ca.pem"\n'
                f'certificate = "{tls}/clients/{name}.pem"\nkey = "{tls}/clients/{name}.key"'
            )
        return tables


class Yard:
    """A folder, certificates, and two cores: the first is the collectors'."""

    def __init__(self, folder: Path, cores: tuple[int, int], ending: contextlib.ExitStack) -> None:
        self.folder, self.cores, self.ending = folder, cores, ending
        self.lab = Certificates.make(folder / "tls", BUSY)
        self._numbers = itertools.count()
        os.sched_setaffinity(0, {cores[1]})

    def context(self) -> ssl.SSLContext:
        """Of the machines: they let in whoever the lab's authority knows."""
        tls = self.lab.folder
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{tls}/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(f"{tls}/server.pem", f"{tls}/server.key")
        return context

    def pulled(
        self, ending: contextlib.ExitStack, sink: str, number: int, rate: float | None, *, tls: bool, latency: float
    ) -> tuple[Hosts, Puller]:
        """Machines, and a collector that has subscribed at all of them; both end with *ending*."""
        hosts = ending.enter_context(Hosts(number, rate, self.context() if tls else None))
        folder = self.folder / f"pull-{next(self._numbers)}"
        puller = Puller(folder, sink, self.lab, self.cores[0], hosts, latency)
        ending.callback(puller.close)
        puller.gather()
        return hosts, puller


def everything(yard: Yard, asked: argparse.Namespace) -> None:
    """What an event costs that is pulled, and one that is pushed."""
    transport = "https" if asked.tls else "http"
    field = Field(yard.folder / "push", yard.lab, None, asked.cores)
    yard.ending.enter_context(field.ending)
    pulls = {
        sink: yard.pulled(yard.ending, sink, BUSY, None, tls=asked.tls, latency=1.0) for sink in SINKS
    }  # within a second: nobody waits for more events to come
    found: dict[tuple[str, str], list[Sample]] = {(flow, sink): [] for sink in SINKS for flow in ("push", "pull")}
    for number in range(asked.rounds):
        for flow, sink in found:
            if flow == "push":
                sample = field.measure(Row(sink, transport, connections=BUSY), "compiled", asked.seconds)
            else:
                sample = measured(*pulls[sink], asked.seconds)
            found[flow, sink].append(sample)
        print(f"round {number + 1} of {asked.rounds} is done", flush=True)
    print(f"\n{HEAD}\n{'|---' * HEAD.count(' | ')}|---|")
    for (flow, sink), samples in found.items():
        middle = figures(samples)
        core = statistics.median(sample.cpu / sample.outcome.seconds for sample in samples)
        load = statistics.median(sample.outcome.busy for sample in samples)
        cells = (flow, sink, transport, f"{1e6 / middle.cost:,.0f}", f"{middle.cost:.1f}", f"{core:.0%}", f"{load:.0%}")
        print(f"| {' | '.join(cells)} |")
    for sink in SINKS:
        ratios = [
            mine.cost / theirs.cost for mine, theirs in zip(found["pull", sink], found["push", sink], strict=True)
        ]
        print(f"{sink}: an event that is pulled costs {statistics.median(ratios):.2f} of one that is pushed")


def measured(hosts: Hosts, puller: Puller, seconds: float) -> Sample:
    hosts.drive(WARM)
    before = taken(puller.pid)
    outcome = hosts.drive(seconds)
    return Sample(outcome, taken(puller.pid).cpu - before.cpu)


def paced(yard: Yard, asked: argparse.Namespace) -> None:
    """How late events are at a fixed rate of each machine."""
    with contextlib.ExitStack() as ending:
        hosts, puller = yard.pulled(ending, "file", asked.sources, 0.0, tls=asked.tls, latency=asked.latency)
        hosts.begin(asked.rate)
        hosts.drive(asked.latency)  # in step with nobody
        before = taken(puller.pid)
        outcome = hosts.drive(asked.seconds * 12)
        cpu = taken(puller.pid).cpu - before.cpu
        waits = replace(outcome, latencies=outcome.waits)
        p50, p99 = (waits.percentile(share) / 1000 for share in (0.5, 0.99))
        print(
            f"{asked.sources} machines, {asked.rate:g} events/s each, {'https' if asked.tls else 'http'}, into a file:"
            f" {outcome.rate:,.0f} events/s, {outcome.events / max(1, outcome.batches):.0f} in an answer;"
            f" {cpu / outcome.events * 1e6:.1f} us of CPU an event, {cpu / outcome.seconds:.0%} of the server's core"
            f" ({outcome.busy:.0%} of the load's)\n"
            f"  an event left its machine after p50 {p50:.1f} s, p99 {p99:.1f} s; the newest of an answer was safe"
            f" after p50 < {puller.lag(0.5):g} s, p99 < {puller.lag(0.99):g} s; {resident(puller.pid):.0f} MB",
            flush=True,
        )


def idle(yard: Yard, asked: argparse.Namespace) -> None:
    """What a machine takes of which nothing comes."""
    with contextlib.ExitStack() as ending:
        hosts, puller = yard.pulled(ending, "file", asked.sources, 0.0, tls=asked.tls, latency=asked.latency)
        hosts.drive(5.0)
        held = resident(puller.pid)
        print(
            f"{asked.sources} idle machines, {'https' if asked.tls else 'http'}: {held:.0f} MB,"
            f" {held * 1000 / asked.sources:.1f} kB each",
            flush=True,
        )


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    chosen = [name for name in ("all", "paced", "idle") if getattr(asked, name)] or ["all", "paced", "idle"]
    with contextlib.ExitStack() as ending:
        yard = Yard(Path(ending.enter_context(new_folder())), asked.cores, ending)
        if "idle" in chosen:
            idle(yard, asked)
        if "paced" in chosen:
            paced(yard, asked)
        if "all" in chosen:
            everything(yard, asked)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench pull", description=__doc__)
    parser.add_argument("--all", action="store_true", help="only what an event costs")
    parser.add_argument("--paced", action="store_true", help="only how late events are")
    parser.add_argument("--idle", action="store_true", help="only how much memory a machine takes")
    parser.add_argument("--tls", action="store_true", help="https, each side with a certificate")
    parser.add_argument("--sources", type=int, default=2000, help="machines of paced and idle")
    parser.add_argument("--rate", type=float, default=10.0, help="events per second of each machine")
    parser.add_argument("--latency", type=float, default=30.0, help="max_latency of the subscription, in seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=2.5, help="of each row and round; paced takes twelve times that"
    )
    parser.add_argument("--cores", nargs=2, type=int, default=(1, 0), metavar=("SERVER", "LOAD"))
    return parser
