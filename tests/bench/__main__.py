"""How fast lanes, proofs and seals are beside a bare library: ``python -m tests.bench NAME|all [--help]``.

Each bench is a file beside this one and a line in BENCHES. It must not know what they measure.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

BENCHES: Final = {
    "kernel": "tests.bench.kernel",
    "kafka": "tests.bench.kafka",
    "elasticsearch": "tests.bench.elasticsearch",
    "fanout": "tests.bench.fanout",
    "kerberos": "tests.bench.kerberos",
    "pipeline": "tests.bench.pipeline",
    "pull": "tests.bench.pull",
    "rival": "tests.bench.rival",
    "store": "tests.bench.store",
}
"""Where ``main(arguments)`` is, which answers the exit code; loaded when asked for, as they load client libraries."""
RIVAL: Final = "rival"
"""It needs an address, so ``all`` leaves it out."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=[*BENCHES, "all"], help="all: one after the other, as each is by default")
    asked, rest = parser.parse_known_args(sys.argv[1:2])
    if asked.name == "all":
        return max([bench(name, []) for name in BENCHES if name != RIVAL])
    return bench(asked.name, [*rest, *sys.argv[2:]])


def bench(name: str, arguments: Sequence[str]) -> int:
    print(f"== {name}", flush=True)
    code: int = importlib.import_module(BENCHES[name]).main(arguments)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
