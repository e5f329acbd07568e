"""A hunt for a stream that the two SLDC kernels read differently: ``python -m tests.kernel.fuzz_sldc --minutes N``.

Rows of symbols, and broken copies of the captured streams (WEF_SHARED, else ../shared). What is found is
kept as a witness, and from then on a test. The seed is printed: the same seed walks the same way.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import time
from pathlib import Path

from collector.kernel import sldc
from tests.kernel.built import built
from tests.kernel.test_sldc import END, EOR, FLUSH, RESET_1, RESET_2, SCHEME_1, SCHEME_2, copy, literal, plain, stream

WITNESSES = Path(__file__).resolve().parent / "witnesses"
FILE_MARK = (0x1FF3, 13)
CONTROLS = (RESET_1, RESET_2, SCHEME_1, SCHEME_2, SCHEME_1, SCHEME_2, FLUSH, FILE_MARK)
MOST = 1 << 20  # bytes that the pure kernel is let put out before it is stopped


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.fuzz_sldc", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    asked = parser.parse_args()
    print("seed", asked.seed)
    seed, compiled = random.Random(asked.seed), built("_sldc")
    captured = [path.read_bytes() for path in captures()]
    cases = accepted = finds = 0
    end = time.monotonic() + asked.minutes * 60
    while time.monotonic() < end:
        body = broken(seed, seed.choice(captured)) if captured and seed.random() < 0.3 else row(seed)
        body += max(0, true_length(body) + seed.choice([0, 0, 0, 0, 1, -1])).to_bytes(4, "little")
        cases += 1
        answer = said(sldc.expand, body)
        accepted += answer != "refused"
        if said(compiled.expand, body) != answer:
            finds += 1
            WITNESSES.mkdir(exist_ok=True)
            (WITNESSES / f"{hashlib.sha256(body).hexdigest()[:12]}.sldc").write_bytes(body)
    print(f"{cases} streams, {accepted} of them whole, {finds} read differently")
    return 1 if finds else 0


def captures() -> list[Path]:
    """The streams of real Windows sources, where they are at hand."""
    folder = Path(os.environ.get("WEF_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "captures"
    return sorted(folder.glob("sldc-heartbeat-*.sldc"))


def said(expand: object, body: bytes) -> bytes | str:
    """What came of *body*, whose trailer is believed: the plain bytes, or that it was refused."""
    assert callable(expand)
    try:
        plain_bytes = expand(body, int.from_bytes(body[-4:], "little"))
    except sldc.SldcError:
        return "refused"
    assert isinstance(plain_bytes, bytes)
    return plain_bytes


def true_length(encoded: bytes) -> int:
    """How far the pure kernel comes: any other length would be refused for being another."""
    told = sldc._Stream(encoded, MOST)
    with contextlib.suppress(sldc.SldcError):
        sldc._run(told)
    return len(told.out)


def broken(seed: random.Random, body: bytes) -> bytes:
    """A captured stream, without its trailer, with some bits turned and perhaps cut."""
    encoded = bytearray(body[:-4])
    for _ in range(seed.choice([1, 1, 2, 6])):
        encoded[seed.randrange(len(encoded))] ^= 1 << seed.randrange(8)
    return bytes(encoded[: seed.randrange(len(encoded))] if seed.random() < 0.2 else encoded)


def row(seed: random.Random) -> bytes:
    """Symbols in any order behind a beginning that copies can refer to; no trailer."""
    symbols = [symbol(seed) for _ in range(seed.randrange(200))]
    return stream(RESET_1, literal(65), literal(66), *symbols, seed.choice([EOR, END]), declared=0)[:-4]


def symbol(seed: random.Random) -> tuple[int, int]:
    match seed.choices(range(6), [6, 4, 5, 4, 1, 1])[0]:
        case 0:
            return literal(seed.randrange(256))
        case 1:
            return plain(seed.choice([0xFF, seed.randrange(256)]))
        case 2:
            return copy(seed.choice([2, 3, 32, 100, 271]), seed.choice([seed.randrange(4), seed.randrange(1024)]))
        case 3:
            return seed.choice(CONTROLS)
        case 4:
            return seed.randrange(0x1FF0, 0x2000), 13
        case _:
            return 0, seed.randrange(32)


if __name__ == "__main__":
    raise SystemExit(main())
