"""The hunts with a kernel that watches each of its own steps: ``python -m tests.kernel.sanitized --minutes N``.

Builds the kernel with AddressSanitizer and UndefinedBehaviorSanitizer in a folder of its own, and lets every hunt run
N minutes there. A read or write beside a buffer, an overflow or a bad shift ends it with a report. Needs gcc's libasan.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HUNTS = ("fuzz", "fuzz_envelope", "fuzz_sldc")
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1"
BUILD = "from setuptools import setup; setup()"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.sanitized", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    asked = parser.parse_args()
    library = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory(prefix="wef-sanitized-") as name:
        folder = Path(name)
        for part in ("collector", "tests", "pyproject.toml", "README.md", "LICENSE"):
            copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy
            copy(REPOSITORY / part, folder / part)
        build(folder)
        watched = {
            **os.environ,
            "LD_PRELOAD": library.stdout.strip(),
            "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter leaves much to the end of the program
            "PYTHONMALLOC": "malloc",  # else Python's own allocator hides where an object ends
            "WEF_SHARED": os.environ.get("WEF_SHARED", str(REPOSITORY.parent / "shared")),
        }
        failed = [hunt for hunt in HUNTS if hunted(hunt, asked.minutes, folder, watched)]
    print("nothing was found" if not failed else f"found by: {', '.join(failed)}")
    return 1 if failed else 0


def build(folder: Path) -> None:
    """The kernel in *folder* with its sanitizers; raises ``CalledProcessError``."""
    for built in folder.glob("collector/kernel/*.so"):
        built.unlink()
    command = [sys.executable, "-W", "ignore", "-c", BUILD, "-q", "build_ext", "--inplace", "--force"]
    flags = {**os.environ, "CFLAGS": FLAGS, "LDFLAGS": FLAGS}
    subprocess.run(command, cwd=folder, env=flags, check=True, capture_output=True)
    if len(list(folder.glob("collector/kernel/*.so"))) < 2:
        raise SystemExit("the kernel was not built: gcc, Python.h and libasan are needed")


def hunted(hunt: str, minutes: float, folder: Path, watched: dict[str, str]) -> bool:
    """Whether *hunt* found something."""
    command = [sys.executable, "-m", f"tests.kernel.{hunt}", "--minutes", str(minutes)]
    return subprocess.run(command, cwd=folder, env=watched, check=False).returncode != 0


if __name__ == "__main__":
    raise SystemExit(main())
