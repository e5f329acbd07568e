"""The same load for any collector that runs already: ``python -m tests.bench rival https://wec.lab.example:5986``.

It Enumerates first, as a source does, so it needs only the address and what the collector trusts: ``--ca``, and a
folder with a certificate and key for each machine, which ``--certificates DIR --machines N`` makes (with a server's
certificate for localhost) before the rival is started. Where it runs on this machine, ``--pid`` adds CPU and memory.
Run it in turns with our own server (``pipeline``), never one for a minute and then the other.
"""

from __future__ import annotations

import argparse
import itertools
import os
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.envelopes import machine_name, templates
from tests.bench.load import Load, Way, learn, target_of
from tests.bench.serving import MANAGER, Certificates, client_context, resident, taken

HEAD = "| encoding | events/message | connections | events/s | CPU us/event | p50 ms | p99 ms | MB | load's core |"


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    if asked.machines:
        Certificates.make(asked.certificates, asked.machines)
        print(f"{asked.certificates} has a CA, a server's certificate and {asked.machines} machines; start the rival")
        return 0
    os.sched_setaffinity(0, {asked.core})
    way = Way(asked.url.rstrip("/"), None if asked.certificates is None else lambda number: _context(asked, number))
    offer = learn(way, asked.path)
    path = urlsplit(offer.notify_to or "").path
    numbers = itertools.count(int(time.time() * 20) % 10_000_000)  # other ids than those of the run before
    print(f"{HEAD}\n{'|---' * HEAD.count(' | ')}|---|")
    for sldc in (False, True) if asked.encoding == "both" else (asked.encoding == "sldc",):
        for size in asked.sizes:
            messages = templates(8, size, target_of(offer), rendered=asked.rendered, sldc=sldc)
            load = Load(way, path, messages, asked.connections, sldc=sldc)
            try:
                print(_measured(load, numbers, size, sldc, asked), flush=True)
            finally:
                load.close()
    return 0


def _measured(load: Load, numbers: itertools.count[int], size: int, sldc: bool, asked: argparse.Namespace) -> str:
    load.drive(numbers, 0.0, 1.0)
    before = taken(asked.pid).cpu if asked.pid else 0.0
    outcome = load.drive(numbers, asked.seconds, 0.0, asked.rate / size)
    cost = f"{(taken(asked.pid).cpu - before) / outcome.events * 1e6:.1f}" if asked.pid else "-"
    load.finish()
    held = f"{resident(asked.pid):.0f}" if asked.pid else "-"
    cells = (
        "sldc" if sldc else "plain", size, asked.connections, f"{outcome.rate:,.0f}", cost,
        f"{outcome.percentile(0.5):.1f}", f"{outcome.percentile(0.99):.1f}", held, f"{outcome.busy:.0%}",
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _context(asked: argparse.Namespace, number: int) -> ssl.SSLContext:
    stem = asked.certificates / "clients" / machine_name(number)
    return client_context(asked.ca or asked.certificates / "ca.pem", Path(f"{stem}.pem"), Path(f"{stem}.key"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench rival", description=__doc__)
    parser.add_argument("url", help="scheme, host and port")
    parser.add_argument("--path", default=MANAGER, help="where it takes Enumerate")
    parser.add_argument("--certificates", type=Path, help="folder with clients/NAME.pem and .key; none: plain http")
    parser.add_argument("--machines", type=int, default=0, help="make that folder for so many, and end")
    parser.add_argument("--ca", type=Path, help="whom we trust; by default ca.pem of that folder")
    parser.add_argument("--pid", type=int, default=0, help="of the collector, where it runs on this machine")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 10], help="events in each message, at most 100")
    parser.add_argument("--encoding", choices=["plain", "sldc", "both"], default="both")
    parser.add_argument("--rendered", action="store_true", help="with RenderingInfo, as RenderedText subscriptions get")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0, help="events/s to send; 0: as many as are acknowledged")
    parser.add_argument("--core", type=int, default=0, help="where the load runs")
    return parser
