"""What the numbers under System mean by themselves: the winmeta provider's levels, opcodes and keyword bits.

Providers define more; those names come with RenderingInfo or from the task table. This file
knows numbers and words only, no event.
"""

from __future__ import annotations

from functools import lru_cache

# normalization.md 7.1. Level 0 is "LogAlways", which Windows shows as Information.
LEVELS = {0: "information", 1: "critical", 2: "error", 3: "warning", 4: "information", 5: "verbose"}
OPCODES = {
    0: "Info", 1: "Start", 2: "Stop", 3: "DCStart", 4: "DCStop", 5: "Extension", 6: "Reply", 7: "Resume", 8: "Suspend",
    9: "Send",
}  # fmt: skip
KEYWORDS = {
    1 << 48: "Response Time",
    1 << 49: "WDI Context",
    1 << 50: "WDI Diag",
    1 << 51: "SQM",
    1 << 52: "Audit Failure",
    1 << 53: "Audit Success",
    1 << 54: "Correlation Hint",
    1 << 55: "Classic",
}
_FAILURE, _SUCCESS, _WDI_CONTEXT = 1 << 52, 1 << 53, 1 << 49

LONGEST_NUMBER = 20
"""Digits of 2**64 - 1; longer is no number that Windows writes."""


def number(text: str) -> int:
    """The decimal number that *text* is; 0 when it is none, as where it is absent."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= LONGEST_NUMBER else 0


def long(text: str) -> int:
    """As ``number``, and 0 too for what does not fit a signed 64-bit field of a store."""
    value = number(text)
    return value if value < 1 << 63 else 0


@lru_cache(maxsize=1024)  # real logs hold some dozens of masks; the key is at most 18 characters long
def _mask(text: str) -> tuple[int, tuple[str, ...]]:
    try:
        mask = int(text, 16) & (1 << 64) - 1
    except ValueError:
        mask = 0
    return mask, tuple(name for bit, name in KEYWORDS.items() if mask & bit)


def keywords(text: str, exact: bool) -> list[str]:
    """Names of the standard bits of a hexadecimal mask. *exact*: beats' table, which lacks WDI Context."""
    if not 0 < len(text) <= 18:
        return []
    names = list(_mask(text)[1])
    if exact and KEYWORDS[_WDI_CONTEXT] in names:
        names.remove(KEYWORDS[_WDI_CONTEXT])
    return names


def outcome(text: str) -> str:
    """``failure`` (tested first), ``success``, or "" when the mask of keywords says neither."""
    mask = _mask(text)[0] if 0 < len(text) <= 18 else 0
    return "failure" if mask & _FAILURE else "success" if mask & _SUCCESS else ""
