"""The compiled kernel beside its pure twin, over real events or our own: ``python -m tests.bench kernel``.

Both do a batch in turn, so that a noisy machine disturbs both; a ratio compares the same batch in the same round.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from collector.formats import spell
from collector.kernel import selection
from collector.model import Batch
from collector.normalize import harvest
from tests.kernel.differential import OWN, REFERENCE, real_events
from tests.normalize.samples import RENDERING, batch

PER_BATCH = 100
LEFT_OUT = 0.1
"""Share of the samples below the figure called p10: close to the speed on a machine left alone."""

Work = Callable[[Batch], object]
WORK: dict[str, Work] = {
    "pure: ids and keys": lambda each: harvest(each, REFERENCE),
    "pure: to fields": lambda each: harvest(each, REFERENCE).fields(),
    "pure: to winlogbeat": lambda each: spell(harvest(each, REFERENCE), "winlogbeat"),
    "kernel: ids and keys": harvest,
    "kernel: to fields": lambda each: harvest(each).fields(),
    "kernel: to winlogbeat": lambda each: spell(harvest(each), "winlogbeat"),
    "kernel: to raw_json": lambda each: spell(harvest(each), "raw_json"),
    "kernel: to stored": lambda each: spell(harvest(each), "stored"),
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench kernel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=2000)
    asked = parser.parse_args(arguments)
    if selection.active() == "pure":
        print(f"There is nothing to compare: {selection.reason()}.")
        return 1
    folder = Path(os.environ.get("WEF_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
    raw = list(itertools.islice(real_events(folder), asked.events)) or [*OWN] * 100
    rendered = [text.replace("</Event>", RENDERING + "</Event>") for text in raw]
    for name, texts in (("raw", raw), ("rendered", rendered)):
        size = sum(map(len, texts)) / len(texts)
        print(f"{name}, {len(texts)} events of {size:.0f} characters, {PER_BATCH} a batch")
        show(compared([batch(*texts[at : at + PER_BATCH]) for at in range(0, len(texts), PER_BATCH)], asked.rounds))
    return 0


def compared(batches: Sequence[Batch], rounds: int) -> dict[str, list[float]]:
    """Microseconds per event of each work on each batch in each round, in one order for all."""
    samples: dict[str, list[float]] = {name: [] for name in WORK}
    for each, work in itertools.product(batches[:3], WORK.values()):
        work(each)
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        for each in batches:
            for name, work in WORK.items():
                begun = time.perf_counter()
                work(each)
                samples[name].append((time.perf_counter() - begun) / len(each.events) * 1e6)
        gc.enable()
    return samples


def show(samples: dict[str, list[float]]) -> None:
    print(f"  {'':24}{'median us':>10}{'p10 us':>9}{'times pure':>12}")
    for name, times in samples.items():
        rival = samples.get(name.replace("kernel", "pure"), samples["pure: to winlogbeat"])
        ratio = statistics.median(pure / own for pure, own in zip(rival, times, strict=True))
        low = sorted(times)[int(len(times) * LEFT_OUT)]
        print(f"  {name:24}{statistics.median(times):10.1f}{low:9.1f}{ratio:12.1f}")
    sys.stdout.flush()
