"""A long hunt for a text that kernel and reference read differently: ``python -m tests.kernel.fuzz --minutes N``.

Broken copies of real events (WEF_SHARED, else ../shared) and of our own. What is found is kept as a
witness, and from then on a test. The seed is printed: the same seed walks the same way.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import random
import time
from pathlib import Path

from tests.kernel.differential import OWN, WITNESSES, Judge, mutant, real_events

MOST_FINDS = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else random.randrange(1 << 32)
    folder = Path(os.environ.get("WEF_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
    bases = [*OWN * 100, *real_events(folder)]
    print(f"seed {seed}, {len(bases)} texts to start from", flush=True)
    tried, taken, found = hunt(bases, random.Random(seed), asked.minutes * 60)
    print(f"{tried} mutants, {taken} taken by the kernel, {len(found)} read differently")
    return 1 if found else 0


def hunt(bases: list[str], chance: random.Random, seconds: float) -> tuple[int, int, list[str]]:
    """How many mutants were tried and taken, and those that differ, kept as witnesses."""
    judge = Judge(importlib.import_module("collector.kernel._events"))
    tried = taken = 0
    found: list[str] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(found) < MOST_FINDS:
        text = mutant(chance.choice(bases), chance)
        tried += 1
        if not judge.taken(text):
            continue
        taken += 1
        difference = judge.difference(text)
        if difference:
            found.append(text)
            print(f"{keep(text)}: {difference[:2000]}", flush=True)
    return tried, taken, found


def keep(text: str) -> Path:
    """The file that *text* was written to as a witness."""
    written = json.dumps(text).encode()
    file = WITNESSES / f"{hashlib.sha256(written).hexdigest()[:12]}.json"
    file.write_bytes(written + b"\n")
    return file


if __name__ == "__main__":
    raise SystemExit(main())
