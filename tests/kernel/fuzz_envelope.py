"""A hunt for a body that kernel and reference read differently: ``python -m tests.kernel.fuzz_envelope --minutes N``.

Broken copies of messages of our own and of the captured ones (WEF_SHARED, else ../shared). What is found is
kept as a witness, and from then on a test. The seed is printed: the same seed walks the same way.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import time
from pathlib import Path

from tests.kernel.envelopes import WITNESSES, Judge, answers, bodies, broken

MOST_FINDS = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.fuzz_envelope", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    asked = parser.parse_args()
    chance, judge = random.Random(asked.seed), Judge(importlib.import_module("collector.kernel._events"))
    whole = [*bodies(), *answers(), *captured()]
    print(f"seed {asked.seed}, {len(whole)} bodies to start from", flush=True)
    tried = found = 0
    end = time.monotonic() + asked.minutes * 60
    while time.monotonic() < end and found < MOST_FINDS:
        body = broken(chance.choice(whole), chance)
        tried += 1
        difference = judge.difference(body)
        if difference:
            found += 1
            print(f"{keep(body)}: {difference[:2000]}", flush=True)
    print(f"{tried} broken bodies, {found} read differently")
    return 1 if found else 0


def captured() -> list[bytes]:
    """Real messages, in either charset."""
    folder = Path(os.environ.get("WEF_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "captures"
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.xml"))]
    return [text.encode(charset) for text in texts for charset in ("utf-16-le", "utf-8")]


def keep(body: bytes) -> Path:
    """The file that *body* was written to as a witness."""
    file = WITNESSES / f"{hashlib.sha256(body).hexdigest()[:12]}.body"
    file.write_bytes(body)
    return file


if __name__ == "__main__":
    raise SystemExit(main())
