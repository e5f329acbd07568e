"""What OpenWEC did under such a load, and a table of our rows beside it. It measures nothing.

Its commit a41b95f, built in release mode, as a whole server on one core, its load on the other: eight TLS 1.3
connections with client certificates (or as many as the row says), 100 real events in each message of UTF-16, SQLite on
the disk; medians of four to seven runs. **Measured on another machine** (two shared cores, AMD Zen 4) in November 2026,
so a ratio of this table is worth what two machines are worth beside each other; ``rival`` puts the very same load
on a peer that runs on yours. Its figures are without a sync of the events; ours sync them before every Ack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

HEAD: Final = (
    "| sink | transport | encoding | events/message | connections | CPU us/event: ours | peer | ratio |"
    " events/s: ours | peer | ratio | p99 ms: ours | peer |"
)
_AS_USUAL: Final = ("https", "plain", 100, 8)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a whole server: events per second on one core, microseconds of CPU for each, milliseconds to the Ack."""

    rate: float
    cost: float
    p50: float
    p99: float


Load = tuple[str, str, str, int, int]
"""Sink, transport, encoding, events in each message, connections: the words of our own table."""

PEER: Final[Mapping[Load, Figures]] = {
    ("null", *_AS_USUAL): Figures(30_900, 27.8, 11, 340),  # JSON to /dev/null
    ("file", *_AS_USUAL): Figures(28_800, 30, 12, 249),
    ("file", "https", "sldc", 100, 8): Figures(20_800, 45, 23, 346),
    ("raw file", *_AS_USUAL): Figures(47_800, 13.9, 4, 209),
    ("raw file", "https", "sldc", 100, 8): Figures(32_400, 27.9, 11, 245),
    ("file", "sealed", "plain", 100, 8): Figures(17_400, 56, 35, 245),
    ("file", "sealed", "sldc", 100, 8): Figures(17_900, 54, 32, 263),
    ("file", "https", "plain", 100, 64): Figures(30_700, 31, 192, 650),
    ("file", "https", "plain", 100, 200): Figures(26_000, 36, 745, 1_250),
    ("file", "https", "plain", 10, 8): Figures(6_300, 89, 2.9, 182),
}


def beside(load: Load, ours: Figures) -> str | None:
    """The line of HEAD for *load*; None where the peer was not measured. A ratio above 1 is in our favour."""
    peer = PEER.get(load)
    if peer is None:
        return None
    cells: Sequence[object] = (
        *load, f"{ours.cost:.1f}", f"{peer.cost:.1f}", f"{peer.cost / ours.cost:.2f}",
        f"{ours.rate:,.0f}", f"{peer.rate:,.0f}", f"{ours.rate / peer.rate:.2f}",
        f"{ours.p99:.0f}", f"{peer.p99:.0f}",
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"
