"""How fast the lanes are beside a bare loop over the same library: ``python -m tests.bench NAME [--help]``.

Each bench is a file beside this one and a line in BENCHES. It must not know what they measure.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Final

BENCHES: Final = {
    "elasticsearch": "tests.bench.elasticsearch",
    "kafka": "tests.bench.kafka",
}
"""Where ``main(arguments)`` is, which answers the exit code; loaded when asked for, as they load client libraries."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHES))
    asked, rest = parser.parse_known_args(sys.argv[1:2])
    code: int = importlib.import_module(BENCHES[asked.name]).main([*rest, *sys.argv[2:]])
    return code


if __name__ == "__main__":
    raise SystemExit(main())
