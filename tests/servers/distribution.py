"""Where the servers' own files are: fetched once by ``tests/servers/get``, never inside the clone.

It must not know how a server is started.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

GET = Path(__file__).with_name("get")


class Absent(Exception):
    """The servers cannot be had on this machine; the text says why, as a sentence."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The folder that ``get`` filled: jars, unpacked Elasticsearch, and links to the JDKs that fit."""

    folder: Path

    @property
    def jdk(self) -> Path:
        return self.folder / "jdk"

    @property
    def java(self) -> str:
        return str(self.jdk / "bin" / "java")

    @property
    def kafka(self) -> Path:
        return self.folder / "kafka"

    @property
    def opensearch(self) -> Path:
        return self.folder / "opensearch"

    def elasticsearch(self, *, nine: bool = False) -> Path:
        """The unpacked distribution, with the plugin of ``fill/`` in it."""
        (home,) = (self.folder / ("elasticsearch-nine" if nine else "elasticsearch")).glob("elasticsearch-*/")
        return home

    def jdk_for(self, *, nine: bool) -> Path:
        return self.folder / "jdk-nine" if nine else self.jdk

    @property
    def templates(self) -> Path:
        """Elastic's own component and index templates, as one jar."""
        (jar,) = (self.folder / "elasticsearch").glob("x-pack-template-resources-*.jar")
        return jar


@cache
def fetched(what: str = "") -> Distribution:
    """Everything is there afterwards, *what* being "" or "nine". Raises ``Absent``; 10 ms when it was there before."""
    got = subprocess.run([GET, *what.split()], capture_output=True, text=True, timeout=900, check=False)
    if got.returncode != 0:
        said = got.stderr.strip().splitlines() or [f"exit code {got.returncode}"]
        raise Absent(f"the test servers could not be fetched by tests/servers/get: {said[-1]}")
    return Distribution(Path(got.stdout.splitlines()[-1]))
