"""The hunts, led by what they reach: ``python -m tests.kernel.guided [--bodies] [libFuzzer's own options]``.

Needs atheris (``pip install atheris``, which is no dependency of the tests: 35 MB). It watches the branches of the
reference, so an input that the reference reads in a new way is kept and broken further. An input is a text, or with
``--bodies`` a body, in which kernel and reference must agree; what they disagree on is kept as a witness.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

WATCHED = ["collector.kernel.fields", "collector.normalize", "collector.wsman.pieces"]
LONGEST = 1 << 15
BODIES = "--bodies"


def main() -> int:
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not there: pip install atheris, in an environment that has what the tests need")
        return 0
    with atheris.instrument_imports(include=WATCHED):
        names = ("fuzz_envelope", "envelopes") if BODIES in sys.argv else ("fuzz", "differential")
        keep, judged = (importlib.import_module(f"tests.kernel.{name}") for name in names)
    kernel = importlib.import_module("collector.kernel._events")
    difference = judged.Judge(kernel).difference
    bodies = BODIES in sys.argv
    with TemporaryDirectory(prefix="wef-guided-") as folder:
        begin(Path(folder), [*judged.bodies(), *judged.answers()] if bodies else [text.encode() for text in judged.OWN])
        options = [option for option in sys.argv if option != BODIES]
        atheris.Setup([*options, f"-max_len={LONGEST}", folder], hunter(difference, keep.keep, bodies=bodies))
        atheris.Fuzz()
    return 0


def begin(folder: Path, inputs: list[bytes]) -> None:
    """What the hunt starts from; libFuzzer adds what it finds worth keeping."""
    for number, found in enumerate(inputs):
        (folder / str(number)).write_bytes(found)


def hunter(difference: Callable[[Any], str], keep: Callable[[Any], Path], *, bodies: bool) -> Callable[[bytes], None]:
    """What is done with each input; raises ``AssertionError``, which ends the hunt, when the two differ."""

    def judge(found: bytes) -> None:
        given = found if bodies else found.decode("utf-8", "replace")
        said = difference(given)
        assert not said, f"{keep(given)}: {said[:2000]}"

    return judge


if __name__ == "__main__":
    raise SystemExit(main())
