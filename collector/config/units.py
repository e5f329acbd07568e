"""Sizes and durations as people write them. It knows no setting."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?")
_SIZES = {
    None: 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_DURATIONS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}  # whole, so that 0.1 s is 100 ms


def parse_size(value: object) -> int:
    """Bytes from ``"4GiB"``, ``"512KiB"`` or a whole number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is no size; write "4GiB", "512KiB" or a number of bytes')
    return int(float(match[1]) * _SIZES[match[2]])


def parse_duration(value: object) -> float:
    """Seconds from ``"500ms"``, ``"30s"``, ``"15m"``, ``"12h"`` or ``"30d"``. Raises ValueError."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        return float(match[1]) * _DURATIONS[match[2]] / 1000
    if isinstance(value, float):  # a default of our own, already in seconds
        return value
    raise ValueError(f'{value!r} is no duration; write "500ms", "30s", "15m", "12h" or "30d"')


Size = Annotated[int, BeforeValidator(parse_size)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
