"""Which files of the store may go. Decides; touches no file.

A file's age counts from its last arrival or from its own day, whichever is later: what a laptop
delivers after two months away is kept as long as anything else that came today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileFacts:
    """*name* of a store file, bytes on disk, the end of its span and its last arrival (ns)."""

    name: str
    size: int
    last: int
    received: int


def expendable(files: Sequence[FileFacts], now: int, age: int, size: int) -> list[str]:
    """The files to drop, oldest first: those older than *age* (ns), then whole files until *size* bytes suffice.

    The newest file stays, however large: it is the one being written.
    """
    going = [file.name for file in files if now - max(file.received, _own(file, now)) > age]
    staying = sorted((file for file in files if file.name not in going), key=lambda file: _order(file, now))
    total = sum(file.size for file in staying)
    for file in staying[:-1]:
        if total <= size:
            break
        going.append(file.name)
        total -= file.size
    return going


def _own(file: FileFacts, now: int) -> int:
    """The file's own day; a day that has not come yet says nothing about age (a wrong clock named it)."""
    return file.last if file.last <= now else 0


def _order(file: FileFacts, now: int) -> tuple[int, int]:
    return (_own(file, now) or file.received, file.received)
